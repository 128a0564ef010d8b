//! One question over a connection of HTTP/2 that is made for it.

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Method, Request, Response};

use super::prober::{Found, MOST};
use crate::upstream::http2::settings;
use crate::wire::{Duplex, Socket};

pub type Stream = Duplex<Box<Socket>>;

/// `GET path`; the error is for the operator.
pub async fn get(
    stream: Stream,
    scheme: &str,
    path: &str,
    host: &str,
    headers: &[(String, String)],
) -> Result<Found, String> {
    let mut request = Request::builder().method(Method::GET).uri(format!("{scheme}://{host}{path}"));
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
        request = request.header("user-agent", "palisade-health");
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(()).map_err(|error| format!("cannot be asked over HTTP/2: {error}"))?;
    let (answer, _) = exchange(stream, request, Bytes::new()).await?;
    Ok(Found { status: answer.status().as_u16(), body: answer.into_body() })
}

/// Sends a request; gives the answer with the beginning of its body, and its trailers.
pub async fn exchange(
    stream: Stream,
    request: Request<()>,
    body: Bytes,
) -> Result<(Response<Vec<u8>>, HeaderMap), String> {
    let (mut requests, connection) = settings().handshake::<_, Bytes>(stream).await.map_err(failed)?;
    let asking = async {
        let (answer, mut upload) = requests.send_request(request, body.is_empty()).map_err(failed)?;
        if !body.is_empty() {
            upload.send_data(body, true).map_err(failed)?;
        }
        let (parts, mut stream) = answer.await.map_err(failed)?.into_parts();
        let mut found = Vec::new();
        while let Some(data) = stream.data().await {
            match data {
                Ok(data) => {
                    found.extend_from_slice(&data);
                    let _ = stream.flow_control().release_capacity(data.len());
                }
                // The answer was complete before.
                Err(error) if error.reason() == Some(Reason::NO_ERROR) => break,
                Err(error) => return Err(failed(error)),
            }
            if found.len() >= MOST {
                return Ok((Response::from_parts(parts, found), HeaderMap::new()));
            }
        }
        let trailers = stream.trailers().await.unwrap_or_default().unwrap_or_default();
        Ok((Response::from_parts(parts, found), trailers))
    };
    tokio::select! {
        biased;
        answered = asking => answered,
        ended = connection => match ended {
            Ok(()) => Err("closed before its answer was complete".to_owned()),
            Err(error) => Err(failed(error)),
        },
    }
}

fn failed(error: h2::Error) -> String {
    format!("HTTP/2 failed: {error}")
}
