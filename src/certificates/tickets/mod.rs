//! Session tickets: what a client shows to go on where it was, without a whole handshake. The client
//! keeps the session, encrypted by a key that only we have; so every worker, and every machine with the same
//! keys, can resume it, and nothing is stored here.
//!
//! ```text
//! key id (16) | issued, seconds (8) | nonce (12) | encrypted session | tag (16)
//! ```
//!
//! A ticket holds under the policy that it was made under and under no other: the policy is authenticated
//! with it. So does a change of the authorities end the tickets that they vouched for.

mod keys;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::aead::{Aad, Nonce};
use rustls::server::ProducesTickets;

pub use self::keys::TicketKeys;
use self::keys::{ID, Key};
use crate::certificates::Seconds;
use crate::certificates::digest::Digest;

/// Keys of our own are replaced after this; the one before still decrypts. What was recorded can be read by
/// whoever takes the keys out of the memory within twice this time.
const ROTATION: Seconds = 12 * 3600;
/// Of tickets whose policy asks no client for a certificate.
const LIFETIME: u32 = 12 * 3600;
/// What a certificate proved is not believed for longer: it may have been revoked or replaced.
const LIFETIME_WITH_CERTIFICATE: u32 = 3600;

const ISSUED: usize = 8;
const NONCE: usize = 12;
/// A session has at most the client's certificates in it; more is no ticket of ours.
const MAX_TICKET: usize = 64 << 10;

/// The keys of now, shared by all workers and kept over reloads.
#[derive(Debug, Default)]
pub(in crate::certificates) struct Ring {
    keys: RwLock<Keys>,
    /// Keys of a file are replaced with the file only.
    from_file: bool,
}

/// The first encrypts, all decrypt.
#[derive(Debug, Default)]
struct Keys {
    keys: Vec<Arc<Key>>,
    since: Seconds,
}

impl Ring {
    pub(in crate::certificates) fn from_file(keys: &TicketKeys) -> Ring {
        Ring { keys: RwLock::new(Keys { keys: keys.keys.clone(), since: 0 }), from_file: true }
    }

    /// Takes the keys of a changed file.
    pub(in crate::certificates) fn replace(&self, keys: &TicketKeys) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).keys = keys.keys.clone();
    }

    /// `None` when there is no key, as the system has no random bytes.
    pub(in crate::certificates) fn seal(
        &self,
        policy: &Digest,
        session: &[u8],
        now: Seconds,
    ) -> Option<Vec<u8>> {
        let key = self.current(now)?;
        let issued = now.to_be_bytes();
        let mut sealed = session.to_vec();
        let bound = bound(policy, &key.id, &issued);
        let nonce = key.cipher.seal_in_place_append_tag(Aad::from(&bound), &mut sealed).ok()?;
        Some([&key.id, issued.as_slice(), nonce.as_ref(), &sealed].concat())
    }

    /// The session of a ticket that was issued under this policy at most `lifetime` seconds ago by a key
    /// that is still there. The ticket may be anything.
    pub(in crate::certificates) fn open(
        &self,
        policy: &Digest,
        ticket: &[u8],
        lifetime: u32,
        now: Seconds,
    ) -> Option<Vec<u8>> {
        if ticket.len() > MAX_TICKET {
            return None;
        }
        let (id, rest) = ticket.split_first_chunk::<ID>()?;
        let (issued, rest) = rest.split_first_chunk::<ISSUED>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        let age = now.saturating_sub(Seconds::from_be_bytes(*issued));
        if age > Seconds::from(lifetime) {
            return None;
        }
        let key = self.named(id, now)?;
        let mut session = sealed.to_vec();
        let bound = bound(policy, id, issued);
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = key.cipher.open_in_place(nonce, Aad::from(&bound), &mut session).ok()?.len();
        session.truncate(length);
        Some(session)
    }

    fn current(&self, now: Seconds) -> Option<Arc<Key>> {
        self.rotate(now);
        self.keys.read().unwrap_or_else(PoisonError::into_inner).keys.first().cloned()
    }

    fn named(&self, id: &[u8; ID], now: Seconds) -> Option<Arc<Key>> {
        self.rotate(now);
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.keys.iter().find(|key| key.id == *id).cloned()
    }

    fn rotate(&self, now: Seconds) {
        let due = |keys: &Keys| keys.keys.is_empty() || now.saturating_sub(keys.since) >= ROTATION;
        if self.from_file || !due(&self.keys.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        // Another worker may have been faster.
        if due(&keys) {
            keys.rotate(now);
        }
    }
}

