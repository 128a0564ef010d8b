//! The connection of one case, and what can be expected of the server on it.

use std::time::Instant;

use super::{Failure, Target, Verdict};
use crate::H2Failure;
use crate::http2::{Frame, H2Client, H2Response, encode, error, kind, setting};
use crate::stream::is_timeout;

/// Greeted, and with the server's SETTINGS and acknowledgement read, unless the case asks for a silent one.
pub struct Probe<'a> {
    pub client: H2Client,
    target: &'a Target,
}

/// How a connection ended, or what it still does.
enum Standing {
    Closed,
    Silent,
}

impl<'a> Probe<'a> {
    pub(super) fn connect(target: &'a Target) -> Probe<'a> {
        let mut probe = Probe { client: Probe::silent(target), target };
        probe.greet(&[]);
        probe
    }

    /// Starts anew, with these settings of ours.
    pub(super) fn again(&mut self, settings: &[(u16, u32)]) {
        self.client = Probe::silent(self.target);
        self.greet(settings);
    }

    /// Starts anew, and says nothing.
    pub(super) fn again_silent(&mut self) {
        self.client = Probe::silent(self.target);
    }

    fn silent(target: &Target) -> H2Client {
        let mut client = match &target.tls {
            Some(tls) => H2Client::silent_tls(&target.address, tls),
            None => H2Client::silent(&target.address),
        };
        client.set_deadline(target.patience);
        client
    }

    fn greet(&mut self, settings: &[(u16, u32)]) {
        self.client.greet(settings);
        // Its own and the acknowledgement of ours, in whatever order.
        self.client.frame_of(kind::SETTINGS);
        self.client.frame_of(kind::SETTINGS);
    }

    /// The fields of a good request: method, scheme, authority and path.
    pub(super) fn head(&self, method: &'static str) -> Vec<(String, String)> {
        let head = self.client.head(method, &self.target.path, &[]);
        head.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    /// A block of a good request, with further fields.
    pub(super) fn block(&self, method: &'static str, more: &[(&str, &str)]) -> Vec<u8> {
        let mut fields = self.head(method);
        fields.extend(more.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        encode(&fields)
    }

    /// Sends a GET and gives its stream.
    pub(super) fn get(&mut self) -> u32 {
        let (stream, block) = (self.client.take_stream(), self.block("GET", &[]));
        self.send(&[Frame::headers(stream, block, true)]);
        stream
    }

    /// Sends the head of a POST, whose body is still to come, and gives its stream.
    pub(super) fn post(&mut self) -> u32 {
        let (stream, block) = (self.client.take_stream(), self.block("POST", &[]));
        self.send(&[Frame::headers(stream, block, false)]);
        stream
    }

    /// Sends frames together. The server may hang up meanwhile: what is expected next says whether it may.
    pub(super) fn send(&mut self, frames: &[Frame]) {
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::to_bytes).collect();
        let _ = self.client.try_send_raw(bytes);
    }

    /// The connection ends, with GOAWAY of one of these codes if there is one (RFC 9113 §5.4.1: should).
    pub(super) fn connection_error(&mut self, codes: &[u32]) -> Verdict {
        match (self.listen(|_| false), self.client.goaway()) {
            (Standing::Silent, None) => self.broken("the connection lives on"),
            (_, Some((_, code))) if !codes.contains(&code) => {
                self.broken(&format!("GOAWAY with code {code}"))
            }
            (Standing::Silent, Some(_)) => self.broken("GOAWAY, but the connection stays open"),
            (Standing::Closed, _) => Ok(()),
        }
    }

    /// The stream is reset with one of these codes, or the connection ends with one (§5.4.2, and §5.4.1 allows to
    /// treat it as worse).
    pub(super) fn stream_error(&mut self, stream: u32, codes: &[u32]) -> Verdict {
        let standing = self.listen(|client| client.reset_code(stream).is_some());
        match (self.client.reset_code(stream), self.client.goaway(), standing) {
            (Some(code), ..) if codes.contains(&code) => Ok(()),
            (Some(code), ..) => self.broken(&format!("RST_STREAM with code {code}")),
            (None, Some((_, code)), _) if codes.contains(&code) => Ok(()),
            (None, Some((_, code)), _) => self.broken(&format!("GOAWAY with code {code}")),
            (None, None, Standing::Closed) => Ok(()),
            (None, None, Standing::Silent) => {
                let status = self.client.status(stream);
                self.broken(&format!("the stream is not reset; its answer: {status:?}"))
            }
        }
    }

    /// The request on `stream` is refused as malformed: reset, the connection ended, or answered with 4xx or 501
    /// (§8.1.1).
    pub(super) fn malformed(&mut self, stream: u32) -> Verdict {
        let answered =
            |client: &H2Client| client.reset_code(stream).is_some() || client.status(stream).is_some();
        let _ = self.listen(answered);
        match self.client.status(stream) {
            Some(400..=499 | 501) => Ok(()),
            Some(status) => self.broken(&format!("answered with {status}")),
            None => self.stream_error(stream, &[error::PROTOCOL_ERROR]),
        }
    }

    /// The stream has a whole answer, 200.
    pub(super) fn answered(&mut self, stream: u32) -> Verdict {
        self.answer(stream).map(|_| ())
    }

    pub(super) fn answer(&mut self, stream: u32) -> Result<H2Response, Failure> {
        match self.client.outcome(stream) {
            Ok(response) if response.status == 200 => Ok(response),
            Ok(response) => Err(Failure::Broken(format!("answered with {}", response.status))),
            Err(H2Failure::Silence) => Err(Failure::Broken("no answer".to_string())),
            Err(failure) => Err(Failure::Broken(format!("no answer: {failure:?}"))),
        }
    }

    /// The connection is as good as before: it answers a PING and a request.
    pub(super) fn alive(&mut self) -> Verdict {
        self.pings()?;
        let stream = self.get();
        self.answered(stream)
    }

    /// Everything that was sent has been seen: a PING came back.
    pub(super) fn pings(&mut self) -> Verdict {
        let payload = *b"judgment";
        self.send(&[Frame::ping(payload)]);
        let end = Instant::now() + self.target.patience;
        loop {
            match self.client.try_frame(end.saturating_duration_since(Instant::now())) {
                Ok(Some(frame)) if frame.kind == kind::PING && frame.payload == payload => return Ok(()),
                Ok(Some(_)) => {}
                Ok(None) => return self.broken("the connection ended"),
                Err(error) => return self.broken(&format!("no answer to PING: {error}")),
            }
        }
    }

    /// The server's setting, or what it is without one.
    pub(super) fn setting(&self, id: u16) -> u32 {
        self.client.setting(id).unwrap_or(match id {
            setting::INITIAL_WINDOW_SIZE => 65_535,
            setting::MAX_FRAME_SIZE => 16_384,
            setting::HEADER_TABLE_SIZE => 4096,
            _ => u32::MAX,
        })
    }

    pub(super) fn broken<T>(&self, what: &str) -> Result<T, Failure> {
        Err(Failure::Broken(what.to_string()))
    }

    /// Takes in what comes until `enough`, the end, or nothing for as long as the patience lasts.
    fn listen(&mut self, enough: impl Fn(&H2Client) -> bool) -> Standing {
        let end = Instant::now() + self.target.patience;
        while !enough(&self.client) {
            match self.client.try_frame(end.saturating_duration_since(Instant::now())) {
                Ok(Some(_)) => {}
                Err(error) if is_timeout(&error) => return Standing::Silent,
                Ok(None) | Err(_) => return Standing::Closed,
            }
        }
        Standing::Silent
    }
}
