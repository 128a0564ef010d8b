//! Handshakes: full ones with either kind of key, and resumed ones.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use rustls::SupportedProtocolVersion;

use super::client::{Client, Kind};
use crate::bench::front::{Front, Key};
use crate::bench::measure::{Lab, observe};
use crate::bench::peers::Peer;
use crate::bench::process::Wrapped;
use crate::bench::results::{Counted, Done, Saturation};

/// Which handshakes.
#[derive(Clone, Copy, Debug)]
pub struct Handshakes {
    pub key: Key,
    pub version: &'static SupportedProtocolVersion,
    pub kind: Kind,
}

impl Lab {
    /// Handshakes per second and CPU per handshake, from [`CLIENTS`] threads of ours that each make one after the
    /// other.
    pub fn handshakes(&self, peer: Peer, which: Handshakes, duration: Duration) -> Result<Saturation> {
        let (site, proxy) = self.start(peer, Front::Tls(which.key))?;
        let clients: Vec<Client> =
            std::iter::repeat_with(|| Client::new(site.port, which.version, which.kind))
                .take(CLIENTS)
                .collect::<Result<_>>()?;
        shake_hands(&clients, WARM_UP)?;
        let saturation = observe(&proxy, || shake_hands(&clients, duration))?;
        drop(clients);
        proxy.stop(Wrapped::SameProcess)?;
        Ok(saturation)
    }

    /// User instructions of one full handshake of TLS 1.3 with an ECDSA key, and of the request after it.
    pub fn handshake_instructions(&self, peer: Peer) -> Result<Counted> {
        self.count_instructions(peer, Front::Tls(Key::EcdsaP256), RUN_LENGTHS, |site, count| {
            let client = Client::new(site.port, &rustls::version::TLS13, Kind::Full)?;
            (0..count).try_for_each(|_| client.exchange())
        })
    }
}

/// Each client in a thread of its own, which inherits our core.
fn shake_hands(clients: &[Client], duration: Duration) -> Result<Done> {
    let start = Instant::now();
    let counts = thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter()
            .map(|client| {
                scope.spawn(move || {
                    let mut count = 0_u64;
                    while start.elapsed() < duration {
                        client.exchange()?;
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        let joined =
            threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a client panicked"))?);
        joined.collect::<Result<Vec<u64>>>()
    })?;
    Ok(Done { requests: counts.iter().sum::<u64>() as f64, seconds: start.elapsed().as_secs_f64() })
}

/// Enough that the proxy always has the next one to begin; few enough that they do not wait for each other.
const CLIENTS: usize = 16;
const WARM_UP: Duration = Duration::from_millis(200);
const RUN_LENGTHS: [usize; 2] = [20, 120];
