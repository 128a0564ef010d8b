//! A client with one keep-alive connection: sends a request, reads its answer, and says what became of it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// What a client got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Status(u16),
    /// A success with what is not the answer to this request.
    Foreign,
    /// No whole answer: the connection ended, or nothing came for [`PATIENCE`].
    Broken(io::ErrorKind),
}

impl Outcome {
    pub fn is_success(self) -> bool {
        matches!(self, Outcome::Status(200..=299))
    }
}

pub struct Client {
    port: u16,
    stream: Option<TcpStream>,
}

impl Client {
    pub fn new(port: u16) -> Client {
        Client { port, stream: None }
    }

    /// Sends a request that is answered with its id. Nothing is sent twice: an error is an outcome.
    pub fn ask(&mut self, method: &str, id: u64) -> Outcome {
        let mut stream = match self.stream.take().map_or_else(|| connect(self.port), Ok) {
            Ok(stream) => stream,
            Err(error) => return Outcome::Broken(error.kind()),
        };
        let length = if method == "POST" { "Content-Length: 2\r\n\r\nid" } else { "\r\n" };
        let request = format!("{method} /{id} HTTP/1.1\r\nHost: chaos\r\n{length}");
        let answer = stream.write_all(request.as_bytes()).and_then(|()| read_answer(&mut stream));
        match answer {
            Ok(answer) => {
                self.stream = (!answer.closes).then_some(stream);
                match answer.status {
                    200..=299 if answer.body != id.to_string() => Outcome::Foreign,
                    status => Outcome::Status(status),
                }
            }
            Err(error) => Outcome::Broken(error.kind()),
        }
    }
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

struct Answer {
    status: u16,
    closes: bool,
    body: String,
}

fn read_answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => received.extend_from_slice(&buffer[..count]),
        }
        if let Some(answer) = parse(&received)? {
            return Ok(answer);
        }
    }
}

/// `None` while there is more to come; an answer that does not tell its length is an error.
fn parse(received: &[u8]) -> io::Result<Option<Answer>> {
    let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&received[..end]);
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(malformed)?;
    let field = |wanted: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let length: usize = field("content-length").and_then(|value| value.parse().ok()).ok_or_else(malformed)?;
    let closes = field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let body = received.get(end + 4..end + 4 + length);
    Ok(body.map(|body| Answer { status, closes, body: String::from_utf8_lossy(body).into_owned() }))
}

const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn tells_what_became_of_a_request() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n7", Outcome::Status(200)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n8", Outcome::Foreign),
            ("HTTP/1.1 502 Bad\r\ncontent-length: 3\r\n\r\nbad", Outcome::Status(502)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n7", Outcome::Broken(io::ErrorKind::UnexpectedEof)),
            ("HTTP/1.1 200 OK\r\n\r\n7", Outcome::Broken(io::ErrorKind::InvalidData)),
            ("", Outcome::Broken(io::ErrorKind::UnexpectedEof)),
        ];
        for (answer, expected) in cases {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = thread::spawn(move || {
                let mut stream = listener.accept().unwrap().0;
                stream.read_exact(&mut [0; 10]).unwrap();
                stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                while matches!(stream.read(&mut [0; 100]), Ok(1..)) {}
                stream.write_all(answer.as_bytes()).unwrap();
            });
            assert_eq!(Client::new(port).ask("GET", 7), expected, "{answer:?}");
            server.join().unwrap();
        }
    }
}
