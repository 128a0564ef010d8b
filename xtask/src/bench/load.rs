//! Our own load: an exact number of requests, a fixed rate, or many idle connections.
//!
//! The fixed rate follows a schedule made in advance. A request that has to wait for a free connection is timed
//! from the moment at which it was due, so a proxy that stalls cannot hide the requests it held up
//! (coordinated omission).

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

/// Keep-alive connections that each have at most one request under way.
pub struct Load {
    poll: OwnedFd,
    slots: Vec<Slot>,
    request: Vec<u8>,
}

struct Slot {
    stream: TcpStream,
    received: Vec<u8>,
    /// When the request under way was due.
    due: Instant,
}

impl Load {
    /// Opens `connections` connections to `port` on 127.0.0.1; every request will be `GET path`.
    pub fn connect(port: u16, path: &str, connections: usize) -> Result<Load> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut slots = Vec::new();
        for index in 0..connections {
            let stream = TcpStream::connect(loopback(port)).context("connect to the proxy")?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(&poll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
            slots.push(Slot { stream, received: Vec::new(), due: Instant::now() });
        }
        Ok(Load { poll, slots, request: get(port, path) })
    }

    /// Sends exactly `total` requests, each connection as fast as it is answered.
    pub fn send(&mut self, total: usize) -> Result<()> {
        let schedule = Schedule { start: Instant::now(), interval: Duration::ZERO, total };
        self.run(&schedule, Duration::from_secs(300)).map(drop)
    }

    /// Sends `rate` requests a second for `duration` and returns how long each took, sorted.
    pub fn send_at_rate(&mut self, rate: f64, duration: Duration) -> Result<Vec<Duration>> {
        let total = (rate * duration.as_secs_f64()) as usize;
        let interval = Duration::from_secs_f64(1.0 / rate);
        let schedule = Schedule { start: Instant::now(), interval, total };
        let mut latencies = self.run(&schedule, duration + Duration::from_secs(20))?;
        latencies.sort_unstable();
        Ok(latencies)
    }

    fn run(&mut self, schedule: &Schedule, deadline: Duration) -> Result<Vec<Duration>> {
        let mut latencies = Vec::with_capacity(schedule.total);
        let mut idle: Vec<usize> = (0..self.slots.len()).collect();
        let mut waiting = VecDeque::new();
        let mut released = 0;
        let mut events = Vec::with_capacity(256);
        while latencies.len() < schedule.total {
            let now = Instant::now();
            ensure!(now < schedule.start + deadline, "{} of {} answers", latencies.len(), schedule.total);
            while released < schedule.total && schedule.due(released) <= now {
                waiting.push_back(schedule.due(released));
                released += 1;
            }
            while !idle.is_empty() && !waiting.is_empty() {
                let (slot, due) = (idle.pop().expect("not empty"), waiting.pop_front().expect("not empty"));
                self.slots[slot].start(&self.request, due)?;
            }
            let next = if released < schedule.total { schedule.due(released) } else { now + SECOND };
            self.wait(next.saturating_duration_since(Instant::now()), &mut events)?;
            for event in &events {
                let slot = event.data.u64() as usize;
                if self.slots[slot].receive()? {
                    latencies.push(self.slots[slot].due.elapsed());
                    idle.push(slot);
                }
            }
        }
        Ok(latencies)
    }

    fn wait(&self, time: Duration, events: &mut Vec<epoll::Event>) -> Result<()> {
        events.clear();
        let time = Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos() as _ };
        match epoll::wait(&self.poll, rustix::buffer::spare_capacity(events), Some(&time)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => bail!("epoll: {error}"),
        }
    }
}

/// When each request is due.
struct Schedule {
    start: Instant,
    interval: Duration,
    total: usize,
}

impl Schedule {
    fn due(&self, number: usize) -> Instant {
        self.start + self.interval.mul_f64(number as f64)
    }
}

