//! A bell that ends another thread's wait: records arrived, a notice is pending, the process drains.
//! Ringing before the wait begins is not lost.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Handle of a bell; clones ring the same one.
#[derive(Debug, Clone, Default)]
pub struct Waker(Arc<Bell>);

#[derive(Debug, Default)]
struct Bell {
    state: Mutex<State>,
    condition: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rung: bool,
    nudged: bool,
}

impl Waker {
    /// Ends the current wait, or the next one at once.
    pub fn ring(&self) {
        self.lock().rung = true;
        self.0.condition.notify_all();
    }

    /// Ends a wait without counting as a ring: whoever waits looks around and waits on.
    pub(crate) fn nudge(&self) {
        self.lock().nudged = true;
        self.0.condition.notify_all();
    }

    /// Waits until rung or nudged, at most so long; answers whether it was rung, and silences it.
    pub fn wait(&self, at_most: Duration) -> bool {
        let is_quiet = |state: &mut State| !state.rung && !state.nudged;
        let (mut state, _) =
            self.0.condition.wait_timeout_while(self.lock(), at_most, is_quiet).unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *state).rung
    }

    /// Silences it; answers whether it was rung.
    pub fn take(&self) -> bool {
        std::mem::take(&mut *self.lock()).rung
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
