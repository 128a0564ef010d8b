//! The server behind the proxy, a process of its own that can be killed and stopped. It writes down each
//! request before it answers, so that a SIGKILL loses nothing that anybody was told.
//!
//! A thread for each connection, blocking calls: it has to be simple, not fast.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// Serves for ever. The journal is appended to; port 0 takes a free one. The first line on standard output
/// is the port.
pub fn run(journal: &str, port: &str) -> Result<()> {
    let journal = File::options().append(true).create(true).open(journal).context("open the journal")?;
    let port = port.parse().context("a port")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).context("bind")?;
    println!("{}", listener.local_addr()?.port());
    // They live as long as the process, like the threads that use them.
    let journal: &File = Box::leak(Box::new(journal));
    let mood: &Mood = Box::leak(Box::new(Mood { status: AtomicU16::new(200), delay: AtomicU64::new(0) }));
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let serve = move || drop(serve(stream, journal, mood));
        thread::Builder::new().stack_size(STACK).spawn(serve).context("a thread for a connection")?;
    }
    Ok(())
}

/// What it answers with, and after how many milliseconds.
struct Mood {
    status: AtomicU16,
    delay: AtomicU64,
}

/// Until the peer closes or sends what is no request.
fn serve(mut stream: TcpStream, mut journal: &File, mood: &Mood) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream.try_clone()?);
    while let Some(request) = read_request(&mut input)? {
        if let ["", "mood", status, delay] = request.target.split('/').collect::<Vec<_>>()[..] {
            mood.status.store(status.parse().map_err(io::Error::other)?, Relaxed);
            mood.delay.store(delay.parse().map_err(io::Error::other)?, Relaxed);
            answer(&mut stream, 200, "")?;
            continue;
        }
        let id = request.target.rsplit('/').next().unwrap_or_default();
        if request.target != HEALTH {
            // One write with O_APPEND is one line, whichever thread it is from.
            journal.write_all(format!("{} {id}\n", request.method).as_bytes())?;
        }
        thread::sleep(Duration::from_millis(mood.delay.load(Relaxed)));
        answer(&mut stream, mood.status.load(Relaxed), id)?;
    }
    Ok(())
}

struct Request {
    method: String,
    target: String,
}

/// The next request, without its body; `None` at the end of the stream.
fn read_request(input: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ').map(str::to_string);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(io::Error::other("no request line"));
    };
    let mut length = 0;
    loop {
        line.clear();
        input.read_line(&mut line)?;
        let field = line.trim_end();
        if field.is_empty() {
            break;
        }
        if let Some((name, value)) = field.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    io::copy(&mut input.take(length), &mut io::sink())?;
    Ok(Some(Request { method, target }))
}

/// The body is the id of the request, so that a client sees whether the answer is its own.
fn answer(stream: &mut TcpStream, status: u16, id: &str) -> io::Result<()> {
    let length = id.len();
    stream.write_all(
        format!(
            "HTTP/1.1 {status} Chaos\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{id}"
        )
        .as_bytes(),
    )
}

/// What health checks ask for; not in the journal.
pub const HEALTH: &str = "/health";
/// Not for users; see `main.rs`.
pub const SUBCOMMAND: &str = "chaos-origin";
const STACK: usize = 64 << 10;
