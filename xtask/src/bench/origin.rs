//! The server behind the proxies: as cheap as a server can be, so that it never is what is measured.
//!
//! One thread, level-triggered epoll, answers prepared in advance, one read and one write per request. It
//! understands GET with keep-alive and nothing else.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use anyhow::{Context, Result};
use rustix::event::epoll::{self, EventData, EventFlags};

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
    answers: Vec<(&'static [u8], Rc<[u8]>)>,
}

struct Connection {
    stream: TcpStream,
    /// The head so far, when it came in pieces.
    request: Vec<u8>,
    /// An answer that the socket did not take whole, and how much of it is sent.
    unsent: Option<(Rc<[u8]>, usize)>,
}

impl Server {
    fn new(listener: TcpListener) -> Result<Server> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let answers = [(&b"/128"[..], 128), (b"/64k", 64 << 10), (b"/1m", 1 << 20)]
            .map(|(path, length)| (path, answer(&vec![b'x'; length])))
            .into();
        Ok(Server { listener, poll, connections: HashMap::new(), next: LISTENER + 1, answers })
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
            let connection = Connection { stream, request: Vec::new(), unsent: None };
            self.connections.insert(self.next, connection);
            self.next += 1;
        }
        Ok(())
    }

    fn advance(&mut self, id: u64) -> Result<()> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let was_blocked = connection.unsent.is_some();
        match connection.advance(&self.answers) {
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
    fn advance(&mut self, answers: &[(&'static [u8], Rc<[u8]>)]) -> io::Result<bool> {
        match self.unsent.take() {
            Some((bytes, sent)) => self.send(bytes, sent)?,
            None if !self.receive()? => return Ok(false),
            None => {}
        }
        while self.unsent.is_none() {
            let Some(end) = self.request.windows(4).position(|window| window == b"\r\n\r\n") else { break };
            let head: Vec<u8> = self.request.drain(..end + 4).collect();
            let path = head.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
            let prepared = answers.iter().find(|(known, _)| *known == path);
            // Any other path gets its own head back: with it we check that all proxies do the same work.
            self.send(prepared.map_or_else(|| answer(&head), |(_, answer)| answer.clone()), 0)?;
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

    /// Sends `bytes` from `sent` on, and keeps what the socket does not take now.
    fn send(&mut self, bytes: Rc<[u8]>, mut sent: usize) -> io::Result<()> {
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.unsent = Some((bytes, sent));
                    return Ok(());
                }
                result => sent += result?,
            }
        }
        Ok(())
    }
}

fn answer(body: &[u8]) -> Rc<[u8]> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat().into()
}

const LISTENER: u64 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::load::{Load, fetch};

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
        for (path, length) in [("/128", 128), ("/64k", 64 << 10), ("/1m", 1 << 20)] {
            assert_eq!(fetch(port, path).unwrap().len(), length, "{path}");
        }
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
