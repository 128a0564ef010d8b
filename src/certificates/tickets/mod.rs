//! Session tickets: what a client shows to go on where it was, without a whole handshake. The client
//! keeps the session, encrypted by a key that only we have; so every worker, and every machine with the same
//! keys, can resume it, and nothing is stored here.
//!
//! ```text
//! key id (16) | issued, seconds (8) | nonce (12) | encrypted: begun, seconds (8) | session | tag (16)
//! ```
//!
//! A ticket holds under the policy that it was made under and under no other: the policy is authenticated
//! with it. So does a change of the authorities end the tickets that they vouched for.
//!
//! A session that goes on gets new tickets. They carry the time of the handshake that it began with, so that a
//! client cannot go from ticket to ticket for ever (RFC 8446 section 4.6.1).

mod keys;

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
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
const OPEN: Lifetime = Lifetime { of_ticket: 12 * 3600, of_session: 24 * 3600 };
/// What a certificate proved is not believed for longer: it may have been revoked or replaced.
const WITH_CERTIFICATE: Lifetime = Lifetime { of_ticket: 3600, of_session: 3600 };

const TIME: usize = 8;
const NONCE: usize = 12;
/// A session has at most the client's certificates in it; more is no ticket of ours.
const MAX_TICKET: usize = 64 << 10;

/// Tickets that are made otherwise are not ours.
const FORM: &[u8] = b"tickets with the time of the first handshake";

/// How long tickets are good for, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::certificates) struct Lifetime {
    /// From its own issue on.
    of_ticket: u32,
    /// From the handshake on that was not a resumption.
    of_session: u32,
}

/// A session as a ticket has it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::certificates) struct Resumed {
    pub session: Vec<u8>,
    /// When it had a whole handshake.
    pub begun: Seconds,
}

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
        begun: Seconds,
        now: Seconds,
    ) -> Option<Vec<u8>> {
        let key = self.current(now)?;
        let issued = now.to_be_bytes();
        // Encrypted, as it is the same in all tickets of a client and would tell that they are.
        let mut sealed = [&begun.to_be_bytes(), session].concat();
        let bound = bound(policy, &key.id, &issued);
        let nonce = key.cipher.seal_in_place_append_tag(Aad::from(&bound), &mut sealed).ok()?;
        Some([&key.id, issued.as_slice(), nonce.as_ref(), &sealed].concat())
    }

    /// The session of a ticket that was issued under this policy, not too long ago, by a key that is still there.
    /// The ticket may be anything.
    pub(in crate::certificates) fn open(
        &self,
        policy: &Digest,
        ticket: &[u8],
        lifetime: Lifetime,
        now: Seconds,
    ) -> Option<Resumed> {
        if ticket.len() > MAX_TICKET {
            return None;
        }
        let (id, rest) = ticket.split_first_chunk::<ID>()?;
        let (issued, rest) = rest.split_first_chunk::<TIME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        if age(Seconds::from_be_bytes(*issued), now) > Seconds::from(lifetime.of_ticket) {
            return None;
        }
        let key = self.named(id, now)?;
        let mut opened = sealed.to_vec();
        let bound = bound(policy, id, issued);
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = key.cipher.open_in_place(nonce, Aad::from(&bound), &mut opened).ok()?;
        let (begun, session) = opened.split_first_chunk::<TIME>()?;
        let begun = Seconds::from_be_bytes(*begun);
        let lives = age(begun, now) <= Seconds::from(lifetime.of_session);
        lives.then(|| Resumed { session: session.to_vec(), begun })
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

/// Machines that share keys need not have the same second.
fn age(since: Seconds, now: Seconds) -> Seconds {
    now.saturating_sub(since)
}

/// What is authenticated with a session.
fn bound(policy: &Digest, id: &[u8; ID], issued: &[u8; TIME]) -> Vec<u8> {
    [FORM, policy, id, issued].concat()
}

/// The tickets of one policy.
#[derive(Debug, Clone)]
pub(in crate::certificates) struct Tickets {
    ring: Arc<Ring>,
    policy: Digest,
    lifetime: Lifetime,
}

impl Tickets {
    pub(in crate::certificates) fn new(ring: Arc<Ring>, policy: Digest, with_certificate: bool) -> Tickets {
        let lifetime = if with_certificate { WITH_CERTIFICATE } else { OPEN };
        Tickets { ring, policy, lifetime }
    }

    /// For a connection whose handshake begins.
    pub(in crate::certificates) fn of_connection(&self) -> ConnectionTickets {
        ConnectionTickets { tickets: self.clone(), begun: AtomicI64::new(NOT_RESUMED) }
    }
}

/// The tickets of one connection, as rustls asks for them: it opens the one that the client shows, and makes new
/// ones when the handshake is over.
pub(in crate::certificates) struct ConnectionTickets {
    tickets: Tickets,
    /// When the session that the client showed had its whole handshake.
    begun: AtomicI64,
}

/// Later than any session.
const NOT_RESUMED: Seconds = Seconds::MAX;

impl ConnectionTickets {
    fn begun(&self, now: Seconds) -> Seconds {
        self.begun.load(Relaxed).min(now)
    }

    fn lifetime_at(&self, now: Seconds) -> u32 {
        let Lifetime { of_ticket, of_session } = self.tickets.lifetime;
        let left = Seconds::from(of_session).saturating_sub(age(self.begun(now), now));
        of_ticket.min(u32::try_from(left).unwrap_or(u32::MAX))
    }

    fn encrypt_at(&self, session: &[u8], now: Seconds) -> Option<Vec<u8>> {
        self.tickets.ring.seal(&self.tickets.policy, session, self.begun(now), now)
    }

    /// A session that is then not gone on with has a whole handshake, of which its tickets know nothing: they end
    /// early, which costs one more.
    fn decrypt_at(&self, ticket: &[u8], now: Seconds) -> Option<Vec<u8>> {
        let Tickets { ring, policy, lifetime } = &self.tickets;
        let Resumed { session, begun } = ring.open(policy, ticket, *lifetime, now)?;
        self.begun.fetch_min(begun, Relaxed);
        Some(session)
    }
}

impl fmt::Debug for ConnectionTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionTickets").field("lifetime", &self.tickets.lifetime).finish_non_exhaustive()
    }
}

