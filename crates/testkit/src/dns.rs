//! A name server that the test scripts, faults included. It answers over UDP and TCP on one port of
//! 127.0.0.1, notes every question, and what it says may be changed while it runs.

mod message;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

pub use message::{Data, Kind, Record};
use message::{Question, Reply};

/// A server that runs until it is dropped.
pub struct Dns {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What the server says when it is asked for a name.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Those of the asked kind; a `CNAME` is followed, as a resolver would. Without any: no error, and
    /// nothing.
    Records(Vec<Record>),
    /// Nothing but this response code, see [`NXDOMAIN`], [`SERVFAIL`] and [`REFUSED`].
    Code(u8),
    /// No answer at all.
    Silence,
    /// The records in an answer to a question that nobody asked.
    WrongId(Vec<Record>),
    /// The records under another name, in an answer to the question.
    OtherName(Vec<Record>),
    /// The records in an answer whose question is for another name.
    OtherQuestion(Vec<Record>),
    /// The id of the question, and then bytes that are no message.
    Garbage,
}

pub const SERVFAIL: u8 = 2;
pub const NXDOMAIN: u8 = 3;
pub const REFUSED: u8 = 5;

/// One question as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// In lower case, without the dot at its end.
    pub name: String,
    pub kind: Kind,
    pub over_tcp: bool,
}

impl Dns {
    /// A server that knows no name yet: all are answered with NXDOMAIN.
    pub fn start() -> Dns {
        let (udp, tcp) = bind_both();
        let address = udp.local_addr().expect("a bound socket");
        let shared = Arc::new(Shared::default());
        let threads = vec![
            thread::spawn({
                let shared = shared.clone();
                move || serve_udp(&udp, &shared)
            }),
            thread::spawn({
                let shared = shared.clone();
                move || serve_tcp(&tcp, &shared)
            }),
        ];
        Dns { address, shared, threads }
    }

    /// Of UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on `name` is answered with `records`.
    pub fn records(&self, name: &str, records: impl IntoIterator<Item = Record>) {
        self.answer(name, Answer::Records(records.into_iter().collect()));
    }

    /// From now on `name` is answered like this.
    pub fn answer(&self, name: &str, answer: Answer) {
        self.shared.names().insert(name.to_lowercase(), answer);
    }

    /// All questions so far, in order of arrival.
    pub fn questions(&self) -> Vec<Asked> {
        self.shared.asked().clone()
    }

    /// How many questions there were for `name`, of this kind.
    pub fn times_asked(&self, name: &str, kind: Kind) -> usize {
        self.shared.asked().iter().filter(|asked| asked.name == name && asked.kind == kind).count()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Both threads look at `over` when something comes.
        let woken = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"", self.address));
        let connected = TcpStream::connect(self.address);
        if woken.is_ok() && connected.is_ok() {
            self.threads.drain(..).for_each(|thread| drop(thread.join()));
        }
    }
}

#[derive(Default)]
struct Shared {
    names: Mutex<HashMap<String, Answer>>,
    asked: Mutex<Vec<Asked>>,
    over: AtomicBool,
}

impl Shared {
    fn names(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// The bytes to send back; `None` for no answer.
    fn respond(&self, bytes: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
        let question = Question::decode(bytes)?;
        let asked = Asked { name: question.name.to_lowercase(), kind: question.kind, over_tcp };
        self.asked().push(asked.clone());
        let limit = if over_tcp { usize::from(u16::MAX) } else { UDP_LIMIT };
        let names = self.names();
        let other = format!("other.{}", question.name);
        let own = |records: &[Record]| {
            let matching = records.iter().filter(|record| record.data.kind() == question.kind);
            matching.map(|record| (question.name.clone(), record.clone())).collect::<Vec<_>>()
        };
        let reply = match names.get(&asked.name) {
            None => Reply::code(NXDOMAIN),
            Some(Answer::Code(code)) => Reply::code(*code),
            Some(Answer::Silence) => return None,
            Some(Answer::Garbage) => return Some(Reply::garbage(&question)),
            Some(Answer::Records(_)) => Reply::records(resolve(&names, &question)),
            Some(Answer::WrongId(records)) => {
                let forged = Question { id: question.id.wrapping_add(1), ..question.clone() };
                return Some(Reply::records(own(records)).encode(&forged, limit));
            }
            Some(Answer::OtherQuestion(records)) => {
                let forged = Question { name: other, ..question.clone() };
                return Some(Reply::records(own(records)).encode(&forged, limit));
            }
            Some(Answer::OtherName(records)) => {
                let renamed = own(records).into_iter().map(|(_, record)| (other.clone(), record));
                Reply::records(renamed.collect())
            }
        };
        Some(reply.encode(&question, limit))
    }
}

/// The records of the asked kind, each with its name; `CNAME`s on the way come first. A circle of them ends
/// where it began.
fn resolve(names: &HashMap<String, Answer>, question: &Question) -> Vec<(String, Record)> {
    let mut found: Vec<(String, Record)> = Vec::new();
    let mut name = question.name.clone();
    loop {
        let Some(Answer::Records(records)) = names.get(&name.to_lowercase()) else { return found };
        let of_kind = |kind: Kind| records.iter().filter(move |record| record.data.kind() == kind);
        let alias = of_kind(Kind::Cname).next().filter(|_| question.kind != Kind::Cname);
        let Some(alias) = alias else {
            found.extend(of_kind(question.kind).map(|record| (name.clone(), record.clone())));
            return found;
        };
        let visited = found.iter().any(|(owner, _)| *owner == name);
        found.push((name, alias.clone()));
        match &alias.data {
            Data::Cname(target) if !visited => name = target.clone(),
            _ => return found,
        }
    }
}

fn serve_udp(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0; 4096];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
        if shared.is_over() {
            return;
        }
        if let Some(answer) = shared.respond(&buffer[..length], false) {
            // Who asked may have gone.
            let _ = socket.send_to(&answer, peer);
        }
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut open: Vec<(TcpStream, JoinHandle<()>)> = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if shared.is_over() {
            break;
        }
        let Ok(other_end) = stream.try_clone() else { continue };
        let shared = shared.clone();
        let serving = thread::spawn(move || drop(serve_stream(stream, &shared)));
        open.push((other_end, serving));
    }
    for (stream, serving) in open {
        // An error says that the peer has closed it already.
        let _ = stream.shutdown(Shutdown::Both);
        let _ = serving.join();
    }
}

/// Messages over TCP have their length in front (RFC 1035, section 4.2.2).
fn serve_stream(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut bytes)?;
        if let Some(answer) = shared.respond(&bytes, true) {
            let length = u16::try_from(answer.len()).expect("limited by its encoding");
            stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat())?;
        }
    }
}

/// A free port that is free for both.
fn bind_both() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = tcp.local_addr().expect("a bound socket");
        if let Ok(udp) = UdpSocket::bind(address) {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

/// What fits without EDNS, whatever the client offers (RFC 1035, section 2.3.4).
const UDP_LIMIT: usize = 512;

#[cfg(test)]
mod tests;
