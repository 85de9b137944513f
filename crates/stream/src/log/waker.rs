//! A bell that ends another thread's wait: records arrived, a notice is pending, the process drains.
//! Ringing before the wait begins is not lost.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Handle of a bell; clones ring the same one.
#[derive(Debug, Clone, Default)]
pub struct Waker(Arc<Bell>);

#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<bool>,
    condition: Condvar,
}

impl Waker {
    /// Ends the current wait, or the next one at once.
    pub fn ring(&self) {
        *self.0.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.condition.notify_all();
    }

    /// Waits until rung, at most so long; answers whether it was rung, and silences it.
    pub fn wait(&self, at_most: Duration) -> bool {
        let rung = self.0.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rung, _) =
            self.0.condition.wait_timeout_while(rung, at_most, |rung| !*rung).unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *rung)
    }

    /// Silences it; answers whether it was rung.
    pub fn take(&self) -> bool {
        std::mem::take(&mut *self.0.rung.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
