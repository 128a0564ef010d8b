//! The server behind the proxies: as cheap as a server can be, so that it never is what is measured.
//!
//! One thread, level-triggered epoll, answers prepared in advance, one read and one write per small request. It
//! understands keep-alive, and bodies that tell their length; nothing else.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use anyhow::{Context, Result};
use rustix::event::epoll::{self, EventData, EventFlags};

use super::body::{BLOCK, Sum, block};
use super::sample;

/// Serves for ever; the first line on standard output is the port.
pub fn run() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").context("bind")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?.port());
    Server::new(listener)?.serve()
}

struct Server {
    listener: TcpListener,
    poll: OwnedFd,
    connections: HashMap<u64, Connection>,
    next: u64,
    answers: Vec<(&'static [u8], Answer)>,
    /// Where bodies of requests are read to.
    scratch: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// The head so far, when it came in pieces.
    request: Vec<u8>,
    /// A body that is still coming.
    body: Option<Body>,
    /// What the socket did not take yet.
    unsent: Option<Unsent>,
}

/// A head and a body: some bytes, and others that follow so many times.
#[derive(Clone)]
struct Answer {
    bytes: Rc<[u8]>,
    repeated: Rc<[u8]>,
    times: usize,
}

struct Unsent {
    answer: Answer,
    /// So many of the answer's bytes are out.
    sent: usize,
}

struct Body {
    left: u64,
    reply: Reply,
}

/// What answers a request with a body.
enum Reply {
    Prepared(Answer),
    /// What came, as [`Sum::text`].
    Sum(Sum),
}

impl Server {
    fn new(listener: TcpListener) -> Result<Server> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let mut answers: Vec<_> = [(&b"/128"[..], 128), (b"/64k", 64 << 10), (b"/1m", 1 << 20)]
            .map(|(path, length)| (path, answer(&vec![b'x'; length])))
            .into();
        answers.push((HUGE_PATH.as_bytes(), huge()));
        answers.push((JSON_PATH.as_bytes(), json_answer()));
        let scratch = vec![0; 256 << 10];
        Ok(Server { listener, poll, connections: HashMap::new(), next: LISTENER + 1, answers, scratch })
    }

    fn serve(&mut self) -> Result<()> {
        let mut events = Vec::with_capacity(256);
        loop {
            events.clear();
            match epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), None) {
                Err(rustix::io::Errno::INTR) => continue,
                result => result.context("epoll")?,
            };
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    id => self.advance(id)?,
                }
            }
        }
    }

    fn accept(&mut self) -> Result<()> {
        while let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            epoll::add(&self.poll, &stream, EventData::new_u64(self.next), EventFlags::IN)?;
            let connection = Connection { stream, request: Vec::new(), body: None, unsent: None };
            self.connections.insert(self.next, connection);
            self.next += 1;
        }
        Ok(())
    }

    fn advance(&mut self, id: u64) -> Result<()> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let was_blocked = connection.unsent.is_some();
        match connection.advance(&self.answers, &mut self.scratch) {
            Ok(true) => {
                let is_blocked = connection.unsent.is_some();
                if is_blocked != was_blocked {
                    let flags = if is_blocked { EventFlags::OUT } else { EventFlags::IN };
                    epoll::modify(&self.poll, &connection.stream, EventData::new_u64(id), flags)?;
                }
            }
            // The end of the stream, or a reset: both are the proxy's affair.
            Ok(false) | Err(_) => drop(self.connections.remove(&id)),
        }
        Ok(())
    }
}

impl Connection {
    /// Sends what is left or reads once, then answers what is complete; false at the end of the stream.
    fn advance(&mut self, answers: &[(&'static [u8], Answer)], scratch: &mut [u8]) -> io::Result<bool> {
        match self.unsent.take() {
            Some(unsent) => self.send(unsent)?,
            None if self.body.is_some() => return self.receive_body(scratch),
            None if !self.receive()? => return Ok(false),
            None => {}
        }
        while self.unsent.is_none() && self.body.is_none() {
            let Some(end) = self.request.windows(4).position(|window| window == b"\r\n\r\n") else { break };
            let head: Vec<u8> = self.request.drain(..end + 4).collect();
            let path = head.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
            let prepared = answers.iter().find(|(known, _)| *known == path);
            // Any other path gets its own head back: with it we check that all proxies do the same work.
            let prepared = || prepared.map_or_else(|| answer(&head), |(_, answer)| answer.clone());
            // Most have no body, and are not searched for one.
            if head.starts_with(b"GET ") {
                self.send(Unsent { answer: prepared(), sent: 0 })?;
                continue;
            }
            let reply = match path == SUM_PATH.as_bytes() {
                true => Reply::Sum(Sum::default()),
                false => Reply::Prepared(prepared()),
            };
            self.body = Some(Body { left: body_length(&head)?, reply });
            let early = std::mem::take(&mut self.request);
            self.take_body(&early)?;
        }
        Ok(true)
    }

    /// Reads once; false at the end of the stream.
    fn receive(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            result => {
                let count = result?;
                self.request.extend_from_slice(&buffer[..count]);
                Ok(count > 0)
            }
        }
    }

    fn receive_body(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        match self.stream.read(scratch) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            result => {
                let count = result?;
                self.take_body(&scratch[..count])?;
                Ok(count > 0)
            }
        }
    }

