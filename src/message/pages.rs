//! The one place where a failure becomes a status and a page. Pages are small, come as HTML, JSON
//! (RFC 9457) or plain text as the client prefers, carry the request id, and never name an upstream. A call of
//! gRPC gets no page: what became of it stands in fields (`grpc`).

use http1::{HeadError, Name, RequestHead};

use super::{Failure, RequestId, Response, grpc};

/// Seconds that a client should wait before it tries again after a 503.
const RETRY_AFTER: &[u8] = b"5";

/// Of pages: the colours are the system's, light or dark as the reader has them.
const STYLE: &str = "body{margin:0;min-height:100vh;display:grid;place-items:center;\
    font:17px/1.5 system-ui,sans-serif}main{max-width:32em;padding:2em;text-align:center}\
    .s{margin:0;font-size:4.5em;line-height:1;font-weight:700;opacity:.25}\
    h1{margin:.3em 0;font-size:1.6em;font-weight:600}p{margin:0 0 1.5em}\
    small{opacity:.6}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}";

/// Methods that this proxy lets through.
pub const ALLOW: &[u8] = b"GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS";

/// Methods that files are served to.
pub const FILE_ALLOW: &[u8] = b"GET, HEAD, OPTIONS";

/// The answer to a request that failed.
pub fn explain(failure: Failure, head: &RequestHead, id: &RequestId) -> Response<'static> {
    if let Some(framing) = grpc::Framing::of_call(head) {
        return grpc::explain(failure, framing, id);
    }
    let status = status(failure);
    let mut response = page_saying(status, sentence(failure), head, id);
    if status == 503 {
        response.head.fields.push(Name::Other, b"Retry-After", RETRY_AFTER);
    }
    if status == 405 {
        let allowed = if failure == Failure::FileMethod { FILE_ALLOW } else { ALLOW };
        response.head.fields.push(Name::Other, b"Allow", allowed);
    }
    response
}

/// 499 stands in the log for a client that did not wait for its answer.
pub fn status(failure: Failure) -> u16 {
    use Failure::*;
    match failure {
        BadHead(HeadError::TargetTooLong) => 414,
        HeadsTooLarge => 431,
        BadHead(HeadError::FieldTooLong | HeadError::HeadTooLong | HeadError::TooManyFields) => 431,
        BadHead(HeadError::UnknownCoding) => 501,
        BadHead(HeadError::BadVersion) => 505,
        BadHead(HeadError::BadExpectation) => 417,
        BadHead(_) | BadBody(_) | BodyMismatch | BadBase64 | BadJson(_) | BadPath(_) | PlainHttp => 400,
        LengthRequired => 411,
        CodedBody => 415,
        MethodRefused | FileMethod => 405,
        WrongScheme | Misdirected => 421,
        HeadTimeout | BodyTimeout => 408,
        BodyTooLarge | JsonTooLarge => 413,
        ClientClosed | ClientGone | ClientTooSlow => 499,
        Loop => 508,
        ConnectRefused | ConnectFailed | UpstreamTls(_) | ClosedBeforeAnswer | StreamReset | BadAnswer(_)
        | BadAnswerBody(_) | AnswerTruncated | TooManyInterim | BadUpgrade | NoHttp2 | StreamRefused
        | NoStreams | BadHttp2(_) | BadFastCgi(_) | ParamsTooLong | BadCoding(_) | UnfitAnswer(_)
        | AuthFailed(_) => 502,
        ConnectTimeout | SendTimeout | ReadTimeout | CallDeadline | CallSilent => 504,
        NotResolved | NoEndpoint | QueueFull | QueueTimeout | BreakerOpen | BreakerFull(_) | OutOfFiles
        | OutOfPorts | Overloaded => 503,
        // Not 504, after which a client must take it that its request may have been acted on.
        AuthUnavailable(_) | AuthTimeout => 503,
        NoRoute | NoFile | NoScript => 404,
        FileForbidden => 403,
        FileError(_) | FileShrank => 500,
        CompressionFailed => 500,
        OutOfSpace => 507,
    }
}

/// What a client is told.
pub fn sentence(failure: Failure) -> &'static str {
    said_of(failure).unwrap_or_else(|| advice(status(failure)))
}

