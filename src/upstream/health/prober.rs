//! Runs the active checks: one prober for the whole process, whatever the number of workers.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http1::framing::response_length;
use http1::{BodyReader, HeadLimits, HeadScanner, Method, ResponseHead};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

use super::{HealthOptions, Probe, grpc, over_fastcgi, over_http2};
use crate::message::StatusSet;
use crate::upstream::approach::Offer;
use crate::upstream::connect::{reach, shake_hands};
use crate::upstream::endpoint::{Address, Endpoint};
use crate::upstream::fastcgi::Check;
use crate::upstream::generator::Generator;
use crate::upstream::group::{Group, Groups};
use crate::upstream::shortage;
use crate::upstream::tls::{CA_CERTIFICATE, handshake_failure};
use crate::wire::{Buffer, Duplex};

const TICK: Duration = Duration::from_millis(50);
/// Checks at the same time; more wait for their turn.
const AT_ONCE: usize = 256;
/// The most that is read of an answer.
pub(super) const MOST: usize = 256 << 10;

/// The checks of one endpoint.
struct Series {
    /// When the next one is due.
    at: Instant,
    /// The last one. While it is under way no other begins: they would pile up, and outcomes could come in
    /// another order than checks began.
    last: Option<JoinHandle<()>>,
}

/// Runs for ever, on the runtime that is not a worker's.
pub async fn check_endpoints(groups: Arc<Groups>) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut checked: HashMap<usize, Series> = HashMap::new();
    let mut tick = interval(TICK);
    let mut random = Generator::new(RandomState::new().hash_one(0));
    loop {
        tick.tick().await;
        let now = Instant::now();
        let mut seen = HashMap::with_capacity(checked.len());
        for group in groups.all() {
            let options = group.options();
            let Some(health) = &options.health else { continue };
            for endpoint in group.endpoints() {
                let slot = endpoint.slot.index;
                // The first check is at once.
                let mut series = checked.remove(&slot).unwrap_or(Series { at: now, last: None });
                // A changed interval holds from now on.
                series.at = series.at.min(now + health.interval * 2);
                if series.at <= now {
                    series.at = now + jittered(health.interval, &mut random);
                    if series.last.as_ref().is_none_or(JoinHandle::is_finished) {
                        let check = check(group.clone(), endpoint, health.clone(), turns.clone());
                        series.last = Some(tokio::spawn(check));
                    }
                }
                seen.insert(slot, series);
            }
        }
        checked = seen;
    }
}

/// Between nine and eleven tenths, so that checks of many endpoints spread out.
fn jittered(interval: Duration, random: &mut Generator) -> Duration {
    interval * (900 + random.below(201) as u32) / 1000
}

async fn check(group: Arc<Group>, endpoint: Arc<Endpoint>, options: HealthOptions, turns: Arc<Semaphore>) {
    let Ok(_turn) = turns.acquire().await else { return };
    let asked = timeout(options.timeout, ask(&endpoint, &options)).await;
    let outcome = match asked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Trouble::Theirs(why))) => Err(why),
        Ok(Err(Trouble::Ours(error))) => return shortage::complain(&error),
        Err(_) => Err(format!("no answer within {:?}", options.timeout)),
    };
    if !endpoint.is_retired() {
        group.note_check(&endpoint, outcome, Instant::now());
    }
}

/// Why a check did not pass.
enum Trouble {
    Theirs(String),
    /// It could not be made, see [`shortage`].
    Ours(io::Error),
}

impl From<String> for Trouble {
    fn from(why: String) -> Trouble {
        Trouble::Theirs(why)
    }
}

