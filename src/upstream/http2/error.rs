//! What an end without an answer, or in the middle of one, means.

use h2::Reason;

use crate::message::Failure;

/// Before the head of the answer.
pub fn before_answer(error: &h2::Error) -> Failure {
    if is_unprocessed(error) {
        return Failure::StreamRefused;
    }
    let reset = error.is_remote() && error.is_reset();
    let otherwise = if reset { Failure::StreamReset } else { Failure::ClosedBeforeAnswer };
    broken_rule(error).unwrap_or(otherwise)
}

/// In the middle of its body.
pub fn within_answer(error: &h2::Error) -> Failure {
    broken_rule(error).unwrap_or(Failure::AnswerTruncated)
}

/// The origin says that it has not looked at the request (RFC 9113 section 8.7): the stream was refused, or is
/// above the last one that a GOAWAY promises to answer. Streams that it may have looked at never end with the
/// origin's GOAWAY: they go on, and end with the connection.
fn is_unprocessed(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    error.is_remote() && (refused || error.is_go_away())
}

/// A complete answer came, and the origin wants no more of the request (RFC 9113 section 8.1).
pub fn is_early_end(error: &h2::Error) -> bool {
    error.is_remote() && error.is_reset() && error.reason() == Some(Reason::NO_ERROR)
}

/// The rule that the origin broke, when that is what ended it.
fn broken_rule(error: &h2::Error) -> Option<Failure> {
    if !error.is_library() {
        return None;
    }
    let rule = match error.reason()? {
        Reason::FLOW_CONTROL_ERROR => "http2_flow_control",
        Reason::FRAME_SIZE_ERROR => "http2_frame_size",
        Reason::COMPRESSION_ERROR => "http2_compression",
        Reason::ENHANCE_YOUR_CALM => "http2_excess",
        _ => "http2_protocol",
    };
    Some(Failure::BadHttp2(rule))
}