/// What a client can do about it, where that is more than its status says.
fn said_of(failure: Failure) -> Option<&'static str> {
    match failure {
        Failure::PlainHttp => {
            Some("This port speaks HTTPS: ask again with an address that begins with https://.")
        }
        Failure::BadJson(_) => Some("The request has no JSON that this server can read."),
        Failure::Misdirected => Some("This connection was made for another host: ask again on a new one."),
        Failure::AuthFailed(_) | Failure::AuthUnavailable(_) | Failure::AuthTimeout => {
            Some("It could not be found out whether this is for you. Please try again shortly.")
        }
        _ => None,
    }
}

/// A page for any status, in the form the client prefers.
pub fn page(status: u16, head: &RequestHead, id: &RequestId) -> Response<'static> {
    page_saying(status, advice(status), head, id)
}

fn page_saying(status: u16, text: &str, head: &RequestHead, id: &RequestId) -> Response<'static> {
    let reason = http1::head::standard_reason(status);
    let id = id.as_str();
    // Text for clients that name no form.
    let (content_type, page): (&[u8], String) = match named_first(head).unwrap_or(Form::Text) {
        Form::Html => (
            b"text/html; charset=utf-8",
            format!(
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
                 <meta name=\"viewport\" content=\"width=device-width\">\
                 <meta name=\"color-scheme\" content=\"light dark\"><title>{status} {reason}</title>\
                 <style>{STYLE}</style></head>\
                 <body><main><p class=\"s\">{status}</p><h1>{reason}</h1><p>{text}</p>\
                 <small>Request id: <code>{id}</code></small></main></body></html>\n"
            ),
        ),
        Form::Json => (
            b"application/problem+json",
            format!(
                "{{\"type\":\"about:blank\",\"title\":\"{reason}\",\"status\":{status},\
                 \"detail\":\"{}\",\"request_id\":\"{id}\"}}\n",
                text
            ),
        ),
        Form::Text => {
            (b"text/plain; charset=utf-8", format!("{status} {reason}\n{}\nRequest id: {id}\n", text))
        }
    };
    let mut response = Response::text(status, content_type, page.into_bytes().into());
    response.head.fields.push(Name::CacheControl, b"Cache-Control", b"no-store");
    response.is_page = status >= 400;
    response
}

/// In which form a client wants to read what is said to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Html,
    Json,
    Text,
}

/// The first of the forms that `Accept` names.
pub fn named_first(head: &RequestHead) -> Option<Form> {
    let accepted = head.fields.all(Name::Accept).flat_map(|value| value.split(|byte| *byte == b','));
    for range in accepted {
        let media = range.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if media.eq_ignore_ascii_case(b"text/html") || media.eq_ignore_ascii_case(b"application/xhtml+xml") {
            return Some(Form::Html);
        }
        if media.eq_ignore_ascii_case(b"text/plain") {
            return Some(Form::Text);
        }
        let ends_in_json = media.len() >= 5
            && (media[media.len() - 5..].eq_ignore_ascii_case(b"/json")
                || media[media.len() - 5..].eq_ignore_ascii_case(b"+json"));
        if ends_in_json {
            return Some(Form::Json);
        }
    }
    None
}

/// One sentence for whoever sees the page.
pub(super) fn advice(status: u16) -> &'static str {
    match status {
        301 | 302 | 303 | 307 | 308 => "What you look for is at another address.",
        400 => "The request could not be understood.",
        403 => "This is not for you.",
        404 => "Nothing is served under this address.",
        405 => "This method is not served.",
        408 => "The request took too long to arrive.",
        412 => "What is here is not what the request was made for.",
        413 => "The request is larger than this server takes.",
        414 => "The address is longer than this server takes.",
        415 => "The body must come without compression.",
        416 => "There is nothing in the range that was asked for.",
        417 => "The expectation cannot be met.",
        421 => "This server does not answer for that address.",
        431 => "The request's header fields are larger than this server takes.",
        500 => "The server could not do what it should. Please try again later.",
        501 => "The request uses a feature that is not served.",
        502 => "The server behind this one gave no valid answer.",
        503 => "The service is busy or being changed. Please try again shortly.",
        504 => "The server behind this one took too long to answer.",
        505 => "This version of HTTP is not served.",
        507 => "There is no room for the request right now.",
        508 => "The request goes round in circles.",
        _ => "The request could not be served.",
    }
}