/// Asks as requests would: with TLS where they go through it.
async fn ask(endpoint: &Endpoint, options: &HealthOptions) -> Result<(), Trouble> {
    let (address, name) = match &endpoint.address {
        Address::Tcp(address) => {
            let port = options.port.unwrap_or(address.port());
            let target = SocketAddr::new(address.ip(), port);
            (Address::Tcp(target), target.to_string())
        }
        Address::Unix(path) => (Address::Unix(path.clone()), "localhost".to_owned()),
    };
    let mut socket = reach(&address).await.map_err(not_connected)?;
    let approach = &endpoint.approach;
    let mut agreed = None;
    if approach.is_secure() {
        let shaken = shake_hands(socket, approach, Offer::All).await.map_err(not_secured)?;
        (socket, agreed) = (shaken.0, shaken.1.protocol);
    }
    let stream = Duplex::new(Box::new(socket), Buffer::new());
    let no_http2 = || Trouble::Theirs("it does not speak HTTP/2".to_owned());
    let is_http2 = approach.shares(agreed.as_deref()).map_err(|_| no_http2())?;
    let scheme = if approach.is_secure() { "https" } else { "http" };
    match &options.probe {
        Probe::Connect => Ok(()),
        Probe::Grpc { service } if is_http2 => Ok(grpc::check(stream, scheme, &name, service).await?),
        Probe::Grpc { .. } => Err(no_http2()),
        Probe::Http { path, host, headers, status, body } => {
            let host = host.as_deref().unwrap_or(&name);
            let found = match is_http2 {
                _ if let Some(application) = approach.application() => {
                    over_fastcgi::get(stream, application, &Check { path, host, headers }).await?
                }
                true => over_http2::get(stream, scheme, path, host, headers).await?,
                false => get(stream, &request(path, host, headers), body.is_some()).await?,
            };
            Ok(judge(&found, status, body.as_deref())?)
        }
    }
}

fn not_connected(error: io::Error) -> Trouble {
    if shortage::is_ours(&error) {
        return Trouble::Ours(error);
    }
    Trouble::Theirs(format!("cannot connect: {error}"))
}

fn not_secured(error: io::Error) -> Trouble {
    let why = handshake_failure(&error).detail().unwrap_or_default();
    let advice = match why {
        CA_CERTIFICATE => {
            "; it shows a certificate with CA:TRUE, which only an authority may have: docs/operations.md"
        }
        _ => "",
    };
    Trouble::Theirs(format!("TLS handshake failed: {why} ({error}){advice}"))
}

fn request(path: &str, host: &str, headers: &[(String, String)]) -> String {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
        request.push_str("User-Agent: palisade-health\r\n");
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("Connection: close\r\n\r\n");
    request
}

/// An answer as far as a check looks at it.
pub(super) struct Found {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Sends the request and reads the head of the answer; and its body when it is wanted.
async fn get(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
    wants_body: bool,
) -> Result<Found, String> {
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut bytes = Vec::new();
    let mut head = ResponseHead::default();
    let mut scanner = HeadScanner::default();
    loop {
        match head
            .read(&bytes, &mut scanner, &HeadLimits::STRICT)
            .map_err(|error| malformed(error.reason()))?
        {
            Some(end) => {
                bytes.drain(..end);
                // An interim answer is not the answer.
                if head.status >= 200 {
                    break;
                }
                scanner = HeadScanner::default();
            }
            None => match read_more(&mut stream, &mut bytes).await? {
                0 => return Err("closed before its answer was complete".to_owned()),
                _ if bytes.len() > MOST => return Err("its answer is too long".to_owned()),
                _ => {}
            },
        }
    }
    let mut found = Found { status: head.status, body: Vec::new() };
    if !wants_body {
        return Ok(found);
    }
    let framing = response_length(&head, Method::Get).map_err(|error| malformed(error.reason()))?;
    let mut reader = BodyReader::new(framing.length);
    while !reader.is_done() && found.body.len() < MOST {
        let decoded = reader.decode(&mut bytes).map_err(|error| malformed(error.reason()))?;
        found.body.extend_from_slice(&bytes[..decoded.data]);
        bytes.drain(..decoded.consumed);
        if !reader.is_done() && decoded.consumed == 0 && read_more(&mut stream, &mut bytes).await? == 0 {
            break;
        }
    }
    Ok(found)
}

async fn read_more(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> Result<usize, String> {
    bytes.reserve(4096);
    stream.read_buf(bytes).await.map_err(failed)
}

fn failed(error: io::Error) -> String {
    format!("connection failed: {error}")
}

fn malformed(reason: &str) -> String {
    format!("malformed answer: {reason}")
}

fn judge(found: &Found, status: &StatusSet, text: Option<&str>) -> Result<(), String> {
    if !status.contains(found.status) {
        return Err(format!("answered {}", found.status));
    }
    match text {
        Some(text) if memchr::memmem::find(&found.body, text.as_bytes()).is_none() => {
            Err(format!("answered {} without the text {text:?}", found.status))
        }
        _ => Ok(()),
    }
}
