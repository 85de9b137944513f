//! What is measured, whatever it runs on.

use std::time::{Duration, Instant};

use crate::client::Client;
use crate::estate::Estate;
use crate::print::line;
use crate::process::{cpu_seconds, resident_bytes};

/// Longest that one phase may take.
pub const PHASE_MAX: Duration = Duration::from_secs(900);

/// A running Tributary.
pub trait Pipeline: Sync {
    /// Its intake and its ClickHouse.
    fn client(&self) -> &Client;

    /// Waits until nothing is left to do anywhere; answers when the last row was seen to be stored.
    fn until_idle(&self) -> anyhow::Result<Instant>;

    /// Its processes by what they are.
    fn processes(&self) -> Vec<(&'static str, u32)>;

    /// Does something and waits until nothing is left to do.
    fn measured(&self, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Phase>
    where
        Self: Sized,
    {
        let cpu = || self.processes().into_iter().map(|(name, pid)| (name, cpu_seconds(pid))).collect::<Vec<_>>();
        let (before, begun) = (cpu(), Instant::now());
        work()?;
        let stored = self.until_idle()?;
        let (seconds, after) = ((stored - begun).as_secs_f64(), cpu());
        let used = before.iter().zip(after).map(|((name, before), (_, after))| (*name, after - before)).collect();
        Ok(Phase { seconds, cpu: used })
    }

    /// Sends every record of an estate and waits until the last row is stored.
    fn phase(&self, estate: &Estate, senders: usize) -> anyhow::Result<Phase>
    where
        Self: Sized,
    {
        self.measured(|| self.client().send(estate, senders, |_| ()))
    }

    /// Prints what is resident; answers bytes by process.
    fn print_resident(&self) -> Vec<(&'static str, f64)> {
        let resident: Vec<_> = self.processes().into_iter().map(|(name, pid)| (name, resident_bytes(pid))).collect();
        for (name, bytes) in &resident {
            line(&format!("  resident, {name}, MiB"), "–", bytes / 1_048_576.0);
        }
        resident
    }
}

/// What one phase took.
pub struct Phase {
    pub seconds: f64,
    /// Processor seconds by process.
    pub cpu: Vec<(&'static str, f64)>,
}

impl Phase {
    /// Prints processor time by process, for a million of what was done.
    pub fn print_cpu(&self, what: &str, count: f64) {
        for (name, seconds) in &self.cpu {
            line(&format!("  CPU seconds per million {what}, {name}"), "–", seconds / count * 1e6);
        }
    }
}
