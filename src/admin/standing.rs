//! What the process is: its version, its age, where it listens.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Of the process; it lives on over reloads, which change its listeners.
#[derive(Debug)]
pub struct Standing {
    started: Instant,
    workers: usize,
    /// Name and address, in the order in which they were opened.
    listeners: Mutex<Vec<(String, String)>>,
}

impl Standing {
    pub fn new(workers: usize) -> Standing {
        Standing { started: Instant::now(), workers, listeners: Mutex::default() }
    }

    pub fn set_listeners(&self, listeners: Vec<(String, String)>) {
        *self.listeners.lock().unwrap_or_else(PoisonError::into_inner) = listeners;
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "version     {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "up          {}", age(self.started.elapsed()))?;
        writeln!(f, "workers     {}", self.workers)?;
        for (name, address) in self.listeners.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            writeln!(f, "listener    {name} on {address}")?;
        }
        Ok(())
    }
}

/// In the two largest units that say something.
fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        for (seconds, said) in [(0, "0s"), (59, "59s"), (61, "1m1s"), (7322, "2h2m"), (90_000, "1d1h")] {
            assert_eq!(age(Duration::from_secs(seconds)), said);
        }
    }
}