impl Slot {
    fn start(&mut self, request: &[u8], due: Instant) -> Result<()> {
        self.due = due;
        // A request of 60 bytes always fits into the buffer of an idle socket.
        self.stream.write_all(request).context("send a request")
    }

    /// Reads what is there; true when the answer is complete.
    fn receive(&mut self) -> Result<bool> {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => bail!("the proxy closed a connection"),
            Ok(count) => self.received.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("read an answer"),
        }
        let complete = is_complete(&self.received)?;
        if complete {
            self.received.clear();
        }
        Ok(complete)
    }
}

/// Connections that have each had one answer and are kept open.
pub struct IdleConnections {
    _streams: Vec<TcpStream>,
}

impl IdleConnections {
    pub fn open(port: u16, count: usize) -> Result<IdleConnections> {
        let request = get(port, "/128");
        let mut streams = Vec::with_capacity(count);
        for number in 0..count {
            let mut stream =
                TcpStream::connect(loopback(port)).with_context(|| format!("connection {number}"))?;
            stream.set_read_timeout(Some(10 * SECOND))?;
            stream.write_all(&request)?;
            read_answer(&mut stream).with_context(|| format!("connection {number}"))?;
            streams.push(stream);
        }
        Ok(IdleConnections { _streams: streams })
    }
}

/// The body of the answer to one `GET path` on a new connection.
pub fn fetch(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&loopback(port), SECOND)?;
    stream.set_read_timeout(Some(10 * SECOND))?;
    stream.write_all(&get(port, path))?;
    let answer = read_answer(&mut stream)?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.split_once("\r\n\r\n").map(|(_, body)| body.to_string()).unwrap_or_default())
}

/// One whole answer, head and body; an error when it is not 200.
pub fn read_answer(stream: &mut impl Read) -> Result<Vec<u8>> {
    let mut received = Vec::new();
    let mut buffer = [0; 16 << 10];
    while !is_complete(&received)? {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "closed before the end of an answer");
        received.extend_from_slice(&buffer[..count]);
    }
    Ok(received)
}

/// True for a whole answer; an error for one that is not 200 or does not tell its length.
fn is_complete(received: &[u8]) -> Result<bool> {
    let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(false) };
    let head = String::from_utf8_lossy(&received[..end]);
    ensure!(head.starts_with("HTTP/1.1 200 "), "answer {:?}", head.lines().next().unwrap_or_default());
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, length) = length.context("an answer without Content-Length")?;
    let length: usize = length.trim().parse().context("Content-Length")?;
    Ok(received.len() >= end + 4 + length)
}

pub fn get(port: u16, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").into_bytes()
}

pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn knows_a_whole_answer() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
        assert!(is_complete(answer).unwrap());
        assert!(!is_complete(&answer[..answer.len() - 1]).unwrap());
        assert!(!is_complete(b"HTTP/1.1 200 OK\r\n").unwrap());
        assert!(is_complete(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").is_err());
        assert!(is_complete(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    /// A server that answers one connection after a pause before its first answer.
    fn stalling_server(stall: Duration) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut pause = stall;
            let mut buffer = [0; 4096];
            while matches!(stream.read(&mut buffer), Ok(count) if count > 0) {
                thread::sleep(std::mem::take(&mut pause));
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        });
        port
    }

    #[test]
    fn a_stall_counts_for_every_request_that_was_due_meanwhile() {
        let port = stalling_server(Duration::from_millis(200));
        let mut load = Load::connect(port, "/", 1).unwrap();
        let latencies = load.send_at_rate(200.0, Duration::from_millis(300)).unwrap();
        assert_eq!(latencies.len(), 60);
        let slow = latencies.iter().filter(|latency| **latency > Duration::from_millis(50)).count();
        assert!(slow >= 25, "only {slow} of the 40 requests due during the stall were slow");
    }

    #[test]
    fn sends_exactly_so_many() {
        let port = stalling_server(Duration::ZERO);
        Load::connect(port, "/", 1).unwrap().send(17).unwrap();
    }
}
