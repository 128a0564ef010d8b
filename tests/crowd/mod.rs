//! Very many clients in one process, and an origin that can stand them: both on a runtime, since ten
//! thousand threads would measure the threads.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep_until, timeout};

/// Answers every request with the number in its path and counts.
pub struct CountingOrigin {
    pub address: SocketAddr,
    counts: Arc<Counts>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    peak: AtomicUsize,
    opened: AtomicUsize,
    requests: AtomicUsize,
}

impl CountingOrigin {
    pub fn start() -> CountingOrigin {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::<Counts>::default();
        runtime.spawn({
            let counts = counts.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, counts.clone()));
                }
            }
        });
        CountingOrigin { address, counts, _runtime: runtime }
    }

    /// The most connections that were open at the same time.
    pub fn peak(&self) -> usize {
        self.counts.peak.load(SeqCst)
    }

    pub fn opened(&self) -> usize {
        self.counts.opened.load(SeqCst)
    }

    pub fn requests(&self) -> usize {
        self.counts.requests.load(SeqCst)
    }
}

async fn serve(mut stream: TcpStream, counts: Arc<Counts>) {
    let _ = stream.set_nodelay(true);
    counts.opened.fetch_add(1, SeqCst);
    counts.peak.fetch_max(counts.open.fetch_add(1, SeqCst) + 1, SeqCst);
    let mut buffer = Vec::with_capacity(4096);
    while let Ok(Some(head)) = read_head(&mut stream, &mut buffer).await {
        counts.requests.fetch_add(1, SeqCst);
        let target = head.split(' ').nth(1).unwrap_or_default();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            break;
        }
    }
    counts.open.fetch_sub(1, SeqCst);
}

/// What the clients saw.
#[derive(Default)]
pub struct Seen {
    pub requests: usize,
    pub errors: usize,
    pub first_error: Option<String>,
    times: Vec<Duration>,
}

impl Seen {
    /// The time within which so many of a hundred requests were answered.
    pub fn percentile(&self, percent: usize) -> Duration {
        self.times.get(self.times.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
    }

    fn add(&mut self, outcome: Result<Duration, String>) {
        self.requests += 1;
        match outcome {
            Ok(time) => self.times.push(time),
            Err(error) => {
                self.errors += 1;
                self.first_error.get_or_insert(error);
            }
        }
    }
}

/// `clients` connections to `address`, kept open, each with a request a second for so many seconds, the
/// clients spread over the second.
pub fn ask_every_second(address: SocketAddr, clients: usize, seconds: usize) -> Seen {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut seen = runtime.block_on(async {
        let mut streams = Vec::with_capacity(clients);
        for _ in 0..clients {
            let stream = timeout(PATIENCE, TcpStream::connect(address)).await.expect("a connection in time");
            let stream = stream.unwrap_or_else(|error| panic!("connection {}: {error}", streams.len()));
            stream.set_nodelay(true).unwrap();
            streams.push(stream);
        }
        let start = Instant::now();
        let tasks: Vec<_> = streams
            .into_iter()
            .enumerate()
            .map(|(number, stream)| {
                let first = start + Duration::from_secs(1) * number as u32 / clients as u32;
                tokio::spawn(ask(stream, number, first, seconds))
            })
            .collect();
        let mut seen = Seen::default();
        for task in tasks {
            for outcome in task.await.expect("a client") {
                seen.add(outcome);
            }
        }
        seen
    });
    seen.times.sort();
    seen
}

async fn ask(
    mut stream: TcpStream,
    number: usize,
    first: Instant,
    seconds: usize,
) -> Vec<Result<Duration, String>> {
    let mut outcomes = Vec::with_capacity(seconds);
    let mut buffer = Vec::with_capacity(512);
    for turn in 0..seconds {
        sleep_until((first + Duration::from_secs(turn as u64)).into()).await;
        let started = Instant::now();
        let target = format!("/{number}-{turn}");
        let outcome = timeout(PATIENCE, exchange(&mut stream, &mut buffer, &target)).await;
        outcomes.push(match outcome {
            Ok(Ok(())) => Ok(started.elapsed()),
            Ok(Err(error)) => Err(format!("{target}: {error}")),
            Err(_) => Err(format!("{target}: no answer")),
        });
    }
    outcomes
}

async fn exchange(stream: &mut TcpStream, buffer: &mut Vec<u8>, target: &str) -> io::Result<()> {
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await?;
    let head = read_head(stream, buffer).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    while buffer.len() < target.len() {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let body = std::mem::take(buffer);
    if !head.starts_with("HTTP/1.1 200 ") || body != target.as_bytes() {
        let body = String::from_utf8_lossy(&body).into_owned();
        return Err(io::Error::other(format!("{} {body:?}", head.lines().next().unwrap_or_default())));
    }
    Ok(())
}

/// The next head; what comes behind it stays in `buffer`.
async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<String>> {
    loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head: Vec<u8> = buffer.drain(..at + 4).collect();
            return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