    /// Takes of `bytes` what belongs to the body and answers at its end; the rest is the next request's.
    fn take_body(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(mut body) = self.body.take() else { return Ok(()) };
        let (now, rest) = bytes.split_at(bytes.len().min(usize::try_from(body.left).unwrap_or(usize::MAX)));
        body.left -= now.len() as u64;
        if let Reply::Sum(sum) = &mut body.reply {
            sum.add(now);
        }
        if body.left > 0 {
            self.body = Some(body);
            return Ok(());
        }
        self.request.extend_from_slice(rest);
        let answer = match body.reply {
            Reply::Prepared(answer) => answer,
            Reply::Sum(sum) => answer(sum.text().as_bytes()),
        };
        self.send(Unsent { answer, sent: 0 })
    }

    /// Sends until all is out or the socket is full, and keeps the rest.
    fn send(&mut self, mut unsent: Unsent) -> io::Result<()> {
        loop {
            while unsent.sent < unsent.answer.bytes.len() {
                match self.stream.write(&unsent.answer.bytes[unsent.sent..]) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.unsent = Some(unsent);
                        return Ok(());
                    }
                    result => unsent.sent += result?,
                }
            }
            if !unsent.answer.next() {
                return Ok(());
            }
            unsent.sent = 0;
        }
    }
}

impl Answer {
    /// Goes on to the next repetition; false when there is none.
    fn next(&mut self) -> bool {
        let more = self.times > 0;
        if more {
            self.bytes = self.repeated.clone();
            self.times -= 1;
        }
        more
    }
}

fn answer(body: &[u8]) -> Answer {
    let bytes: Rc<[u8]> = [head(body.len()).as_bytes(), body].concat().into();
    Answer { repeated: bytes.clone(), bytes, times: 0 }
}

fn json_answer() -> Answer {
    let body = sample::json();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let bytes: Rc<[u8]> = [head.as_bytes(), &body].concat().into();
    Answer { repeated: bytes.clone(), bytes, times: 0 }
}

/// The address of a body to be compressed.
pub const JSON_PATH: &str = "/json";

fn huge() -> Answer {
    Answer {
        bytes: head(BLOCK * HUGE_BLOCKS).as_bytes().into(),
        repeated: block().into(),
        times: HUGE_BLOCKS,
    }
}

fn head(length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n")
}

/// The length of the body behind `head`. An error ends the connection: a body in chunks would be read as requests.
fn body_length(head: &[u8]) -> io::Result<u64> {
    let head = String::from_utf8_lossy(head);
    let mut length = 0;
    for (name, value) in head.lines().filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(length)
}

/// Answered with [`HUGE_BLOCKS`] blocks.
pub const HUGE_PATH: &str = "/1g";
/// Answered with the sum of the request's body.
pub const SUM_PATH: &str = "/sum";
pub const HUGE_BLOCKS: usize = 1024;
const LISTENER: u64 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::load::{Load, fetch, read_answer};
    use crate::bench::sample::JSON_LENGTH;

    fn start() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || Server::new(listener).unwrap().serve());
        port
    }

    #[test]
    fn answers_have_the_size_that_their_path_says() {
        let port = start();
        for (path, length) in [("/128", 128), ("/64k", 64 << 10), ("/1m", 1 << 20), (JSON_PATH, JSON_LENGTH)]
        {
            assert_eq!(fetch(port, path).unwrap().len(), length, "{path}");
        }
    }

    /// Sends `request` in pieces of `piece` bytes and returns the answer's body.
    fn talk(stream: &mut TcpStream, request: &[u8], piece: usize) -> String {
        request.chunks(piece).for_each(|piece| stream.write_all(piece).unwrap());
        String::from_utf8(read_answer(stream).unwrap()).unwrap().split_once("\r\n\r\n").unwrap().1.to_string()
    }

    #[test]
    fn sums_bodies_up_and_keeps_in_step() {
        let mut stream = TcpStream::connect(("127.0.0.1", start())).unwrap();
        let body = &block()[..100_000];
        let mut sum = Sum::default();
        sum.add(body);
        let request = [b"PUT /sum HTTP/1.1\r\ncontent-length: 100000\r\n\r\n", body].concat();
        for piece in [1_000_000, 999] {
            assert_eq!(talk(&mut stream, &request, piece), sum.text());
        }
        assert_eq!(talk(&mut stream, b"POST /128 HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", 1_000).len(), 128);
    }

    #[test]
    fn ends_a_connection_with_a_body_that_it_cannot_read() {
        let mut stream = TcpStream::connect(("127.0.0.1", start())).unwrap();
        stream.write_all(b"PUT /sum HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        assert!(read_answer(&mut stream).is_err());
    }

    #[test]
    fn repeats_a_block_until_the_length_is_reached() {
        let mut stream = TcpStream::connect(("127.0.0.1", start())).unwrap();
        stream.write_all(b"GET /1g HTTP/1.1\r\n\r\n").unwrap();
        let head = head(BLOCK * HUGE_BLOCKS);
        let mut received = vec![0; head.len() + 2 * BLOCK];
        stream.read_exact(&mut received).unwrap();
        assert!(received.starts_with(head.as_bytes()));
        assert!(received[head.len()..] == [block(), block()].concat());
    }

    #[test]
    fn shows_the_head_that_it_got() {
        let head = fetch(start(), "/check").unwrap();
        assert!(head.starts_with("GET /check HTTP/1.1\r\nHost: "), "{head:?}");
    }

    #[test]
    fn keeps_in_step_when_sockets_are_full() {
        Load::connect(start(), "/1m", 4).unwrap().send(40).unwrap();
    }
}
