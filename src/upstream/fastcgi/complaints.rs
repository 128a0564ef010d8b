//! What an application says beside its output: counted, and the beginning of it told to the operator, at most a line
//! a second for each server.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Instant;

use crate::observe;
use crate::upstream::endpoint::Endpoint;
use crate::wire::clock;

/// Bytes that are kept of one request's.
const KEPT: usize = 400;

/// Those of one request; told when it is over.
#[derive(Debug)]
pub struct Complaints {
    endpoint: Arc<Endpoint>,
    beginning: Vec<u8>,
    /// All bytes, also those that are not kept.
    bytes: u64,
}

impl Complaints {
    pub fn of(endpoint: &Arc<Endpoint>) -> Complaints {
        Complaints { endpoint: endpoint.clone(), beginning: Vec::new(), bytes: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub fn note(&mut self, text: &[u8]) {
        let room = KEPT - self.beginning.len();
        self.beginning.extend_from_slice(&text[..text.len().min(room)]);
        self.bytes += text.len() as u64;
    }
}

impl Drop for Complaints {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let Endpoint { counters, label, group, .. } = &*self.endpoint;
        counters.complaints.fetch_add(1, Relaxed);
        let second = u64::from(clock::millis(Instant::now()) / 1000);
        // 0 is never.
        if counters.complaint_told.swap(second + 1, Relaxed) == second + 1 {
            return;
        }
        let upstream = group.upgrade().map(|group| group.name.clone()).unwrap_or_default();
        let text = told(&self.beginning, self.bytes);
        observe::notice(&format!("upstream {upstream}: the application at {label} says: {text}"));
    }
}

/// On one line, and with nothing in it that a terminal would act on or show in another order.
fn told(beginning: &[u8], bytes: u64) -> String {
    let text = String::from_utf8_lossy(beginning.trim_ascii());
    let mut line = String::with_capacity(text.len() + 40);
    for character in text.chars() {
        match character {
            ' '..='~' | char::REPLACEMENT_CHARACTER => line.push(character),
            character if character.is_alphanumeric() => line.push(character),
            character => line.extend(character.escape_default()),
        }
    }
    let left = bytes.saturating_sub(beginning.len() as u64);
    if left > 0 {
        line.push_str(&format!(" ... ({left} more bytes)"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_one_line_and_harmless() {
        assert_eq!(told(b"PHP Notice: x\nin y\n", 19), "PHP Notice: x\\nin y");
        assert_eq!(told("Grüße\u{202e}\u{2028}x".as_bytes(), 14), "Grüße\\u{202e}\\u{2028}x");
        assert_eq!(told(b"\x1b[2J\xff", 5), "\\u{1b}[2J\u{fffd}");
        assert_eq!(told(&[b'a'; KEPT], 1000), format!("{} ... (600 more bytes)", "a".repeat(KEPT)));
    }
}
