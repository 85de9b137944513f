//! What was rejected, found again: lists of it, and the original records by their coordinates.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tributary_model::reject::{Origin, Reject};
use tributary_model::time::Millis;
use tributary_model::topic::partition_of;
use tributary_model::{AvroRecord, Topic};
use tributary_stream::log::{Budget, Log, LogError, Start};
use tributary_stream::{Message, Output, Position};

/// Names the record that a replayed one is a copy of.
pub const REPLAY_OF: &str = "x-tributary-replay-of";

/// Topics whose records can be sent again: inputs, whose order in time does not matter. Everything else is the state of a stage,
/// and an old record would overwrite a newer one.
const INPUTS: [Topic; 2] = [Topic::Facts, Topic::Observations];

/// Which rejects.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The short reason, as `unknown_format`.
    pub code: Option<String>,
    /// The topic that the rejected record stands on, without prefix.
    pub topic: Option<String>,
    /// Rejected at or after this time.
    pub since: Option<Millis>,
    /// Rejected before this time.
    pub until: Option<Millis>,
}

impl Filter {
    fn takes(&self, reject: &Reject) -> bool {
        self.code.as_ref().is_none_or(|code| *code == reject.code)
            && self.topic.as_ref().is_none_or(|topic| *topic == reject.origin.topic)
            && self.since.is_none_or(|since| reject.rejected_at >= since)
            && self.until.is_none_or(|until| reject.rejected_at < until)
    }
}

/// The rejects that a filter takes, oldest first; of one record the latest only, at most `at_most` of the newest.
pub fn list(log: &dyn Log, filter: &Filter, at_most: usize) -> Result<Vec<Reject>, LogError> {
    let places: Vec<_> = (0..log.partitions(Topic::Rejects)).map(|partition| (Topic::Rejects, partition)).collect();
    let mut reader = log.reader(&places, &Start::Beginning)?;
    let mut found = Vec::new();
    loop {
        let read = reader.read(Budget { records: 8_192, bytes: 8 << 20, wait: Duration::ZERO })?;
        let rejects = read.messages.iter().filter_map(|message| Reject::decode(message.value.as_deref()?).ok());
        found.extend(rejects.filter(|reject| filter.takes(reject)));
        if read.at_end {
            return Ok(chosen(found, filter, at_most));
        }
    }
}

/// Those that a filter takes, oldest first; of one record the latest only, at most `at_most` of the newest.
pub fn chosen(rejects: Vec<Reject>, filter: &Filter, at_most: usize) -> Vec<Reject> {
    let mut found: BTreeMap<(Origin, String), Reject> = BTreeMap::new();
    for reject in rejects.into_iter().filter(|reject| filter.takes(reject)) {
        let key = (reject.origin.clone(), reject.stage.clone());
        if found.get(&key).is_none_or(|known| known.rejected_at <= reject.rejected_at) {
            found.insert(key, reject);
        }
    }
    let mut rejects: Vec<Reject> = found.into_values().collect();
    rejects.sort_by(|a, b| (a.rejected_at, &a.origin).cmp(&(b.rejected_at, &b.origin)));
    rejects.split_off(rejects.len().saturating_sub(at_most))
}