impl Keys {
    fn rotate(&mut self, now: Seconds) {
        // After a long rest the current key is as old as one that went.
        let kept = usize::from(now.saturating_sub(self.since) < 2 * ROTATION);
        self.keys.truncate(kept);
        if let Some(key) = Key::random() {
            self.keys.insert(0, Arc::new(key));
            self.since = now;
        }
    }
}

/// What is authenticated with a session.
fn bound(policy: &Digest, id: &[u8; ID], issued: &[u8; ISSUED]) -> Vec<u8> {
    [policy.as_slice(), id, issued].concat()
}

/// The tickets of one policy, as rustls asks for them.
pub(in crate::certificates) struct Tickets {
    ring: Arc<Ring>,
    policy: Digest,
    lifetime: u32,
}

impl Tickets {
    pub(in crate::certificates) fn new(ring: Arc<Ring>, policy: Digest, with_certificate: bool) -> Tickets {
        let lifetime = if with_certificate { LIFETIME_WITH_CERTIFICATE } else { LIFETIME };
        Tickets { ring, policy, lifetime }
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.lifetime
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.ring.seal(&self.policy, plain, crate::certificates::now())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.ring.open(&self.policy, cipher, self.lifetime, crate::certificates::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Digest = [1; 32];
    const START: Seconds = 1_800_000_000;

    fn opens(ring: &Ring, ticket: &[u8], now: Seconds) -> bool {
        ring.open(&POLICY, ticket, u32::MAX, now).as_deref() == Some(b"session")
    }

    #[test]
    fn a_ticket_is_good_until_the_key_after_the_next() {
        let ring = Ring::default();
        let ticket = ring.seal(&POLICY, b"session", START).unwrap();
        assert!(opens(&ring, &ticket, START));
        assert!(opens(&ring, &ticket, START + ROTATION - 1));
        let second = ring.seal(&POLICY, b"session", START + ROTATION).unwrap();
        assert_ne!(second[..ID], ticket[..ID], "there is a new key");
        assert!(opens(&ring, &ticket, START + ROTATION), "the one before still decrypts");
        assert!(!opens(&ring, &ticket, START + 2 * ROTATION), "two rotations later it does not");
        assert!(opens(&ring, &second, START + 2 * ROTATION));
    }

    #[test]
    fn a_long_rest_counts_as_rotations() {
        let ring = Ring::default();
        let ticket = ring.seal(&POLICY, b"session", START).unwrap();
        assert!(!opens(&ring, &ticket, START + 2 * ROTATION));
    }

    #[test]
    fn a_ticket_ends_with_its_lifetime() {
        let ring = Ring::default();
        let ticket = ring.seal(&POLICY, b"session", START).unwrap();
        let open = |now| ring.open(&POLICY, &ticket, LIFETIME_WITH_CERTIFICATE, now).is_some();
        assert!(open(START + 3600));
        assert!(!open(START + 3601));
        assert!(open(START - 60), "machines with shared keys need not have the same second");
    }

    #[test]
    fn what_is_not_exactly_our_ticket_is_refused() {
        let ring = Ring::default();
        let ticket = ring.seal(&POLICY, b"session", START).unwrap();
        assert_eq!(ring.open(&[2; 32], &ticket, LIFETIME, START), None, "of another policy");
        assert!(!opens(&Ring::default(), &ticket, START), "of another process");
        for at in 0..ticket.len() {
            let mut other = ticket.clone();
            other[at] ^= 1;
            assert!(!opens(&ring, &other, START), "byte {at} was changed");
            assert!(!opens(&ring, &ticket[..at], START), "cut to {at} bytes");
        }
        assert!(!opens(&ring, &vec![0; MAX_TICKET + 1], START));
    }

    #[test]
    fn tickets_differ_though_sessions_do_not() {
        let ring = Ring::default();
        let ticket = || ring.seal(&POLICY, b"session", START).unwrap();
        assert_ne!(ticket(), ticket());
    }
}
