//! The circuit breaker: when nearly everything that comes on one partition is bad, the fault is rather here (a release that lost a
//! format, a wrong setting) than there, and to turn a day of reports into rejects helps nobody. The partition is paused; what is
//! on it stays on the log. From time to time a few records are tried; one good one opens it again.
//!
//! ```text
//! closed ──(≥ 90 of the last 100 bad)──► paused 30 s, then twice as long, at most 5 min ──► probing (10 records)
//!    ▲                                        ▲                                               │ all bad
//!    └──────────── one good record ───────────┼───────────────────────────────────────────────┤
//!    passing ◄── paused for an hour in all ───┴───────────────────────────────────────────────┘
//! ```
//! After an hour it is passed by, whatever comes: retention (at least a day) must never take what nobody looked at. Every record
//! then becomes its reject, and can be sent again later.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use tributary_model::Topic;

/// A partition of a topic.
pub type Place = (Topic, u32);

/// When to pause, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Records that are looked at. 100: one bad producer among ten never fills nine tenths of it.
    pub window: usize,
    /// So many of a hundred bad ones pause the partition.
    pub bad_percent: usize,
    /// The first pause.
    pub pause: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// Records that are tried after a pause. 10: a good one among mostly bad ones is found sooner or later.
    pub probes: usize,
    /// Paused for so long in all, a partition is not paused any more until something good comes.
    pub paused_max: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            window: 100,
            bad_percent: 90,
            pause: Duration::from_secs(30),
            pause_max: Duration::from_secs(300),
            probes: 10,
            paused_max: Duration::from_secs(3_600),
        }
    }
}

/// The breakers of a worker, one a partition.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    places: BTreeMap<Place, Circuit>,
}

#[derive(Debug)]
struct Circuit {
    /// Whether each of the last records was bad.
    last: VecDeque<bool>,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    Paused { since: Instant, until: Instant, pause: Duration },
    Probing { since: Instant, left: usize, pause: Duration },
    Passing,
}

impl Breaker {
    /// Breakers that are all closed.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        Self { settings, places: BTreeMap::new() }
    }

    /// Whether a partition is paused.
    #[must_use]
    pub fn is_paused(&self, place: Place) -> bool {
        self.places.get(&place).is_some_and(|circuit| matches!(circuit.state, State::Paused { .. }))
    }

    /// Takes note of a record; answers whether it pauses its partition.
    pub fn saw(&mut self, place: Place, is_bad: bool, now: Instant) -> bool {
        let settings = self.settings;
        let new = || Circuit { last: VecDeque::new(), state: State::Closed };
        let circuit = self.places.entry(place).or_insert_with(new);
        circuit.last.push_back(is_bad);
        if circuit.last.len() > settings.window {
            circuit.last.pop_front();
        }
        circuit.state = match circuit.state {
            State::Closed if circuit.is_mostly_bad(&settings) => {
                State::Paused { since: now, until: now + settings.pause, pause: settings.pause }
            }
            State::Probing { .. } | State::Passing if !is_bad => {
                circuit.last.clear();
                State::Closed
            }
            State::Probing { since, left, pause } if left <= 1 => {
                let pause = (pause * 2).min(settings.pause_max);
                let is_enough = now.duration_since(since) >= settings.paused_max;
                if is_enough { State::Passing } else { State::Paused { since, until: now + pause, pause } }
            }
            State::Probing { since, left, pause } => State::Probing { since, left: left - 1, pause },
            same => same,
        };
        matches!(circuit.state, State::Paused { .. })
    }

    /// Ends pauses that are over; answers what is paused now.
    pub fn paused(&mut self, now: Instant) -> BTreeSet<Place> {
        let probes = self.settings.probes;
        for circuit in self.places.values_mut() {
            if let State::Paused { since, until, pause } = circuit.state
                && now >= until
            {
                circuit.state = State::Probing { since, left: probes, pause };
            }
        }
        self.places.keys().copied().filter(|place| self.is_paused(*place)).collect()
    }

    /// What is paused and why, in words for an operator.
    #[must_use]
    pub fn reasons(&self, now: Instant) -> Vec<String> {
        let reason = |((topic, partition), circuit): (&Place, &Circuit)| {
            let State::Paused { since, until, .. } = circuit.state else { return None };
            let bad = circuit.last.iter().filter(|is_bad| **is_bad).count();
            Some(format!(
                "{topic}/{partition} is paused since {} s: {bad} of its last {} records were rejected; `tributary rejects \
                 list --topic {topic}` says why; it is tried again in {} s",
                now.duration_since(since).as_secs(),
                circuit.last.len(),
                until.saturating_duration_since(now).as_secs()
            ))
        };
        self.places.iter().filter_map(reason).collect()
    }
}

impl Circuit {
    fn is_mostly_bad(&self, settings: &BreakerSettings) -> bool {
        let bad = self.last.iter().filter(|is_bad| **is_bad).count();
        self.last.len() >= settings.window && bad * 100 >= settings.window * settings.bad_percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = (Topic::RawScanner, 3);
    const OTHER: Place = (Topic::RawScanner, 2);

    fn fed(breaker: &mut Breaker, bad: usize, now: Instant) -> usize {
        (0..bad).take_while(|_| !breaker.saw(PLACE, true, now)).count()
    }

    #[test]
    fn it_pauses_probes_and_closes() {
        let (begun, mut breaker) = (Instant::now(), Breaker::new(BreakerSettings::default()));
        for n in 0..500 {
            assert!(
                !breaker.saw(PLACE, n % 2 == 0, begun),
                "half of it is bad, and that is somebody's fault elsewhere"
            );
        }
        assert!(fed(&mut breaker, 100, begun) < 100);
        assert_eq!(breaker.paused(begun), [PLACE].into());
        assert!(!breaker.is_paused(OTHER));
        assert!(breaker.reasons(begun)[0].contains("raw.scanner/3 is paused"), "{:?}", breaker.reasons(begun));
        let later = begun + Duration::from_secs(30);
        assert!(breaker.paused(later).is_empty(), "it is tried");
        assert_eq!(fed(&mut breaker, 100, later), 9, "ten bad ones, and it is paused again");
        assert!(!breaker.paused(later + Duration::from_secs(59)).is_empty(), "twice as long");
        assert!(breaker.paused(later + Duration::from_secs(60)).is_empty());
        assert!(!breaker.saw(PLACE, false, later), "one good one closes it");
        assert_eq!(fed(&mut breaker, 99, later), 99, "and it begins to count anew");
    }

    #[test]
    fn it_never_pauses_for_longer_than_an_hour_in_all() {
        let (begun, mut breaker) = (Instant::now(), Breaker::new(BreakerSettings::default()));
        let mut now = begun;
        fed(&mut breaker, 100, now);
        for _ in 0..100 {
            now += Duration::from_secs(300);
            breaker.paused(now);
            fed(&mut breaker, 10, now);
        }
        assert!(breaker.paused(now).is_empty(), "what comes is passed by");
        assert_eq!(fed(&mut breaker, 1_000, now), 1_000);
        breaker.saw(PLACE, false, now);
        assert!(fed(&mut breaker, 100, now) < 100, "after something good it may pause again");
    }
}
