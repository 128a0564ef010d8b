//! One question over a connection of FastCGI that is made for it.

use std::io;

use fastcgi::{AnswerReader, HeadReader, Verdict, record};
use http1::ResponseHead;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::prober::{Found, MOST};
use crate::upstream::fastcgi::{Application, Check, write_check};

/// `GET path`; the error is for the operator.
pub async fn get(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    application: &Application,
    check: &Check<'_>,
) -> Result<Found, String> {
    let mut request = Vec::new();
    record::begin_request(&mut request, false);
    write_check(&mut request, application, check).map_err(|_| "the check does not fit into a record")?;
    request.extend_from_slice(&record::stdin(0).0);
    stream.write_all(&request).await.map_err(failed)?;

    let mut reader = AnswerReader::default();
    let (mut raw, mut output) = (Vec::new(), Vec::new());
    while !reader.is_over() && output.len() < MOST {
        raw.reserve(4096);
        if stream.read_buf(&mut raw).await.map_err(failed)? == 0 {
            return Err("closed before its answer was complete".to_owned());
        }
        let decoded = reader.decode(&mut raw, |_| {}).map_err(|error| malformed(error.reason()))?;
        let end = decoded.start + decoded.output;
        output.extend_from_slice(&raw[decoded.start..end]);
        raw.truncate(end + decoded.rest);
        raw.drain(..end);
    }
    match reader.end().map(|end| end.verdict) {
        None | Some(Verdict::Complete) => {}
        Some(Verdict::Overloaded) => return Err("it has no room for a request".to_owned()),
        Some(Verdict::CannotMultiplex | Verdict::UnknownRole) => {
            return Err("it refused the request".to_owned());
        }
    }
    let mut head = ResponseHead::default();
    match HeadReader::default().read(&output, &mut head) {
        Ok(Some(end)) => Ok(Found { status: head.status, body: output.split_off(end) }),
        Ok(None) => Err(malformed("no_head")),
        Err(error) => Err(malformed(error.reason())),
    }
}

fn failed(error: io::Error) -> String {
    format!("connection failed: {error}")
}

fn malformed(reason: &str) -> String {
    format!("malformed answer: {reason}")
}
