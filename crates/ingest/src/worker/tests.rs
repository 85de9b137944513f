//! The worker over the embedded log: what is committed together, what comes again, what never stops a partition.

use tributary_model::observation::Observation;
use tributary_model::record::header;
use tributary_model::topic::partition_of;
use tributary_stream::clock::ManualClock;
use tributary_stream::log::{Reader, Start};
use tributary_stream::{EmbeddedLog, EmbeddedSettings};

use super::*;
use crate::secret::HmacHasher;

fn shared(settings: IngestSettings) -> Shared {
    let secrets = Arc::new(HmacHasher::new(&[7; 32]).unwrap());
    Shared { grants: Arc::new(Grants::everything()), secrets, settings }
}

fn open(directory: &std::path::Path) -> EmbeddedLog {
    let settings = EmbeddedSettings { partitions: Some(2), ..EmbeddedSettings::default() };
    EmbeddedLog::open(directory, settings, Arc::new(ManualClock::at(1_000))).unwrap()
}

fn raw(class: RawClass, key: &str, body: &str) -> Output {
    let headers = vec![(header::REPO.to_owned(), "github.com/acme/shop".to_owned())];
    Output {
        topic: class.topic(),
        partition_key: key.into(),
        key: key.to_owned().into(),
        value: Some(body.to_owned().into()),
        headers,
    }
}

/// Works until everything that is on the log now is committed.
fn drain(log: &EmbeddedLog, worker: &mut IngestWorker, records: usize) {
    let mut done = 0;
    for _ in 0..1000 {
        done += worker.turn(Duration::from_millis(20)).unwrap();
        if done >= records {
            break;
        }
    }
    assert_eq!(done, records, "{:?}", log.committed(GROUP).unwrap());
}

fn read(log: &EmbeddedLog, topic: Topic) -> Vec<Message> {
    let partitions: Vec<(Topic, u32)> = (0..log.partitions(topic)).map(|partition| (topic, partition)).collect();
    let mut reader: Box<dyn Reader> = log.reader(&partitions, &Start::Beginning).unwrap();
    let budget = Budget { records: 10_000, bytes: 64 << 20, wait: Duration::ZERO };
    let mut messages = Vec::new();
    loop {
        let read = reader.read(budget).unwrap();
        messages.extend(read.messages);
        if read.at_end {
            return messages;
        }
    }
}

const SEMGREP: &str = r#"{"version":"1.100.0","results":[{"check_id":"python.eval","path":"app/views.py","start":{"line":3,"col":1},"end":{"line":3,"col":9},"extra":{"message":"eval of input","severity":"ERROR","metadata":{},"lines":"eval(x)"}}],"errors":[],"paths":{"scanned":["app/views.py"]}}"#;

#[test]
fn every_record_becomes_events_or_one_reject_and_positions_move() {
    for threads in [1, 3] {
        let directory = tempfile::tempdir().unwrap();
        let log = open(directory.path());
        let bodies = ["", "{", "nonsense", SEMGREP, "{\"took\":1}", "* @acme/platform\n", SEMGREP];
        let records =
            bodies.iter().enumerate().map(|(n, body)| raw(RawClass::ALL[n], &format!("k{n}"), body)).collect();
        log.producer().unwrap().append(records).unwrap();
        let settings = IngestSettings { threads, transaction_bytes: 1, ..IngestSettings::default() };
        let mut worker = IngestWorker::new(&log, shared(settings), 0, 1).unwrap();
        drain(&log, &mut worker, bodies.len());
        let rejects: Vec<Reject> =
            read(&log, Topic::Rejects).iter().map(|m| Reject::decode(m.value.as_ref().unwrap()).unwrap()).collect();
        let mut codes: Vec<&str> = rejects.iter().map(|reject| reject.code.as_str()).collect();
        codes.sort_unstable();
        assert_eq!(codes, ["empty", "truncated", "unknown_format", "unknown_format"]);
        let seen: Vec<Observation> = read(&log, Topic::Observations)
            .iter()
            .map(|m| Observation::decode(m.value.as_ref().unwrap()).unwrap())
            .collect();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].scan.as_ref().unwrap().scan_id, seen[1].scan.as_ref().unwrap().scan_id, "the same report");
        assert!(!read(&log, Topic::Facts).is_empty());
        // A new worker finds nothing left to do.
        let before = read(&log, Topic::Rejects).len();
        let mut next = IngestWorker::new(&log, shared(settings), 0, 1).unwrap();
        for _ in 0..3 {
            assert_eq!(next.turn(Duration::ZERO).unwrap(), 0);
        }
        assert_eq!(read(&log, Topic::Rejects).len(), before);
    }
}

