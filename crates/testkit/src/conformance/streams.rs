//! The states and numbers of streams: RFC 9113 §5.1 and §5.4.

use super::{Case, Failure};
use crate::http2::{Frame, error, kind, setting};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("9113 5.1", "PRIORITY on an idle stream is taken", |probe| {
            probe.send(&[Frame::priority(101, 0, 1)]);
            probe.alive()
        }),
        Case::new("9113 5.1", "what may still come after the end of a stream does no harm", |probe| {
            let stream = probe.get();
            probe.send(&[
                Frame::window_update(stream, 100),
                Frame::priority(stream, 0, 1),
                Frame::reset(stream, error::CANCEL),
                Frame::window_update(stream, 100),
                Frame::priority(stream, 0, 1),
            ]);
            probe.alive()
        }),
        Case::new("9113 5.1", "the same after the answer has ended too", |probe| {
            let stream = probe.get();
            probe.answered(stream)?;
            probe.send(&[Frame::window_update(stream, 100), Frame::priority(stream, 0, 1)]);
            probe.alive()
        }),
        Case::new("9113 5.1.1", "a client with an even number is wrong", |probe| {
            let block = probe.block("GET", &[]);
            probe.send(&[Frame::headers(2, block, true)]);
            probe.connection_error(&[error::PROTOCOL_ERROR])
        }),
        Case::new("9113 5.1.1", "so is one that goes back to a lower number", |probe| {
            let block = probe.block("POST", &[]);
            probe.send(&[Frame::headers(5, block.clone(), false), Frame::headers(3, block, false)]);
            probe.connection_error(&[error::PROTOCOL_ERROR, error::STREAM_CLOSED])
        }),
        Case::new("9113 5.1.1", "a client may leave numbers out", |probe| {
            let block = probe.block("GET", &[]);
            probe.send(&[Frame::headers(77, block, true)]);
            probe.answered(77)
        }),
        Case::new("9113 5.1.2", "more streams than allowed are refused", |probe| {
            let most = probe.setting(setting::MAX_CONCURRENT_STREAMS);
            if most > 5000 {
                return Err(Failure::NotApplicable("the server allows any number of streams"));
            }
            let mut last = 0;
            for _ in 0..=most {
                last = probe.post();
            }
            probe.stream_error(last, &[error::PROTOCOL_ERROR, error::REFUSED_STREAM])
        }),
        Case::new("9113 5.1.2", "a stream that was reset makes room for another", |probe| {
            for _ in 0..20 {
                let stream = probe.post();
                probe.send(&[Frame::reset(stream, error::CANCEL)]);
            }
            probe.alive()
        }),
        Case::new("9113 5.4.1", "an error of the connection is told by GOAWAY", |probe| {
            let stream = probe.get();
            probe.answered(stream)?;
            probe.send(&[Frame::new(kind::PING, 0, 0, [0; 3])]);
            probe.connection_error(&[error::FRAME_SIZE_ERROR])?;
            match probe.client.goaway() {
                Some((last, _)) if last == stream => Ok(()),
                other => probe.broken(&format!("GOAWAY that tells {other:?} after stream {stream}")),
            }
        }),
        Case::new("9113 5.4.2", "an error of a stream leaves the others alone", |probe| {
            let (bad, good) = (probe.post(), probe.post());
            probe.send(&[Frame::window_update(bad, 0)]);
            probe.stream_error(bad, &[error::PROTOCOL_ERROR])?;
            probe.send(&[Frame::data(good, "hello", true)]);
            match probe.client.goaway() {
                None => probe.answered(good),
                // Allowed: an error of a stream may be treated as one of the connection.
                Some(_) => Ok(()),
            }
        }),
    ];
    cases.extend(idle());
    cases.extend(after_the_end());
    cases.extend(after_a_reset());
    cases
}

/// Frames on a stream that was never opened.
fn idle() -> Vec<Case> {
    [
        ("DATA", Frame::data(9, "x", true)),
        ("RST_STREAM", Frame::reset(9, error::CANCEL)),
        ("WINDOW_UPDATE", Frame::window_update(9, 100)),
        ("CONTINUATION", Frame::continuation(9, [], true)),
    ]
    .into_iter()
    .map(|(name, frame)| {
        Case::new(
            "9113 5.1",
            format!("{name} on an idle stream is an error of the connection"),
            move |probe| {
                probe.send(std::slice::from_ref(&frame));
                probe.connection_error(&[error::PROTOCOL_ERROR])
            },
        )
    })
    .collect()
}

/// Frames of a client that has ended its side, while the answer is on its way and after it.
fn after_the_end() -> Vec<Case> {
    let mut cases = Vec::new();
    for answered in [false, true] {
        let when = if answered { "after both sides ended" } else { "after END_STREAM" };
        cases.push(Case::new("9113 5.1", format!("DATA {when} is an error"), move |probe| {
            let stream = probe.get();
            if answered {
                probe.answered(stream)?;
            }
            probe.send(&[Frame::data(stream, "x", true)]);
            probe.stream_error(stream, &[error::STREAM_CLOSED])
        }));
        cases.push(Case::new("9113 5.1", format!("HEADERS {when} are an error"), move |probe| {
            let stream = probe.get();
            if answered {
                probe.answered(stream)?;
            }
            let block = probe.block("GET", &[]);
            probe.send(&[Frame::headers(stream, block, true)]);
            probe.stream_error(stream, &[error::STREAM_CLOSED, error::PROTOCOL_ERROR])
        }));
        cases.push(Case::new("9113 5.1", format!("CONTINUATION {when} is an error"), move |probe| {
            let stream = probe.get();
            if answered {
                probe.answered(stream)?;
            }
            probe.send(&[Frame::continuation(stream, [], true)]);
            probe.connection_error(&[error::STREAM_CLOSED, error::PROTOCOL_ERROR])
        }));
    }
    cases
}

/// After RST_STREAM nothing may come; a server ignores it, or calls it an error (§5.1, closed).
fn after_a_reset() -> Vec<Case> {
    let data: fn(u32, Vec<u8>) -> Frame = |stream, _| Frame::data(stream, "x", true);
    let headers: fn(u32, Vec<u8>) -> Frame = |stream, block| Frame::headers(stream, block, true);
    [("DATA", data), ("HEADERS", headers)]
        .into_iter()
        .map(|(name, frame)| {
            Case::new("9113 5.1", format!("{name} after RST_STREAM are dropped or an error"), move |probe| {
                let stream = probe.post();
                let block = probe.block("GET", &[]);
                probe.send(&[Frame::reset(stream, error::CANCEL), frame(stream, block)]);
                match probe.alive() {
                    Ok(()) if probe.client.status(stream).is_some() => probe.broken("answered"),
                    Ok(()) => Ok(()),
                    Err(_) => probe.stream_error(stream, &[error::STREAM_CLOSED, error::PROTOCOL_ERROR]),
                }
            })
        })
        .collect()
}
