//! A connection that did not come about since the proxy, or its machine, was out of descriptors, ports or
//! memory. That says nothing about the endpoint: whoever looks after endpoints takes it for no outcome.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::connect::classify;
use crate::message::Failure;
use crate::observe::notice;

const BETWEEN_COMPLAINTS: Duration = Duration::from_secs(10);

/// Whether the endpoint is not to blame for a connect that failed.
pub fn is_ours(error: &io::Error) -> bool {
    matches!(classify(error), Failure::OutOfFiles | Failure::OutOfPorts)
}

/// Tells the operator, once in a while.
pub fn complain(error: &io::Error) {
    static COMPLAINTS: Mutex<Complaints> = Mutex::new(Complaints { next: None });
    if COMPLAINTS.lock().expect("no panic while held").is_due(Instant::now()) {
        notice(&format!("cannot check endpoints for now, they are taken to be as before: {error}"));
    }
}

struct Complaints {
    next: Option<Instant>,
}

impl Complaints {
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.next.is_none_or(|next| next <= now);
        if is_due {
            self.next = Some(now + BETWEEN_COMPLAINTS);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_want_of_our_own_is_told_apart() {
        let too_many_files = io::Error::from_raw_os_error(24);
        assert!(is_ours(&too_many_files));
        assert!(is_ours(&io::ErrorKind::AddrNotAvailable.into()));
        assert!(!is_ours(&io::ErrorKind::ConnectionRefused.into()));
        assert!(!is_ours(&io::ErrorKind::HostUnreachable.into()));
    }

    #[test]
    fn complaints_are_rare() {
        let (mut complaints, now) = (Complaints { next: None }, Instant::now());
        let told = (0..30).filter(|second| complaints.is_due(now + Duration::from_secs(*second)));
        assert_eq!(told.collect::<Vec<_>>(), [0, 10, 20]);
    }
}