#[test]
fn a_record_that_makes_too_much_is_a_reject() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let result = &SEMGREP[SEMGREP.find("{\"check_id").unwrap()..SEMGREP.find("],\"errors").unwrap()];
    let results: Vec<String> = (0..50).map(|n| result.replace("views.py", &format!("views{n}.py"))).collect();
    let many = SEMGREP.replace(result, &results.join(","));
    log.producer()
        .unwrap()
        .append(vec![raw(RawClass::Scanner, "a", &many), raw(RawClass::Catalog, "b", "* @acme/x\n")])
        .unwrap();
    let settings = IngestSettings { record_outputs_bytes_max: 1_000, ..IngestSettings::default() };
    let mut worker = IngestWorker::new(&log, shared(settings), 0, 1).unwrap();
    drain(&log, &mut worker, 2);
    let rejects = read(&log, Topic::Rejects);
    assert_eq!(rejects.len(), 1);
    assert_eq!(Reject::decode(rejects[0].value.as_ref().unwrap()).unwrap().code, "too_large");
    assert_eq!(read(&log, Topic::Facts).len(), 1, "the record behind it went on");
}

/// The log's worker, noting which topics each commit writes to.
struct Noting {
    inner: Box<dyn Worker>,
    commits: Arc<Mutex<Vec<BTreeSet<Topic>>>>,
}

impl Worker for Noting {
    fn poll(&mut self, budget: Budget) -> Result<Polled, LogError> {
        self.inner.poll(budget)
    }

    fn committed(&self, partitions: &[u32]) -> Result<Vec<Checkpoint>, LogError> {
        self.inner.committed(partitions)
    }

    fn start(&mut self, partitions: &[u32]) -> Result<(), LogError> {
        self.inner.start(partitions)
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        self.commits.lock().unwrap().push(transaction.outputs.iter().map(|output| output.topic).collect());
        self.inner.commit(transaction)
    }

    fn rewind(&mut self) -> Result<(), LogError> {
        self.inner.rewind()
    }

    fn hold(&mut self, places: &BTreeSet<Place>) -> Result<(), LogError> {
        self.inner.hold(places)
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }
}

#[test]
fn what_tells_of_surroundings_is_committed_before_the_scans_of_its_batch() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let raws = [(RawClass::Scanner, SEMGREP), (RawClass::Catalog, "* @acme/platform\n"), (RawClass::Scanner, SEMGREP)];
    let records = raws.iter().enumerate().map(|(n, (class, body))| raw(*class, &format!("k{n}"), body)).collect();
    log.producer().unwrap().append(records).unwrap();
    let mut worker = IngestWorker::new(&log, shared(IngestSettings::default()), 0, 1).unwrap();
    let commits = Arc::default();
    worker.worker = Box::new(Noting { inner: worker.worker, commits: Arc::clone(&commits) });
    drain(&log, &mut worker, raws.len());
    assert_eq!(*commits.lock().unwrap(), [BTreeSet::from([Topic::Facts]), BTreeSet::from([Topic::Observations])]);
}

#[test]
fn a_worker_stops_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let mut worker = IngestWorker::new(&log, shared(IngestSettings::default()), 0, 1).unwrap();
    let (waker, stop) = (worker.waker(), Arc::new(AtomicBool::new(false)));
    let flag = Arc::clone(&stop);
    let thread = std::thread::spawn(move || worker.run(&flag));
    stop.store(true, Ordering::Relaxed);
    waker.ring();
    assert!(thread.join().unwrap().is_ok());
}

