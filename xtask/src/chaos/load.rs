//! The clients: each sends its next request at its next beat. A beat that passes while it waits for an answer
//! is left out, as a client does that waits.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::client::{Client, Outcome};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    /// A GET past the proxy, to a server that nothing happens to: how well the machine itself is.
    Control,
}

/// One request and what became of it. Times are since the start of the run.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub method: Method,
    pub id: u64,
    pub start: Duration,
    pub took: Duration,
    pub outcome: Outcome,
}

impl Sample {
    pub fn end(&self) -> Duration {
        self.start + self.took
    }
}

/// How many clients there are, and how many requests a second they send together.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    pub method: Method,
    pub clients: u32,
    pub rate: u32,
}

pub const CROWDS: [Crowd; 3] = [
    Crowd { method: Method::Get, clients: 200, rate: 2_500 },
    Crowd { method: Method::Post, clients: 50, rate: 250 },
    Crowd { method: Method::Control, clients: 40, rate: 500 },
];

/// Clients at work.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    proxy: u16,
    control: u16,
    start: Instant,
    stop: AtomicBool,
    samples: Mutex<Vec<Sample>>,
}

impl Load {
    /// Against the ports of the proxy and of the server of the control; `start` is time 0 of all samples.
    pub fn start(proxy: u16, control: u16, start: Instant) -> Result<Load> {
        let shared =
            Shared { proxy, control, start, stop: AtomicBool::new(false), samples: Mutex::default() };
        let mut load = Load { shared: Arc::new(shared), clients: Vec::new() };
        for crowd in CROWDS {
            for number in 0..crowd.clients {
                let shared = load.shared.clone();
                let first_id = u64::from(load.clients.len() as u32 + 1) * IDS_OF_A_CLIENT;
                let client = move || run_client(&shared, crowd, number, first_id);
                let thread = thread::Builder::new().stack_size(STACK).spawn(client);
                load.clients.push(thread.context("a thread for a client")?);
            }
        }
        Ok(load)
    }

    /// The requests that were answered since the first `seen` ones.
    pub fn since(&self, seen: usize) -> Vec<Sample> {
        self.shared.samples.lock().expect("no panic while held")[seen..].to_vec()
    }

    /// Waits for the answers that are under way, and gives all requests in the order of their start.
    pub fn stop(mut self) -> Vec<Sample> {
        self.shared.stop.store(true, Relaxed);
        for client in self.clients.drain(..) {
            client.join().expect("a client does not panic");
        }
        let mut samples = std::mem::take(&mut *self.shared.samples.lock().expect("no panic while held"));
        samples.sort_by_key(|sample| sample.start);
        samples
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
    }
}

fn run_client(shared: &Shared, crowd: Crowd, number: u32, first_id: u64) {
    let (port, name) = match crowd.method {
        Method::Get => (shared.proxy, "GET"),
        Method::Post => (shared.proxy, "POST"),
        Method::Control => (shared.control, "GET"),
    };
    let mut client = Client::new(port);
    let beat = Duration::from_secs(1) * crowd.clients / crowd.rate;
    let mut next = shared.start + beat * number / crowd.clients;
    for id in first_id.. {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        if shared.stop.load(Relaxed) {
            return;
        }
        let sent = Instant::now();
        let outcome = client.ask(name, id);
        let sample =
            Sample { method: crowd.method, id, start: sent - shared.start, took: sent.elapsed(), outcome };
        shared.samples.lock().expect("no panic while held").push(sample);
        if !outcome.is_success() {
            // Without a pause a proxy that is gone would be asked thousands of times a second.
            thread::sleep(Duration::from_millis(10));
        }
        next = next_beat(next, beat, Instant::now());
    }
}

/// The first beat after `now`.
fn next_beat(last: Instant, beat: Duration, now: Instant) -> Instant {
    let passed = now.saturating_duration_since(last).as_nanos() / beat.as_nanos().max(1);
    last + beat * u32::try_from(passed + 1).unwrap_or(u32::MAX)
}

/// A client sends fewer.
const IDS_OF_A_CLIENT: u64 = 1_000_000;
const STACK: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_that_passed_are_left_out() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let beat = Duration::from_millis(10);
        assert_eq!(next_beat(start, beat, at(3)), at(10));
        assert_eq!(next_beat(start, beat, at(35)), at(40));
    }
}
