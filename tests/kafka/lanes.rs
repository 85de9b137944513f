//! A mountain of old reports in the bulk lane: what somebody waits for comes through as if it were not there (F17).

use bytes::Bytes;
use tributary_model::record::RawClass;
use tributary_model::risk::Risk;
use tributary_model::time::Millis;
use tributary_model::{AvroRecord, Topic};
use tributary_stream::log::Log;
use tributary_stream::{KafkaLog, Output};

use crate::check::{histories_are_whole, latest, rejects};
use crate::fleet::{Fleet, wait_until};
use crate::up::Post;

/// So many old reports of so many findings each: about sixteen shares of what the lane lets in at once.
const OLD_REPORTS: usize = 4_000;
const OLD_FINDINGS: usize = 4;

fn report(findings: usize) -> String {
    let result = |n: usize| {
        format!(
            r#"{{"check_id":"python.eval-{n}","path":"app/views{n}.py","start":{{"line":3,"col":1}},"end":{{"line":3,"col":9}},"extra":{{"message":"eval of input","severity":"ERROR","metadata":{{}},"lines":"eval(x{n})"}}}}"#
        )
    };
    let results: Vec<String> = (0..findings).map(result).collect();
    format!(
        r#"{{"version":"1.100.0","results":[{}],"errors":[],"paths":{{"scanned":["app/views.py"]}}}}"#,
        results.join(",")
    )
}

fn old() -> Vec<Output> {
    let body = Bytes::from(report(OLD_FINDINGS));
    let record = |n: usize| {
        let repository = format!("github.com/acme/old-{n}");
        Output {
            topic: RawClass::Scanner.bulk_topic(),
            partition_key: repository.clone(),
            key: Bytes::from(repository.clone()),
            value: Some(body.clone()),
            headers: vec![("repo".to_owned(), repository)],
        }
    };
    (0..OLD_REPORTS).map(record).collect()
}

fn waiting(log: &KafkaLog) -> u64 {
    log.lag("ingest-bulk", &Topic::BULK).unwrap().iter().map(|lag| lag.behind).sum()
}

/// When each risk of these repositories was told last, milliseconds since the epoch.
fn risks_of(log: &KafkaLog, repository: &str) -> Vec<Millis> {
    let risks = latest(log, Topic::Risks).into_values();
    let risks = risks.map(|message| (Risk::decode(message.value.as_deref().unwrap()).unwrap(), message.timestamp));
    let is_its = |risk: &Risk| risk.evidence.iter().any(|evidence| evidence.asset.contains(repository));
    risks.filter(|(risk, _)| is_its(risk)).map(|(_, told)| told).collect()
}

#[test]
fn bulk_never_delays_interactive_work() {
    let mut fleet = Fleet::new(None);
    let log = fleet.log();
    fleet.start("ingest-0");
    fleet.start("correlate-0");
    fleet.wait_ready();
    log.producer().unwrap().append(old()).unwrap();
    wait_until("bulk is at work", || (1..OLD_REPORTS as u64 * 9 / 10).contains(&waiting(&log)));
    let headers =
        [("ce-repo", "https://github.com/acme/urgent")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let waited = waiting(&log) as usize;
    fleet.post(&Post { path: "/v1/events/scanner".to_owned(), headers: headers.into(), body: report(1).into_bytes() });
    wait_until("the urgent report is a risk", || risks_of(&log, "acme/urgent").len() == 1);
    fleet.wait_done(&log);
    let (urgent, old) = (risks_of(&log, "acme/urgent")[0], risks_of(&log, "acme/old-"));
    // By the log's own clock, so that it does not count how quickly a test looks.
    let behind = old.iter().filter(|told| **told > urgent).count() / OLD_FINDINGS;
    println!("{behind} of {waited} old reports that waited came after the urgent one");
    assert!(behind > waited / 2, "{behind} of {waited} old ones came after it: it was behind most of them");
    assert_eq!(old.len(), OLD_REPORTS * OLD_FINDINGS, "and all of them came");
    assert_eq!(rejects(&log).len(), 0);
    histories_are_whole(&log);
}