#[test]
fn a_partition_of_rubbish_is_paused_says_so_and_goes_on_without_a_loss() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let pause = Duration::from_millis(300);
    let breaker = BreakerSettings { window: 10, probes: 5, pause, pause_max: pause, ..BreakerSettings::default() };
    let settings = IngestSettings { breaker: Some(breaker), ..IngestSettings::default() };
    let mut worker = IngestWorker::new(&log, shared(settings), 0, 1).unwrap();
    let other = (0..100).map(|n| format!("k{n}")).find(|key| partition_of(key, 2) != partition_of("bad", 2)).unwrap();
    let bad = |n: usize| raw(RawClass::Scanner, "bad", &format!("rubbish {n}"));
    log.producer().unwrap().append((0..30).map(bad).collect()).unwrap();
    let rejects = || read(&log, Topic::Rejects).len();
    while worker.state().paused().is_empty() {
        worker.turn(Duration::from_millis(5)).unwrap();
    }
    assert!(worker.state().paused()[0].contains("rejects list"), "{:?}", worker.state().paused());
    let paused_at = rejects();
    assert!((10..30).contains(&paused_at), "the rest waits: {paused_at}");
    // Another partition of the same topic goes on meanwhile.
    log.producer().unwrap().append(vec![raw(RawClass::Scanner, &other, SEMGREP)]).unwrap();
    while read(&log, Topic::Observations).is_empty() {
        worker.turn(Duration::from_millis(5)).unwrap();
    }
    // The fault is repaired: what comes now is good. What waits before it is tried piece by piece.
    log.producer().unwrap().append(vec![raw(RawClass::Scanner, "bad", SEMGREP)]).unwrap();
    while log.lag(GROUP, &[Topic::RawScanner]).unwrap().iter().any(|lag| lag.behind > 0) {
        worker.turn(Duration::from_millis(5)).unwrap();
    }
    assert_eq!(rejects(), 30, "every bad record is one reject, no more and no less");
    assert_eq!(read(&log, Topic::Observations).len(), 2, "both reports");
    worker.turn(Duration::ZERO).unwrap();
    assert!(worker.state().paused().is_empty());
}

#[test]
fn bulk_comes_when_interactive_work_is_done_and_opens_as_backfill() {
    let directory = tempfile::tempdir().unwrap();
    let log: Arc<dyn Log> = Arc::new(open(directory.path()));
    let mut bulk = IngestWorker::bulk(Arc::clone(&log), shared(IngestSettings::default()), 0, 1).unwrap();
    let mut interactive = IngestWorker::new(log.as_ref(), shared(IngestSettings::default()), 0, 1).unwrap();
    let of_bulk = |n: usize| {
        let mut record = raw(RawClass::Scanner, &format!("k{n}"), SEMGREP);
        record.topic = RawClass::Scanner.bulk_topic();
        record
    };
    let producer = log.producer().unwrap();
    producer.append((0..5).map(of_bulk).collect()).unwrap();
    producer.append((0..100).map(|n| raw(RawClass::Catalog, &format!("k{n}"), "* @acme/x\n")).collect()).unwrap();
    for _ in 0..10 {
        assert_eq!(bulk.turn(Duration::from_millis(5)).unwrap(), 0, "it waits");
    }
    let mut done = 0;
    while done < 100 {
        done += interactive.turn(Duration::from_millis(5)).unwrap();
    }
    done = 0;
    while done < 5 {
        done += bulk.turn(Duration::from_millis(5)).unwrap();
    }
    assert_eq!(log.lag(BULK_GROUP, &Topic::BULK).unwrap().iter().map(|lag| lag.behind).sum::<u64>(), 0);
    let partitions: Vec<_> = (0..2).map(|partition| (Topic::Observations, partition)).collect();
    let mut reader = log.reader(&partitions, &Start::Beginning).unwrap();
    let budget = Budget { records: 100, bytes: 1 << 20, wait: Duration::ZERO };
    let read = reader.read(budget).unwrap().messages;
    let backfills = read.iter().map(|m| Observation::decode(m.value.as_ref().unwrap()).unwrap().backfill);
    assert_eq!(backfills.collect::<Vec<_>>(), [true; 5], "also where no header says so");
}
