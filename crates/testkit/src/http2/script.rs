//! What an HTTP/2 origin does with a stream: a list of steps, and the answers of the echo service.

use std::time::Duration;

use super::frame::Frame;
use super::origin::H2Request;
use crate::script::EchoAnswer;

/// What the origin does with one stream, in order. Streams of one connection go on beside each other.
#[derive(Clone, Debug, Default)]
pub struct H2Script {
    pub(super) steps: Vec<H2Step>,
}

/// One thing that an origin does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum H2Step {
    /// A head with this status; below 200 it is an interim answer.
    Head {
        status: u16,
        fields: Vec<(String, String)>,
        end: bool,
    },
    /// A part of the body, as the proxy's windows allow.
    Data {
        bytes: Vec<u8>,
        end: bool,
    },
    /// Ends the stream.
    Trailers(Vec<(String, String)>),
    /// RST_STREAM with this code.
    Reset(u32),
    GoAway {
        at: GoAwayAt,
        code: u32,
    },
    /// Waits; other streams go on.
    Pause(Duration),
    /// Waits for so many bytes of the request's body; for its end with `usize::MAX`. For scripts that start early.
    Await(usize),
    /// A frame as it is, with its own number of the stream.
    Frame(Frame),
    /// A frame on this stream, whose number is put in.
    FrameHere(Frame),
    Raw(Vec<u8>),
    /// Closes the connection (FIN, after close_notify in TLS).
    Close,
    /// Closes with a reset (TCP RST).
    Abort,
}

/// Which streams a GOAWAY still promises to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoAwayAt {
    /// This one and those before.
    Here,
    /// Those before: this one was not looked at.
    Before,
    /// All: what a server says before it means it (RFC 9113 §6.8).
    Last,
}

impl H2Script {
    /// The origin stays silent on this stream.
    pub fn new() -> H2Script {
        H2Script::default()
    }

    /// A complete answer with its content-length.
    pub fn answer(status: u16, body: impl AsRef<[u8]>) -> H2Script {
        H2Script::answer_with(status, &[], body)
    }

    /// A complete answer with further fields.
    pub fn answer_with(status: u16, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> H2Script {
        let body = body.as_ref();
        let length = body.len().to_string();
        let fields = [fields, &[("content-length", length.as_str())]].concat();
        H2Script::new().head(status, &fields, false).data(body, true)
    }

    /// What the echo service answers to `request`; see [`crate::Origin::echo`]. The raw head is a line for each
    /// field.
    pub fn echo(request: &H2Request) -> H2Script {
        let echo = EchoAnswer::to(&request.as_recorded());
        let length = echo.body.len().to_string();
        let mut fields = vec![("content-type", echo.content_type.as_str())];
        if !echo.streamed && !matches!(echo.status, 204 | 304) {
            fields.push(("content-length", &length));
        }
        let bodiless = request.method() == "HEAD" || matches!(echo.status, 204 | 304);
        let script = H2Script::new().pause(echo.pause).head(echo.status, &fields, bodiless);
        if bodiless { script } else { script.data(echo.body, true) }
    }

    pub fn then(mut self, step: H2Step) -> H2Script {
        self.steps.push(step);
        self
    }

    pub fn head(self, status: u16, fields: &[(&str, &str)], end: bool) -> H2Script {
        self.then(H2Step::Head { status, fields: owned(fields), end })
    }

    pub fn data(self, bytes: impl AsRef<[u8]>, end: bool) -> H2Script {
        self.then(H2Step::Data { bytes: bytes.as_ref().to_vec(), end })
    }

    pub fn trailers(self, fields: &[(&str, &str)]) -> H2Script {
        self.then(H2Step::Trailers(owned(fields)))
    }

    pub fn reset(self, code: u32) -> H2Script {
        self.then(H2Step::Reset(code))
    }

    /// Goes on when the request's body has so many bytes.
    pub fn await_body(self, bytes: usize) -> H2Script {
        self.then(H2Step::Await(bytes))
    }

    /// Goes on when the request has ended.
    pub fn await_end(self) -> H2Script {
        self.await_body(usize::MAX)
    }

    pub fn pause(self, time: Duration) -> H2Script {
        if time.is_zero() { self } else { self.then(H2Step::Pause(time)) }
    }
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}
