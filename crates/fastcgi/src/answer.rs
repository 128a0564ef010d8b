//! Answers: records of output, of complaints, and the one that ends them. Strict: a record that belongs to no
//! request of ours, or that has no place in an answer, ends the connection.

use crate::record::{HEADER, Header, Kind, REQUEST};

/// What a server broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerError {
    Version,
    /// A type that has no place in an answer: unknown, of management, or of requests.
    Kind,
    /// Of a request that was never made.
    Request,
    /// An end that is not eight bytes long, or says what nobody has defined.
    End,
    /// Output behind the end of the output.
    AfterOutput,
}

impl AnswerError {
    /// A short code for the log.
    pub fn reason(self) -> &'static str {
        match self {
            AnswerError::Version => "record_version",
            AnswerError::Kind => "record_type",
            AnswerError::Request => "record_request_id",
            AnswerError::End => "bad_end_request",
            AnswerError::AfterOutput => "output_after_its_end",
        }
    }
}

/// What the server says of the request as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Complete,
    /// It takes one request at a time on a connection.
    CannotMultiplex,
    /// It has no room for the request now.
    Overloaded,
    /// It is no responder.
    UnknownRole,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub verdict: Verdict,
    /// What the application ended with; 0 is well.
    pub status: u32,
}

/// What became of some bytes: output from `start` on, as one piece, and behind it what was not looked at yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    pub start: usize,
    pub output: usize,
    pub rest: usize,
}

/// Reads one answer.
#[derive(Debug, Default)]
pub struct AnswerReader {
    state: State,
    /// An empty record has ended the output.
    output_ended: bool,
    end: Option<End>,
}

/// ```text
/// Header ──> Content(Output | Complaint) ──> Padding ──> Header
///    └─────> End ──────────────────────────────┘
/// ```
#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Header,
    Content(Stream, u16, u8),
    End(u8),
    Padding(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Output,
    Complaint,
}

impl AnswerReader {
    /// Takes the records out of `bytes`, in place. `complain` gets what the application says beside its output.
    /// What is not looked at yet is to be given again with more behind it. Behind the end nothing is looked at.
    pub fn decode(
        &mut self,
        bytes: &mut [u8],
        mut complain: impl FnMut(&[u8]),
    ) -> Result<Decoded, AnswerError> {
        let (mut at, mut start, mut output) = (0, 0, 0);
        while !self.is_over() {
            let here = &bytes[at..];
            match self.state {
                State::Header => {
                    let Some(header) = here.first_chunk::<HEADER>() else { break };
                    self.begin(Header::decode(*header))?;
                    at += HEADER;
                }
                State::Content(stream, left, padding) => {
                    let count = here.len().min(usize::from(left));
                    if count == 0 && left > 0 {
                        break;
                    }
                    match stream {
                        Stream::Complaint => complain(&here[..count]),
                        // The first piece stays where it is.
                        Stream::Output if output == 0 => (start, output) = (at, count),
                        Stream::Output => {
                            bytes.copy_within(at..at + count, start + output);
                            output += count;
                        }
                    }
                    at += count;
                    let left = left - count as u16;
                    self.state = if left > 0 {
                        State::Content(stream, left, padding)
                    } else {
                        State::Padding(padding)
                    };
                }
                State::End(padding) => {
                    let Some(content) = here.first_chunk() else { break };
                    self.end = Some(end(*content)?);
                    self.state = State::Padding(padding);
                    at += content.len();
                }
                State::Padding(0) => self.state = State::Header,
                State::Padding(left) => {
                    let count = here.len().min(usize::from(left));
                    if count == 0 {
                        break;
                    }
                    at += count;
                    self.state = State::Padding(left - count as u8);
                }
            }
        }
        if output == 0 {
            start = at;
        } else if at > start + output {
            bytes.copy_within(at.., start + output);
        }
        Ok(Decoded { start, output, rest: bytes.len() - at })
    }

    /// The whole answer was read.
    pub fn is_over(&self) -> bool {
        self.end.is_some() && matches!(self.state, State::Header)
    }

    /// How it ended, once it is over.
    pub fn end(&self) -> Option<End> {
        self.end.filter(|_| self.is_over())
    }

    fn begin(&mut self, header: Header) -> Result<(), AnswerError> {
        if !header.is_of_this_version() {
            return Err(AnswerError::Version);
        }
        let stream = match header.kind {
            kind if kind == Kind::Stdout as u8 => Some(Stream::Output),
            kind if kind == Kind::Stderr as u8 => Some(Stream::Complaint),
            kind if kind == Kind::EndRequest as u8 => None,
            _ => return Err(AnswerError::Kind),
        };
        if header.request != REQUEST {
            return Err(AnswerError::Request);
        }
        let Some(stream) = stream else {
            if header.content != 8 {
                return Err(AnswerError::End);
            }
            self.state = State::End(header.padding);
            return Ok(());
        };
        if stream == Stream::Output {
            if self.output_ended && header.content > 0 {
                return Err(AnswerError::AfterOutput);
            }
            self.output_ended |= header.content == 0;
        }
        self.state = match header.content {
            0 => State::Padding(header.padding),
            content => State::Content(stream, content, header.padding),
        };
        Ok(())
    }
}

fn end(content: [u8; 8]) -> Result<End, AnswerError> {
    let [a, b, c, d, verdict, _, _, _] = content;
    let verdict = match verdict {
        0 => Verdict::Complete,
        1 => Verdict::CannotMultiplex,
        2 => Verdict::Overloaded,
        3 => Verdict::UnknownRole,
        _ => return Err(AnswerError::End),
    };
    Ok(End { verdict, status: u32::from_be_bytes([a, b, c, d]) })
}
