//! A scripted FastCGI server: it reads requests by the letter of the specification, with code of its own, notes them
//! and answers what the test scripts, byte for byte.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::script::Step;
use crate::{Address, Behaviour, Origin, OriginConnection, Script};

/// A server that runs until it is dropped.
pub struct FastCgi {
    origin: Origin,
    records: Arc<Mutex<Records>>,
}

#[derive(Default)]
struct Records {
    requests: Vec<FastCgiRequest>,
    violations: Vec<String>,
}

/// A request as the server got it, after all of its body arrived.
#[derive(Clone, Debug)]
pub struct FastCgiRequest {
    /// The connection that it came on, counted from 0.
    pub connection: usize,
    /// The connection is to outlive the request.
    pub keeps: bool,
    /// In the order in which they came.
    pub params: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Bytes in each record of the body.
    pub pieces: Vec<usize>,
}

impl FastCgiRequest {
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

impl FastCgi {
    /// On a free port of 127.0.0.1; does with each request what `script` says. The number counts the requests of all
    /// connections, from 0.
    pub fn start(script: impl Fn(&FastCgiRequest, usize) -> Script + Send + Sync + 'static) -> FastCgi {
        FastCgi::serve(Address::Tcp(([127, 0, 0, 1], 0).into()), script)
    }

    /// The same on `address`, which may be a Unix socket.
    pub fn serve(
        address: impl Into<Address>,
        script: impl Fn(&FastCgiRequest, usize) -> Script + Send + Sync + 'static,
    ) -> FastCgi {
        let records = Arc::new(Mutex::new(Records::default()));
        let served = {
            let records = records.clone();
            move |connection: OriginConnection, index: usize| serve(connection, index, &records, &script)
        };
        FastCgi { origin: Origin::serve(address, Behaviour::Raw(Box::new(served))), records }
    }

    pub fn address(&self) -> Address {
        self.origin.address()
    }

    /// The complete requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<FastCgiRequest> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }

    /// The rules that requests broke, in order: must stay empty behind a correct proxy.
    pub fn violations(&self) -> Vec<String> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).violations.clone()
    }

    /// The bytes that each connection has sent so far.
    pub fn connections(&self) -> Vec<Vec<u8>> {
        self.origin.connections()
    }

    pub fn open_connections(&self) -> usize {
        self.origin.open_connections()
    }

    pub fn stop(&mut self) {
        self.origin.stop();
    }
}

/// One record, byte for byte as asked.
pub fn record(kind: u8, request: u16, content: &[u8], padding: u8) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("content of one record");
    let mut out = vec![1, kind];
    out.extend_from_slice(&request.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[padding, 0]);
    out.extend_from_slice(content);
    out.resize(out.len() + usize::from(padding), 0xee);
    out
}

/// Output, in as many records as it takes.
pub fn output(content: impl AsRef<[u8]>) -> Vec<u8> {
    content.as_ref().chunks(65_535).flat_map(|piece| record(6, 1, piece, 0)).collect()
}

/// What the application says beside its output.
pub fn complaint(content: impl AsRef<[u8]>) -> Vec<u8> {
    record(7, 1, content.as_ref(), 0)
}

/// The record that ends an answer: status of the application and verdict on the request.
pub fn end(status: u32, verdict: u8) -> Vec<u8> {
    let [a, b, c, d] = status.to_be_bytes();
    record(3, 1, &[a, b, c, d, verdict, 0, 0, 0], 0)
}

/// A whole answer: output with head and body, and the end.
pub fn answer(whole: impl AsRef<[u8]>) -> Vec<u8> {
    [output(whole), end(0, 0)].concat()
}

fn serve(
    mut connection: OriginConnection,
    index: usize,
    records: &Mutex<Records>,
    script: &dyn Fn(&FastCgiRequest, usize) -> Script,
) {
    loop {
        let request = match read_request(&mut connection, index) {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
                    records.violations.push(error.to_string());
                }
                return;
            }
        };
        let number = {
            let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
            records.requests.push(request.clone());
            records.requests.len() - 1
        };
        for step in script(&request, number).steps {
            let done = match step {
                Step::Send(bytes) => connection.write_all(&bytes),
                Step::Pause(time) => {
                    thread::sleep(time);
                    Ok(())
                }
                Step::Close => return,
                Step::Reset => return connection.reset(),
                Step::StopReading | Step::HoldOpen => {
                    let _ = io::copy(&mut connection, &mut io::sink());
                    return;
                }
            };
            if done.is_err() {
                return;
            }
        }
        if !request.keeps {
            return;
        }
    }
}

fn broken(rule: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, rule.into())
}

/// Type and content of the next record; `None` at the end of the stream.
fn read_record(stream: &mut impl Read) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut header = [0; 8];
    if stream.read(&mut header[..1])? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut header[1..])?;
    let [version, kind, id_high, id_low, length_high, length_low, padding, reserved] = header;
    if (version, id_high, id_low, reserved) != (1, 0, 1, 0) {
        return Err(broken(format!("a header {header:?}")));
    }
    let length = usize::from(length_high) * 256 + usize::from(length_low);
    let mut content = vec![0; length + usize::from(padding)];
    stream.read_exact(&mut content)?;
    content.truncate(length);
    Ok(Some((kind, content)))
}

