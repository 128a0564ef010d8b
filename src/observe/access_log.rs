//! The access log. Workers append lines to buffers of their own; one thread writes the buffers. Nothing
//! on the way of a request waits for the disk: when the writer falls behind, lines are dropped and counted.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use http1::{Name, encode};

use crate::message::Protocol;
use crate::wire::calendar;

use super::{AccessLogFormat, AccessLogOptions, Authentication, Line, LogDestination, json};

/// A worker hands its buffer to the writer when it holds so much, or when its first line is so old. Each time
/// the writer is woken, which costs as much as to serve a request.
const FULL: usize = 128 << 10;
const OLD: Duration = Duration::from_millis(100);
/// Buffers that may wait for the writer: 8 MiB.
const QUEUE: usize = 64;

/// The writer's end, shared by all workers.
#[derive(Debug)]
pub struct AccessLog {
    buffers: SyncSender<Message>,
    format: AccessLogFormat,
    /// Lines that were dropped, because the writer fell behind or could not write.
    dropped: AtomicU64,
    reopen: AtomicBool,
}

#[derive(Debug)]
enum Message {
    Lines(Vec<u8>),
    /// Look whether to open the file again.
    Wake,
    /// Everything before this is written; say so.
    Flush(SyncSender<()>),
}

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

/// A worker's end.
struct Local {
    log: Arc<AccessLog>,
    lines: Vec<u8>,
    /// The beginning of the last line, down to the second, and that second.
    second: (u64, String),
}

