//! The canary: after an attack, does everybody still get the answer to his own question?

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{Address, Client, Origin};

/// Asks for three canaries on a new connection to the proxy at `front`, before `origin` (the echo service or
/// a script that answers like it). Panics when an answer belongs to another request, when the origin saw a
/// canary not exactly once, or when it ever saw a request that breaks the rules.
///
/// Three, because an upstream connection that was poisoned may not be the first to be used again.
#[track_caller]
pub fn canary(front: impl Into<Address>, origin: &Origin) {
    let mut client = Client::connect(front);
    for _ in 0..3 {
        canary_on(&mut client, origin);
    }
}

/// Asks for one canary on the connection `client`; panics like [`canary`].
#[track_caller]
pub fn canary_on(client: &mut Client, origin: &Origin) {
    // Stories count their own requests from 1.
    static NEXT: AtomicUsize = AtomicUsize::new(1_000_001);
    let number = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    let target = format!("/canary-{number}");

    let response = client.get(&target);
    assert_eq!((response.status, response.text()), (200, number.as_str()), "the answer to {target}");
    assert_eq!(client.unread(), "", "bytes after the answer to {target}");

    let seen = origin.requests().iter().filter(|request| request.target == target).count();
    assert_eq!(seen, 1, "times that the origin saw {target}");
    assert_eq!(origin.violations(), [""; 0], "broken rules that the origin noticed");
}