/// The contents of the records of one kind up to the empty one, and how long each was.
fn read_stream(stream: &mut impl Read, wanted: u8) -> io::Result<(Vec<u8>, Vec<usize>)> {
    let (mut all, mut pieces) = (Vec::new(), Vec::new());
    loop {
        let Some((kind, content)) = read_record(stream)? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        if kind != wanted {
            return Err(broken(format!("a record of type {kind} in a stream of type {wanted}")));
        }
        if content.is_empty() {
            return Ok((all, pieces));
        }
        pieces.push(content.len());
        all.extend_from_slice(&content);
    }
}

fn read_request(stream: &mut impl Read, connection: usize) -> io::Result<Option<FastCgiRequest>> {
    let Some((kind, content)) = read_record(stream)? else { return Ok(None) };
    let keeps = match (kind, content.as_slice()) {
        (1, [0, 1, flags @ (0 | 1), 0, 0, 0, 0, 0]) => *flags == 1,
        _ => return Err(broken(format!("a request begins with type {kind} and {content:?}"))),
    };
    let params = read_params(&read_stream(stream, 4)?.0)?;
    let names: BTreeSet<&str> = params.iter().map(|(name, _)| name.as_str()).collect();
    if names.len() != params.len() {
        return Err(broken(format!("a param is there twice: {params:?}")));
    }
    let (body, pieces) = read_stream(stream, 5)?;
    let request = FastCgiRequest { connection, keeps, params, body, pieces };
    let told = request.param("CONTENT_LENGTH").unwrap_or("0");
    if told != request.body.len().to_string() {
        return Err(broken(format!("CONTENT_LENGTH {told} before {} bytes", request.body.len())));
    }
    Ok(Some(request))
}

fn read_params(mut content: &[u8]) -> io::Result<Vec<(String, String)>> {
    fn take<'c>(content: &mut &'c [u8], count: usize) -> io::Result<&'c [u8]> {
        let (taken, rest) = content.split_at_checked(count).ok_or_else(|| broken("a param is cut short"))?;
        *content = rest;
        Ok(taken)
    }
    fn length(content: &mut &[u8]) -> io::Result<usize> {
        let first = usize::from(take(content, 1)?[0]);
        if first < 128 {
            return Ok(first);
        }
        let rest = take(content, 3)?;
        Ok(rest.iter().fold(first - 128, |sum, byte| sum * 256 + usize::from(*byte)))
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut params = Vec::new();
    while !content.is_empty() {
        let (name, value) = (length(&mut content)?, length(&mut content)?);
        let name = text(take(&mut content, name)?);
        params.push((name, text(take(&mut content, value)?)));
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(params: &[u8], body: &[u8]) -> Vec<u8> {
        let begin = record(1, 1, &[0, 1, 1, 0, 0, 0, 0, 0], 0);
        let params = [record(4, 1, params, 3), record(4, 1, b"", 0)].concat();
        let body = if body.is_empty() { Vec::new() } else { record(5, 1, body, 0) };
        [begin, params, body, record(5, 1, b"", 0)].concat()
    }

    #[test]
    fn reads_a_request() {
        let bytes = request(b"\x01\x02AB\x0e\x80\0\0\x01CONTENT_LENGTH4", b"body");
        let bytes = [&bytes[..], &request(b"", b"")].concat();
        let mut stream = bytes.as_slice();
        assert_eq!(
            read_request(&mut stream, 3).err().map(|error| error.kind()),
            Some(io::ErrorKind::InvalidData)
        );
        let bytes = request(b"\x01\x01AB\x0e\x80\0\0\x01CONTENT_LENGTH4", b"body");
        let found = read_request(&mut bytes.as_slice(), 3).unwrap().unwrap();
        assert_eq!(found.param("A"), Some("B"));
        assert_eq!((found.body.as_slice(), found.pieces.as_slice()), (&b"body"[..], &[4][..]));
        assert!(read_request(&mut &b""[..], 0).unwrap().is_none());
    }

    #[test]
    fn notices_broken_rules() {
        for wrong in [
            request(b"\x01\x01AB\x01\x01AC", b""),
            request(b"\x01\x01AB", b"body"),
            request(b"\x01\x09AB", b""),
            record(1, 1, &[0, 2, 1, 0, 0, 0, 0, 0], 0),
            record(1, 1, &[0, 1, 2, 0, 0, 0, 0, 0], 0),
            record(1, 2, &[0, 1, 1, 0, 0, 0, 0, 0], 0),
            record(5, 1, b"", 0),
        ] {
            let error = read_request(&mut wrong.as_slice(), 0).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{wrong:?}");
        }
    }
}