impl AccessLog {
    /// Opens the log and starts its writer; `None` when none is wanted.
    pub fn open(options: &AccessLogOptions) -> io::Result<Option<Arc<AccessLog>>> {
        let Some(destination) = options.access.clone() else { return Ok(None) };
        let sink = Sink::open(&destination)?;
        let (buffers, receiver) = sync_channel(QUEUE);
        let log = Arc::new(AccessLog {
            buffers,
            format: options.format,
            dropped: AtomicU64::new(0),
            reopen: AtomicBool::new(false),
        });
        let shared = Arc::downgrade(&log);
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            Writer { destination, sink, warned: false, torn: false }.run(&receiver, &shared);
        })?;
        Ok(Some(log))
    }

    /// Called on each worker: its requests are logged here from now on.
    pub fn attach(log: Option<Arc<AccessLog>>) {
        flush_worker();
        LOCAL.set(log.map(|log| Local {
            log,
            lines: Vec::with_capacity(FULL + 4096),
            second: (0, String::new()),
        }));
    }

    /// After SIGUSR1: the file was moved away; begin a new one.
    pub fn reopen(&self) {
        self.reopen.store(true, Relaxed);
        let _ = self.buffers.try_send(Message::Wake);
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Waits until what workers handed over is written, but not longer than `patience`.
    pub fn flush(&self, patience: Duration) {
        let (done, written) = sync_channel(1);
        let end = Instant::now() + patience;
        // The queue may be full: that is when there is most to wait for.
        while self.buffers.try_send(Message::Flush(done.clone())).is_err() {
            if Instant::now() >= end {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = written.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

/// Hands this worker's lines to the writer.
pub fn flush_worker() {
    LOCAL.with_borrow_mut(|local| {
        if let Some(local) = local {
            local.hand_over();
        }
    });
}

/// Appends the line of a request that ended at `now`, since 1970.
pub(super) fn write(line: &Line<'_>, duration: Duration, now: Duration) {
    LOCAL.with_borrow_mut(|local| {
        let Some(local) = local else { return };
        if local.lines.is_empty() {
            tokio::task::spawn_local(async {
                tokio::time::sleep(OLD).await;
                flush_worker();
            });
        }
        match local.log.format {
            AccessLogFormat::Json => local.json(line, duration, now),
            AccessLogFormat::Combined => local.combined(line, now),
        }
        if local.lines.len() >= FULL {
            local.hand_over();
        }
    });
}

impl Local {
    fn hand_over(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let lines = std::mem::replace(&mut self.lines, Vec::with_capacity(FULL + 4096));
        if let Err(error) = self.log.buffers.try_send(Message::Lines(lines)) {
            let (std::sync::mpsc::TrySendError::Full(message)
            | std::sync::mpsc::TrySendError::Disconnected(message)) = error;
            if let Message::Lines(lines) = message {
                self.log.dropped.fetch_add(count_lines(&lines), Relaxed);
            }
        }
    }

    fn json(&mut self, line: &Line<'_>, duration: Duration, now: Duration) {
        let second = now.as_secs();
        if self.second.0 != second {
            self.second = (second, format!("{{\"time\":\"{}.", calendar::iso_second(second)));
        }
        let Line { record, head, .. } = line;
        let out = &mut self.lines;
        out.extend_from_slice(self.second.1.as_bytes());
        // In larger pieces, as each costs a look whether there is room: 30 instructions fewer a line.
        let mut client = *b"000Z\",\"client\":\"";
        client[..3].copy_from_slice(&encode::three_digits(now.subsec_millis()));
        out.extend_from_slice(&client);
        record.client.write_address(out);
        // A method is a token and a host is made of letters, digits and marks: nothing to escape.
        out.extend_from_slice(b"\",\"method\":\"");
        out.extend_from_slice(head.method_name());
        out.extend_from_slice(b"\",\"host\":\"");
        out.extend_from_slice(head.host());
        out.extend_from_slice(b"\",\"target\":");
        json::string(out, head.target());
        out.extend_from_slice(b",\"status\":");
        encode::decimal(out, u64::from(record.status));
        if record.protocol == Protocol::Http2 {
            out.extend_from_slice(b",\"protocol\":\"HTTP/2\"");
        }
        if let Some(certificate) = &record.certificate {
            out.extend_from_slice(b",\"client_subject\":");
            json::string(out, certificate.subject.as_bytes());
        }
        out.extend_from_slice(b",\"received\":");
        encode::decimal(out, record.received);
        out.extend_from_slice(b",\"sent\":");
        encode::decimal(out, record.sent);
        out.extend_from_slice(b",\"duration_ms\":");
        milliseconds(out, duration);
        out.extend_from_slice(line.route);
        if !line.endpoint.is_empty() {
            out.extend_from_slice(line.endpoint);
            out.extend_from_slice(b",\"upstream_ms\":");
            milliseconds(out, record.upstream_time);
            if record.attempts > 1 {
                out.extend_from_slice(b",\"attempts\":");
                encode::decimal(out, u64::from(record.attempts));
            }
        }
        if let Some(failure) = record.failure {
            out.extend_from_slice(b",\"reason\":\"");
            out.extend_from_slice(failure.reason().as_bytes());
            out.push(b'"');
            if let Some(detail) = failure.detail() {
                out.extend_from_slice(b",\"detail\":\"");
                out.extend_from_slice(detail.as_bytes());
                out.push(b'"');
            }
        }
        match &record.authentication {
            Authentication::NotAsked | Authentication::Passed(None) => {}
            Authentication::Passed(Some(user)) => {
                out.extend_from_slice(b",\"user\":");
                json::string(out, user);
            }
            // What went wrong behind it is the reason then.
            Authentication::Refused if record.failure.is_some() => {}
            Authentication::Refused => out.extend_from_slice(b",\"reason\":\"auth_refused\""),
        }
        for (key, name) in [(&b",\"user_agent\":"[..], Name::UserAgent), (b",\"referer\":", Name::Referer)] {
            if let Some(value) = head.fields.get(name) {
                out.extend_from_slice(key);
                json::string(out, value);
            }
        }
        out.extend_from_slice(b",\"request_id\":\"");
        out.extend_from_slice(line.id.as_bytes());
        out.extend_from_slice(b"\"}\n");
    }

    /// Apache's combined format.
    fn combined(&mut self, line: &Line<'_>, now: Duration) {
        let second = now.as_secs();
        if self.second.0 != second {
            self.second = (second, calendar::clf_second(second));
        }
        let Line { record, head, .. } = line;
        let out = &mut self.lines;
        record.client.write_address(out);
        out.extend_from_slice(b" - ");
        match &record.authentication {
            // A space would be the end of it.
            Authentication::Passed(Some(user)) => {
                for part in user.split_inclusive(|byte| *byte == b' ') {
                    match part.split_last() {
                        Some((b' ', word)) => {
                            hex_escaped(out, word);
                            out.extend_from_slice(b"\\x20");
                        }
                        _ => hex_escaped(out, part),
                    }
                }
            }
            _ => out.push(b'-'),
        }
        out.extend_from_slice(b" [");
        out.extend_from_slice(self.second.1.as_bytes());
        out.extend_from_slice(b"] \"");
        hex_escaped(out, head.method_name());
        out.push(b' ');
        hex_escaped(out, head.target());
        out.push(b' ');
        let version = match record.protocol {
            Protocol::Http1 => head.version.as_str(),
            Protocol::Http2 => "HTTP/2.0",
        };
        out.extend_from_slice(version.as_bytes());
        out.extend_from_slice(b"\" ");
        encode::decimal(out, u64::from(record.status));
        out.push(b' ');
        encode::decimal(out, record.sent);
        for name in [Name::Referer, Name::UserAgent] {
            out.extend_from_slice(b" \"");
            hex_escaped(out, head.fields.get(name).unwrap_or(b"-"));
            out.push(b'"');
        }
        out.push(b'\n');
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.hand_over();
    }
}

fn milliseconds(out: &mut Vec<u8>, duration: Duration) {
    let micros = duration.as_micros() as u64;
    encode::decimal(out, micros / 1000);
    let [tenths, hundredths, thousandths] = encode::three_digits((micros % 1000) as u32);
    out.extend_from_slice(&[b'.', tenths, hundredths, thousandths]);
}

/// Quotes, backslashes, control bytes and everything above ASCII as `\xHH`.
fn hex_escaped(out: &mut Vec<u8>, value: &[u8]) {
    for &byte in value {
        if (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\' {
            out.push(byte);
        } else {
            let _ = write!(out, "\\x{byte:02X}");
        }
    }
}

fn count_lines(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

enum Sink {
    Stdout,
    Stderr,
    File(File),
}

impl Sink {
    fn open(destination: &LogDestination) -> io::Result<Sink> {
        match destination {
            LogDestination::Stdout => Ok(Sink::Stdout),
            LogDestination::Stderr => Ok(Sink::Stderr),
            LogDestination::File(path) => open_file(path).map(Sink::File),
        }
    }

    /// What was written of the lines, and why not the rest.
    fn write(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        match self {
            Sink::Stdout => {
                let mut out = io::stdout().lock();
                let written = out.write_all(lines).and_then(|()| out.flush());
                (if written.is_ok() { lines.len() } else { 0 }, written)
            }
            Sink::Stderr => write_all(&mut io::stderr().lock(), lines),
            Sink::File(file) => write_all(file, lines),
        }
    }
}

fn write_all(sink: &mut impl Write, lines: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = lines.get(written..).filter(|rest| !rest.is_empty()) {
        match sink.write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// The thread that writes.
struct Writer {
    destination: LogDestination,
    sink: Sink,
    /// A failure was reported, and no write has worked since.
    warned: bool,
    /// The last line that was written has no end.
    torn: bool,
}

impl Writer {
    fn run(&mut self, messages: &Receiver<Message>, log: &std::sync::Weak<AccessLog>) {
        while let Ok(message) = messages.recv() {
            let log = log.upgrade();
            if log.as_ref().is_some_and(|log| log.reopen.swap(false, Relaxed)) {
                self.reopen();
            }
            match message {
                Message::Lines(lines) => {
                    let (written, outcome) = self.write(&lines);
                    let lost = lines.get(written..).map_or(0, count_lines);
                    if let Some(log) = &log {
                        log.dropped.fetch_add(lost, Relaxed);
                    }
                    self.report(outcome);
                }
                Message::Wake => {}
                Message::Flush(done) => drop(done.try_send(())),
            }
        }
    }

    /// A line that could be written in part only, as on a disk that is full, is ended before the next one.
    fn write(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        if self.torn {
            if let (_, Err(error)) = self.sink.write(b"\n") {
                return (0, Err(error));
            }
            self.torn = false;
        }
        let (written, outcome) = self.sink.write(lines);
        self.torn = written > 0 && lines.get(written - 1) != Some(&b'\n');
        (written, outcome)
    }

    fn reopen(&mut self) {
        match Sink::open(&self.destination) {
            Ok(sink) => (self.sink, self.torn) = (sink, false),
            Err(error) => crate::observe::notice(&format!("access log not opened again: {error}")),
        }
    }

    /// Says once that writing fails, and once that it works again.
    fn report(&mut self, outcome: io::Result<()>) {
        match outcome {
            Err(error) if !self.warned => {
                self.warned = true;
                crate::observe::notice(&format!("access log cannot be written, lines are lost: {error}"));
            }
            Ok(()) if self.warned => {
                self.warned = false;
                crate::observe::notice("access log can be written again");
            }
            _ => {}
        }
    }
}
