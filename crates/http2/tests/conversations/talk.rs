//! A connection that is driven by words.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use http2::{Connection, Event, Incoming, Key, Limits, Stream};

use super::frames::{of_client, of_server, reason};

/// Small enough that conversations reach them.
const LIMITS: Limits = Limits { streams: 3, header_list: 12 << 10, window: 100_000, output: 40_000 };

/// A conversation, and the streams in it that somebody serves.
pub struct Talk {
    // Streams go before the connection that they are of.
    streams: BTreeMap<u32, Stream<'static>>,
    connection: &'static Connection,
    received: Vec<u8>,
    /// The socket takes nothing for now.
    is_full: bool,
    is_over: bool,
}

impl Talk {
    /// Before the client has said anything.
    pub fn begin() -> Talk {
        // Leaked: streams that borrow it stand beside it.
        let connection = Box::leak(Box::new(Connection::new(LIMITS)));
        Talk { streams: BTreeMap::new(), connection, received: Vec::new(), is_full: false, is_over: false }
    }

    /// The client sends a frame; what came of it, a line each.
    pub fn client(&mut self, words: &str) -> String {
        self.received.extend(of_client(words));
        let mut lines = String::new();
        while !self.is_over {
            match self.connection.take(&self.received) {
                Ok(taken) => {
                    self.received.drain(..taken.count);
                    match taken.event {
                        Event::Starved => break,
                        Event::Preface | Event::Frame(_) => {}
                        Event::Request { frame, key, ends } => {
                            let ends = if ends { " ends" } else { "" };
                            lines += &format!("= request {}{ends}\n", frame.stream);
                            self.serve(frame.stream, key);
                        }
                    }
                }
                Err(error) => {
                    self.is_over = true;
                    lines += &format!("! {}\n", reason(error as u32));
                }
            }
        }
        lines + &self.sent()
    }

    fn serve(&mut self, id: u32, key: Key) {
        let stream = self.connection.stream(key);
        stream.with_fields(|fields| assert!(!fields.is_empty()));
        self.streams.insert(id, stream);
    }

    /// What is to be sent, unless the socket takes nothing.
    fn sent(&mut self) -> String {
        if self.is_full {
            return String::new();
        }
        let mut bytes = Vec::new();
        let _ = self.connection.poll_output(|pending| {
            bytes.extend(pending);
            Poll::Ready(Ok::<_, ()>(pending.len()))
        });
        let (mut lines, mut rest) = (String::new(), &bytes[..]);
        while !rest.is_empty() {
            let (words, behind) = of_server(rest);
            lines += &format!("< {words}\n");
            rest = behind;
        }
        lines
    }

    /// Whoever serves the streams does something; what came of it.
    pub fn server(&mut self, words: &str) -> String {
        let words: Vec<&str> = words.split(' ').collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<usize>().ok()).unwrap_or(0);
        let ends = words.last() == Some(&"end");
        let cx = Context::from_waker(Waker::noop());
        let id = number(1) as u32;
        let of = |streams: &BTreeMap<u32, Stream<'static>>| streams.contains_key(&id);
        let said = match (words[0], of(&self.streams)) {
            ("full", _) => {
                self.is_full = true;
                None
            }
            ("drained", _) => {
                self.is_full = false;
                None
            }
            ("rest", _) => {
                self.connection.rest();
                None
            }
            ("leave", _) => {
                self.connection.announce_end();
                None
            }
            ("close", true) => {
                self.streams.remove(&id);
                None
            }
            (action, true) => act(&self.streams[&id], action, (number(2), ends), &cx),
            (action, false) => panic!("nobody serves stream {id}: {action}"),
        };
        said.map(|said| format!("= {said}\n")).unwrap_or_default() + &self.sent()
    }
}

fn act(stream: &Stream<'_>, action: &str, (number, ends): (usize, bool), cx: &Context<'_>) -> Option<String> {
    match action {
        "expect" => {
            stream.expect(number as u64);
            None
        }
        "interim" => stream.send_interim(number as u16, |_| ()).err().map(|_| "closed".into()),
        "head" => stream
            .send_head(number as u16, ends, |head| head.field(b"Server", b"a"))
            .err()
            .map(|_| "closed".into()),
        "long-head" => {
            let value = "abcdefghij".repeat(number / 10);
            stream
                .send_head(200, ends, |head| head.field(b"x", value.as_bytes()))
                .err()
                .map(|_| "closed".into())
        }
        "send" => {
            let mut left = number;
            while left > 0 {
                match stream.poll_send(&vec![b's'; left], ends, cx) {
                    Poll::Ready(Ok(count)) => left -= count,
                    Poll::Ready(Err(_)) => return Some("closed".into()),
                    Poll::Pending => return Some(format!("{left} wait")),
                }
            }
            None
        }
        "finish" => stream.end().err().map(|_| "closed".into()),
        "trailers" => stream.send_trailers(|head| head.field(b"x", b"y")).err().map(|_| "closed".into()),
        "reset" => {
            stream.reset(http2::Reason::InternalError);
            None
        }
        "read" => Some(read(stream, cx)),
        "release" => {
            stream.release(number);
            None
        }
        other => panic!("nothing is done by {other}"),
    }
}

fn read(stream: &Stream<'_>, cx: &Context<'_>) -> String {
    let mut data = Vec::new();
    match stream.poll_data(&mut data, cx) {
        Poll::Ready(Ok(Incoming::Data)) => format!("{} bytes", data.len()),
        Poll::Ready(Ok(Incoming::End)) => match stream.take_trailers() {
            Some(trailers) => format!("end, {} trailers", trailers.len()),
            None => "end".into(),
        },
        Poll::Ready(Err(lost)) => format!("{lost:?}").to_lowercase(),
        Poll::Pending => "nothing yet".into(),
    }
}
