//! What an origin does with a request: a list of steps, and the answers of the echo service.

use std::fmt::Write as _;
use std::time::Duration;

use crate::origin::RecordedRequest;

/// What the origin does after it has read a request, in order.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub(crate) steps: Vec<Step>,
}

/// One thing that an origin does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sends these bytes as they are.
    Send(Vec<u8>),
    /// Waits; ends early when the origin is stopped.
    Pause(Duration),
    /// Closes (FIN; the kernel makes it a reset when bytes of the peer are still unread).
    Close,
    /// Closes with a reset (TCP RST).
    Reset,
    /// Goes on with the script but reads no further request from this connection.
    StopReading,
    /// Keeps the connection open, without reading or sending, until the origin is stopped.
    HoldOpen,
}

impl Script {
    /// An empty script: the origin stays silent and waits for the next request.
    pub fn new() -> Script {
        Script::default()
    }

    /// The steps in this order.
    pub fn of(steps: impl Into<Vec<Step>>) -> Script {
        Script { steps: steps.into() }
    }

    /// A complete answer with its Content-Length.
    pub fn answer(status: u16, body: impl AsRef<[u8]>) -> Script {
        Script::answer_with(status, &[], body)
    }

    /// A complete answer with further fields.
    pub fn answer_with(status: u16, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Script {
        Script::new().send(response_bytes(status, fields, body.as_ref()))
    }

    /// What the echo service answers to `request`; see [`crate::Origin::echo`].
    pub fn echo(request: &RecordedRequest) -> Script {
        echo(request)
    }

    pub fn then(mut self, step: Step) -> Script {
        self.steps.push(step);
        self
    }

    /// Everything of `next` behind what is here.
    pub fn followed_by(mut self, next: Script) -> Script {
        self.steps.extend(next.steps);
        self
    }

    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Script {
        self.then(Step::Send(bytes.into()))
    }

    pub fn pause(self, time: Duration) -> Script {
        self.then(Step::Pause(time))
    }

    pub fn close(self) -> Script {
        self.then(Step::Close)
    }

    pub fn reset(self) -> Script {
        self.then(Step::Reset)
    }
}

/// `length` bytes whose period (251, a prime) is no divisor of any buffer size, so that a body that lost,
/// repeated or swapped a block differs from it.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| b'!' + (index % 251 % 90) as u8).collect()
}

fn echo(request: &RecordedRequest) -> Script {
    let answer = EchoAnswer::to(request);
    let wants_close = request.wants_close();
    let mut fields = vec![("Content-Type", answer.content_type.as_str())];
    if wants_close {
        fields.push(("Connection", "close"));
    }
    let mut bytes = match answer.streamed {
        true => chunked_response_bytes(answer.status, &fields, &answer.body),
        false => response_bytes(answer.status, &fields, &answer.body),
    };
    if request.method == "HEAD" {
        let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("we wrote it") + 4;
        bytes.truncate(head_end);
    }
    let mut script = Script::new();
    if !answer.pause.is_zero() {
        script = script.pause(answer.pause);
    }
    script = script.send(bytes);
    if wants_close { script.close() } else { script }
}

/// What the echo service says, whatever the protocol.
pub(crate) struct EchoAnswer {
    pub status: u16,
    pub content_type: String,
    pub body: Vec<u8>,
    /// Before the answer.
    pub pause: Duration,
    /// Without a length in the head.
    pub streamed: bool,
}

impl EchoAnswer {
    pub fn to(request: &RecordedRequest) -> EchoAnswer {
        let path = request.target.split('?').next().unwrap_or_default();
        let mut segments = path.rsplit('/');
        let last = segments.next().unwrap_or_default();
        let before = segments.next().unwrap_or_default();
        let mut answer = EchoAnswer {
            status: 200,
            content_type: "text/plain".to_string(),
            body: Vec::new(),
            pause: Duration::ZERO,
            streamed: false,
        };
        answer.body = match (before, last) {
            ("bytes", length) => pattern(number(length)),
            ("chunked", length) => {
                answer.streamed = true;
                pattern(number(length))
            }
            ("status", code) => {
                answer.status = number(code) as u16;
                format!("{code}\n").into_bytes()
            }
            ("slow", time) => {
                answer.pause = Duration::from_millis(number(time) as u64);
                b"slow\n".to_vec()
            }
            (_, "echo") => {
                let content_type = request.headers.get("Content-Type");
                answer.content_type = content_type.unwrap_or("application/octet-stream").to_string();
                request.body.clone()
            }
            (_, "headers") => request.head().to_vec(),
            (_, name) => match name.strip_prefix("canary-") {
                Some(number) => number.as_bytes().to_vec(),
                None => format!("{} {}\n", request.method, request.target).into_bytes(),
            },
        };
        answer
    }
}

/// A number in a path of the echo service; a test that misspells it hears so at once.
fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| panic!("the echo service wants a number, not {text:?}"))
}

fn response_bytes(status: u16, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = response_head(status, fields);
    // RFC 9110 §8.6: no Content-Length in 1xx and 204; a 304 may have one but sends no body.
    let bodiless = status < 200 || status == 204 || status == 304;
    if !bodiless {
        write!(head, "Content-Length: {}\r\n", body.len()).expect("a String takes everything");
    }
    head.push_str("\r\n");
    [head.as_bytes(), if bodiless { b"" } else { body }].concat()
}

fn chunked_response_bytes(status: u16, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = response_head(status, fields).into_bytes();
    bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    for chunk in body.chunks(CHUNK) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

fn response_head(status: u16, fields: &[(&str, &str)]) -> String {
    let reason = if status == 200 { "OK" } else { "Scripted" };
    let mut head = format!("HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in fields {
        write!(head, "{name}: {value}\r\n").expect("a String takes everything");
    }
    head
}

/// Small and odd, so that chunks straddle the buffers of whoever reads them.
const CHUNK: usize = 1001;