/// Whether a rejected record can be sent again.
#[derive(Debug, PartialEq, Eq)]
pub enum Original {
    /// Here it is, as it is sent.
    There(Box<Output>),
    /// Retention has removed it.
    Gone,
    /// It must not, and why.
    Kept(&'static str),
}

/// Looks a rejected record up by its coordinates.
pub fn original(log: &dyn Log, origin: &Origin) -> Result<Original, LogError> {
    let Some(topic) = Topic::parse(&origin.topic) else {
        return Ok(Original::Kept("no record caused it: a timer or changed context did"));
    };
    if !topic.is_raw() && !INPUTS.contains(&topic) {
        return Ok(Original::Kept("its topic is the state of a stage: an old record would overwrite a newer one"));
    }
    let Ok(offset) = u64::try_from(origin.offset) else {
        return Ok(Original::Kept("no record caused it: a timer or changed context did"));
    };
    let start = Start::At(vec![Position { topic, partition: origin.partition, next: offset }]);
    let mut reader = log.reader(&[(topic, origin.partition)], &start)?;
    loop {
        let read = reader.read(Budget { records: 1, bytes: 1, wait: Duration::ZERO })?;
        match read.messages.into_iter().next() {
            Some(message) if message.offset == offset => return Ok(again(log, message)),
            Some(_) => return Ok(Original::Gone),
            None if read.at_end => return Ok(Original::Gone),
            None => {}
        }
    }
}

/// The record to be sent: everything as it was, so the same grant and the same times apply.
fn again(log: &dyn Log, message: Message) -> Original {
    let key = message.key_str().to_owned();
    if partition_of(&key, log.partitions(message.topic)) != message.partition {
        return Original::Kept("it was partitioned by something else than its key: send it from where it came");
    }
    let of = format!("{}/{}/{}", message.topic, message.partition, message.offset);
    let mut headers = message.headers;
    headers.retain(|(name, _)| name != REPLAY_OF);
    headers.push((REPLAY_OF.to_owned(), of));
    let key_bytes: Bytes = message.key;
    let output = Output { topic: message.topic, partition_key: key, key: key_bytes, value: message.value, headers };
    Original::There(Box::new(output))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tributary_stream::clock::SystemClock;
    use tributary_stream::{EmbeddedLog, EmbeddedSettings};

    use super::*;

    fn log(directory: &std::path::Path) -> EmbeddedLog {
        EmbeddedLog::open(directory, EmbeddedSettings::default(), Arc::new(SystemClock)).unwrap()
    }

    fn output(topic: Topic, partition_key: &str, key: &str, value: Vec<u8>) -> Output {
        let key = Bytes::from(key.to_owned());
        Output { topic, partition_key: partition_key.to_owned(), key, value: Some(value.into()), headers: Vec::new() }
    }

    #[test]
    fn originals_are_found_by_their_coordinates_or_said_to_be_gone() {
        let directory = tempfile::tempdir().unwrap();
        let log = log(directory.path());
        let producer = log.producer().unwrap();
        let end = producer.append(vec![output(Topic::RawScanner, "k", "k", b"body".to_vec())]).unwrap()[0];
        let at = |topic: Topic, partition, offset| Origin { topic: topic.name().to_owned(), partition, offset };
        let origin = at(Topic::RawScanner, end.partition, end.next as i64 - 1);
        let Original::There(found) = original(&log, &origin).unwrap() else { panic!("it is there") };
        assert_eq!((found.value.as_deref(), found.headers[0].0.as_str()), (Some(&b"body"[..]), REPLAY_OF));
        assert_eq!(original(&log, &at(Topic::RawScanner, end.partition, 99)).unwrap(), Original::Gone);
        let kept = |origin: Origin| matches!(original(&log, &origin).unwrap(), Original::Kept(_));
        assert!(kept(at(Topic::Findings, 0, 0)) && kept(at(Topic::Facts, 0, -1)));
        assert!(kept(Origin { topic: "assess".to_owned(), partition: 0, offset: -1 }));
        let odd = producer.append(vec![output(Topic::Observations, "asset", "part-1", vec![1])]).unwrap()[0];
        let elsewhere = partition_of("part-1", log.partitions(Topic::Observations)) != odd.partition;
        assert_eq!(kept(at(Topic::Observations, odd.partition, odd.next as i64 - 1)), elsewhere);
    }

    #[test]
    fn lists_filter_and_name_a_record_once() {
        let directory = tempfile::tempdir().unwrap();
        let log = log(directory.path());
        let reject = |offset, code: &str, at| {
            let origin = Origin { topic: "raw.scanner".to_owned(), partition: 0, offset };
            let reject =
                Reject { origin, stage: "ingest".into(), code: code.into(), rejected_at: at, ..Reject::default() };
            output(Topic::Rejects, "k", "k", reject.encode().unwrap())
        };
        let rejects = vec![reject(1, "truncated", 10), reject(1, "truncated", 30), reject(2, "no_asset", 20)];
        log.producer().unwrap().append(rejects).unwrap();
        let times = |filter: Filter, at_most| -> Vec<Millis> {
            list(&log, &filter, at_most).unwrap().iter().map(|reject| reject.rejected_at).collect()
        };
        assert_eq!(times(Filter::default(), 9), [20, 30]);
        assert_eq!(times(Filter::default(), 1), [30]);
        assert_eq!(times(Filter { code: Some("no_asset".into()), ..Filter::default() }, 9), [20]);
        assert_eq!(times(Filter { since: Some(25), ..Filter::default() }, 9), [30]);
        assert_eq!(times(Filter { until: Some(25), ..Filter::default() }, 9), [10, 20]);
        assert!(times(Filter { topic: Some("facts".into()), ..Filter::default() }, 9).is_empty());
    }
}