impl ProducesTickets for ConnectionTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.lifetime_at(crate::certificates::now())
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.encrypt_at(plain, crate::certificates::now())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.decrypt_at(cipher, crate::certificates::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Digest = [1; 32];
    const START: Seconds = 1_800_000_000;

    const ALWAYS: Lifetime = Lifetime { of_ticket: u32::MAX, of_session: u32::MAX };

    fn opens(ring: &Ring, ticket: &[u8], now: Seconds) -> bool {
        ring.open(&POLICY, ticket, ALWAYS, now).is_some_and(|resumed| resumed.session == b"session")
    }

    fn seal(ring: &Ring, now: Seconds) -> Vec<u8> {
        ring.seal(&POLICY, b"session", now, now).unwrap()
    }

    #[test]
    fn a_ticket_is_good_until_the_key_after_the_next() {
        let ring = Ring::default();
        let ticket = seal(&ring, START);
        assert!(opens(&ring, &ticket, START));
        assert!(opens(&ring, &ticket, START + ROTATION - 1));
        let second = seal(&ring, START + ROTATION);
        assert_ne!(second[..ID], ticket[..ID], "there is a new key");
        assert!(opens(&ring, &ticket, START + ROTATION), "the one before still decrypts");
        assert!(!opens(&ring, &ticket, START + 2 * ROTATION), "two rotations later it does not");
        assert!(opens(&ring, &second, START + 2 * ROTATION));
    }

    #[test]
    fn a_long_rest_counts_as_rotations() {
        let ring = Ring::default();
        let ticket = seal(&ring, START);
        assert!(!opens(&ring, &ticket, START + 2 * ROTATION));
    }

    #[test]
    fn a_ticket_ends_with_its_lifetime() {
        let ring = Ring::default();
        let ticket = seal(&ring, START);
        let open = |now| ring.open(&POLICY, &ticket, WITH_CERTIFICATE, now).is_some();
        assert!(open(START + 3600));
        assert!(!open(START + 3601));
        assert!(open(START - 60), "machines with shared keys need not have the same second");
    }

    /// Resumes every half hour, with the newest ticket; gives how many seconds that went well, and what was told
    /// of the last tickets' life.
    fn chain(with_certificate: bool) -> (Seconds, u32) {
        let tickets = Tickets::new(Arc::default(), POLICY, with_certificate);
        let first = tickets.of_connection();
        let mut ticket = first.encrypt_at(b"session", START).unwrap();
        let mut told = first.lifetime_at(START);
        let mut now = START;
        loop {
            now += 1800;
            let next = tickets.of_connection();
            if next.decrypt_at(&ticket, now).is_none() {
                return (now - 1800 - START, told);
            }
            ticket = next.encrypt_at(b"session", now).unwrap();
            told = next.lifetime_at(now);
        }
    }

    #[test]
    fn no_chain_of_tickets_is_longer_than_the_session_may_be() {
        assert_eq!(chain(true), (3600, 0));
        assert_eq!(chain(false), (24 * 3600, 0));
    }

    #[test]
    fn a_whole_handshake_begins_anew() {
        let tickets = Tickets::new(Arc::default(), POLICY, true);
        let first = tickets.of_connection();
        let ticket = first.encrypt_at(b"session", START).unwrap();
        let later = START + 3601;
        let second = tickets.of_connection();
        assert_eq!(second.decrypt_at(&ticket, later), None);
        assert_eq!(second.lifetime_at(later), 3600);
        let ticket = second.encrypt_at(b"session", later).unwrap();
        assert!(tickets.of_connection().decrypt_at(&ticket, later + 3600).is_some());
    }

    #[test]
    fn when_a_session_began_is_not_to_be_read() {
        let ring = Ring::default();
        let ticket = ring.seal(&POLICY, b"session", START, START + 60).unwrap();
        assert!(!ticket.windows(TIME).any(|bytes| bytes == START.to_be_bytes()));
    }

    #[test]
    fn what_is_not_exactly_our_ticket_is_refused() {
        let ring = Ring::default();
        let ticket = seal(&ring, START);
        assert_eq!(ring.open(&[2; 32], &ticket, OPEN, START), None, "of another policy");
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
        let ticket = || seal(&ring, START);
        assert_ne!(ticket(), ticket());
    }
}
