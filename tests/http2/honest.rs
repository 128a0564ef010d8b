//! An honest client beside an attack: it must get every answer, and soon.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use testkit::{Behaviour, H2Client, Origin, Palisade, Script};

/// The proxy before an origin whose `/held` is answered after a while.
pub struct Stage {
    pub palisade: Palisade,
    pub origin: Origin,
}

impl Stage {
    pub fn new() -> Stage {
        let origin = Origin::serve(
            testkit::Address::Tcp(([127, 0, 0, 1], 0).into()),
            Behaviour::Scripted(Box::new(|request, _| match request.target.starts_with("/held") {
                true => Script::new().pause(Duration::from_millis(500)).followed_by(Script::echo(request)),
                false => Script::echo(request),
            })),
        );
        let config = format!(
            r#"
            listeners.http = {{ address = "127.0.0.1:0", http2 = true }}
            log.access = "{{dir}}/access.log"
            server.workers = 1
            upstreams.origin.endpoints = ["{}"]
            # More than the hundred that the streams of one connection may hold: a full pool is another story.
            upstreams.origin.pool.max_connections = 300
            routes.all = {{ upstream = "origin", request_body = "stream" }}
            "#,
            origin.address()
        );
        Stage { palisade: Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config), origin }
    }

    pub fn front(&self) -> SocketAddr {
        self.palisade.address("http")
    }

    pub fn client(&self) -> H2Client {
        H2Client::connect(self.front())
    }

    /// Runs `attack` beside an honest client. That one is served all the while, and the proxy's memory grows by
    /// less than `most` bytes.
    #[track_caller]
    pub fn withstands(&self, most: u64, attack: impl FnOnce()) {
        self.client().get("/canary-0");
        let before = self.palisade.resident_bytes();
        let honest = Honest::start(self.front());
        attack();
        let served = honest.stop();
        let grown = self.palisade.resident_bytes().saturating_sub(before);
        assert!(grown < most, "memory grew by {grown} bytes, of {most}");
        assert!(served.len() >= 3, "the honest client got {} answers", served.len());
        let slow = percentile(&served, 99);
        assert!(slow < Duration::from_secs(5), "99 of 100 answers within {slow:?}");
        self.client().get("/canary-1");
    }
}

/// Asks one canary after the other on a connection of its own, until it is stopped.
struct Honest {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Honest {
    fn start(front: SocketAddr) -> Honest {
        let over = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let over = over.clone();
            move || {
                let mut client = H2Client::connect(front);
                let mut times = Vec::new();
                while !over.load(SeqCst) || times.len() < 3 {
                    let (number, start) = (times.len().to_string(), Instant::now());
                    assert_eq!(client.get(&format!("/canary-{number}")).text(), number);
                    times.push(start.elapsed());
                }
                times
            }
        });
        Honest { over, thread }
    }

    #[track_caller]
    fn stop(self) -> Vec<Duration> {
        self.over.store(true, SeqCst);
        self.thread.join().expect("the honest client was not served")
    }
}

fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}
