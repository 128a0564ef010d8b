//! The beginning, and frames as such: RFC 9113 §3.4, §4, §5.5, and the shape of each type in §6.

use super::{Case, Failure, Probe};
use crate::H2Failure;
use crate::http2::{Block, Frame, PREFACE, error, flag, kind, setting};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("9113 3.4", "the first frame of a server is SETTINGS", |probe| {
            probe.again_silent();
            probe.client.greet(&[]);
            match probe.client.frame() {
                Some(frame) if frame.kind == kind::SETTINGS && !frame.has(flag::ACK) => Ok(()),
                other => probe.broken(&format!("{other:?}")),
            }
        }),
        Case::new("9113 3.4", "a preface that comes byte by byte is one", |probe| {
            probe.again_silent();
            for byte in PREFACE {
                probe.client.send_raw([*byte]);
            }
            probe.client.send(&Frame::settings(&[]));
            probe.alive()
        }),
        Case::new("9113 3.4", "a wrong preface ends the connection", |probe| {
            probe.again_silent();
            probe.client.send_raw(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
            probe.client.send(&Frame::settings(&[]));
            closes(probe.client.is_closed(std::time::Duration::from_secs(2)))
        }),
        Case::new("9113 3.4", "a preface without SETTINGS is wrong", |probe| {
            probe.again_silent();
            probe.client.send_raw(PREFACE);
            probe.send(&[Frame::ping([0; 8])]);
            probe.connection_error(&[error::PROTOCOL_ERROR])
        }),
        Case::new("9113 4.1", "frames of unknown types are ignored", |probe| {
            probe.send(&[Frame::new(0xfa, 0, 0, *b"????"), Frame::new(0x16, 0xff, 0, [])]);
            probe.alive()
        }),
        Case::new("9113 4.1", "flags without a meaning are ignored", |probe| {
            let (stream, block) = (probe.client.take_stream(), probe.block("GET", &[]));
            let flags = flag::END_HEADERS | flag::END_STREAM | 0xd2;
            probe.send(&[Frame::new(kind::HEADERS, flags, stream, block)]);
            probe.answered(stream)
        }),
        Case::new("9113 4.1", "the reserved bit of the stream is ignored", |probe| {
            let (stream, block) = (probe.client.take_stream(), probe.block("GET", &[]));
            let flags = flag::END_HEADERS | flag::END_STREAM;
            probe.send(&[Frame::new(kind::HEADERS, flags, stream | 1 << 31, block)]);
            probe.answered(stream)
        }),
        Case::new("9113 4.2", "DATA of 16384 bytes is taken", |probe| {
            let stream = probe.post();
            probe.send(&[Frame::data(stream, vec![b'a'; 16_384], true)]);
            probe.answered(stream)
        }),
        Case::new("9113 4.2", "DATA longer than allowed is an error", |probe| {
            let too_long = too_long(probe)?;
            let stream = probe.post();
            probe.send(&[Frame::data(stream, too_long, true)]);
            probe.stream_error(stream, &[error::FRAME_SIZE_ERROR])
        }),
        Case::new("9113 4.2", "HEADERS longer than allowed are an error of the connection", |probe| {
            let too_long = too_long(probe)?;
            let stream = probe.client.take_stream();
            probe.send(&[Frame::headers(stream, too_long, true)]);
            probe.connection_error(&[error::FRAME_SIZE_ERROR])
        }),
        Case::new("9113 4.2", "a long frame of an unknown type is an error too", |probe| {
            let too_long = too_long(probe)?;
            probe.send(&[Frame::new(0xfa, 0, 0, too_long)]);
            probe.connection_error(&[error::FRAME_SIZE_ERROR])
        }),
        Case::new("9113 4.3", "a block that cannot be decoded is a COMPRESSION_ERROR", |probe| {
            let stream = probe.client.take_stream();
            probe.send(&[Frame::headers(stream, [0x00, 0x85, 0xf2, 0xb2], true)]);
            probe.connection_error(&[error::COMPRESSION_ERROR])
        }),
        Case::new("9113 4.3", "so is one that ends inside a field", |probe| {
            let (stream, mut block) = (probe.client.take_stream(), probe.block("GET", &[("x-cut", "value")]));
            block.truncate(block.len() - 2);
            probe.send(&[Frame::headers(stream, block, true)]);
            probe.connection_error(&[error::COMPRESSION_ERROR])
        }),
        Case::new("9113 4.3", "a block may come in many pieces, one empty", |probe| {
            let (stream, block) = (probe.client.take_stream(), probe.block("GET", &[("x-some", "value")]));
            let mut frames =
                vec![Frame::headers_begun(stream, [], true), Frame::continuation(stream, [], false)];
            let pieces = block.chunks(7);
            let last = pieces.len() - 1;
            frames
                .extend(pieces.enumerate().map(|(at, piece)| Frame::continuation(stream, piece, at == last)));
            probe.send(&frames);
            probe.answered(stream)
        }),
        Case::new("9113 5.5", "a frame of an unknown type inside a block is an error", |probe| {
            let stream = probe.client.take_stream();
            let block = probe.block("GET", &[]);
            let unknown = Frame::new(0xfa, 0, 0, []);
            probe.send(&[
                Frame::headers_begun(stream, block, true),
                unknown,
                Frame::continuation(stream, [], true),
            ]);
            probe.connection_error(&[error::PROTOCOL_ERROR])
        }),
        Case::new("9113 6.1", "padding of DATA is no content", |probe| {
            let stream = probe.post();
            probe.send(&[
                Frame::padded_data(stream, b"hello", 200, false),
                Frame::padded_data(stream, b"", 0, true),
            ]);
            probe.answered(stream)
        }),
        Case::new("9113 6.1", "padding longer than DATA is an error of the connection", |probe| {
            let stream = probe.post();
            probe.send(&[Frame::new(kind::DATA, flag::PADDED | flag::END_STREAM, stream, *b"\x06abcde")]);
            probe.connection_error(&[error::PROTOCOL_ERROR])
        }),
        Case::new("9113 6.1", "so is padding without a length", |probe| {
            let stream = probe.post();
            probe.send(&[Frame::new(kind::DATA, flag::PADDED | flag::END_STREAM, stream, [])]);
            probe.connection_error(&[error::PROTOCOL_ERROR, error::FRAME_SIZE_ERROR])
        }),
        Case::new("9113 6.2", "HEADERS may have padding and a priority", |probe| {
            let (stream, block) = (probe.client.take_stream(), probe.block("GET", &[]));
            let payload = [&[4, 0, 0, 0, 0, 9][..], &block, &[0; 4]].concat();
            let flags = flag::END_HEADERS | flag::END_STREAM | flag::PADDED | flag::PRIORITY;
            probe.send(&[Frame::new(kind::HEADERS, flags, stream, payload)]);
            probe.answered(stream)
        }),
        Case::new("9113 6.2", "padding longer than HEADERS is an error of the connection", |probe| {
            let (stream, block) = (probe.client.take_stream(), probe.block("GET", &[]));
            let payload = [&[block.len() as u8 + 1], &block[..]].concat();
            let flags = flag::END_HEADERS | flag::END_STREAM | flag::PADDED;
            probe.send(&[Frame::new(kind::HEADERS, flags, stream, payload)]);
            probe.connection_error(&[error::PROTOCOL_ERROR])
        }),
        Case::new("9113 6.2", "HEADERS too short for their priority are an error", |probe| {
            let stream = probe.client.take_stream();
            let flags = flag::END_HEADERS | flag::END_STREAM | flag::PRIORITY;
            probe.send(&[Frame::new(kind::HEADERS, flags, stream, [0, 0, 0])]);
            probe.connection_error(&[error::PROTOCOL_ERROR, error::FRAME_SIZE_ERROR])
        }),
        Case::new("9113 6.3", "PRIORITY of another length resets the stream", |probe| {
            let stream = probe.post();
            probe.send(&[Frame::new(kind::PRIORITY, 0, stream, [0; 4])]);
            probe.stream_error(stream, &[error::FRAME_SIZE_ERROR])
        }),
        Case::new("9113 6.3", "PRIORITY changes nothing that can be seen", |probe| {
            let stream = probe.post();
            probe.send(&[Frame::priority(stream, 0, 200), Frame::priority(stream + 20, stream, 1)]);
            probe.send(&[Frame::data(stream, "hello", true)]);
            probe.answered(stream)?;
            probe.alive()
        }),
        Case::new("9113 6.3", "a stream that depends on itself is reset or answered", |probe| {
            let stream = probe.client.take_stream();
            let block = probe.block("GET", &[]);
            let payload = [&stream.to_be_bytes()[..], &[9], &block].concat();
            let flags = flag::END_HEADERS | flag::END_STREAM | flag::PRIORITY;
            probe.send(&[Frame::new(kind::HEADERS, flags, stream, payload)]);
            match probe.client.outcome(stream) {
                Ok(response) if response.status == 200 => Ok(()),
                Err(H2Failure::Reset(error::PROTOCOL_ERROR)) => Ok(()),
                Err(H2Failure::GoAway { code: error::PROTOCOL_ERROR, .. }) => Ok(()),
                other => probe.broken(&format!("{other:?}")),
            }
        }),
        Case::new("9113 6.4", "an error code that nobody knows is taken", |probe| {
            let stream = probe.post();
            probe.send(&[Frame::reset(stream, 0xffff_fff0)]);
            probe.alive()
        }),
        Case::new("9113 6.6", "PUSH_PROMISE of a client is an error", |probe| {
            let stream = probe.post();
            let payload = [&2u32.to_be_bytes()[..], &probe.block("GET", &[])].concat();
            probe.send(&[Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, stream, payload)]);
            probe.connection_error(&[error::PROTOCOL_ERROR])
        }),
        Case::new("9113 6.7", "PING comes back with its payload", |probe| probe.pings()),
        Case::new("9113 6.7", "an answer to no PING is not answered", |probe| {
            probe.send(&[Frame::new(kind::PING, flag::ACK, 0, *b"answered"), Frame::ping(*b"question")]);
            let frame = probe.client.frame_of(kind::PING);
            if frame.payload == b"question" { Ok(()) } else { probe.broken("it was answered") }
        }),
        Case::new("9113 6.8", "what is under way when a client says GOAWAY is answered", |probe| {
            let stream = probe.post();
            probe.send(&[Frame::goaway(0, error::NO_ERROR), Frame::data(stream, "hello", true)]);
            probe.answered(stream)
        }),
        Case::new("9113 6.8", "GOAWAY may carry any text", |probe| {
            let stream = probe.post();
            let mut goaway = Frame::goaway(0, error::NO_ERROR);
            goaway.payload.extend_from_slice(&[0xff; 300]);
            probe.send(&[goaway, Frame::data(stream, "hello", true)]);
            probe.answered(stream)
        }),
    ];
    cases.extend(wrong_streams());
    cases.extend(wrong_lengths());
    cases.extend(inside_blocks());
    cases.extend(continuations());
    cases
}

/// Types that belong to streams on stream 0, and the other way round.
fn wrong_streams() -> Vec<Case> {
    let headers: Vec<u8> = Block::new().indexed(2).indexed(4).indexed(6).field(":authority", "a").into();
    let zero = [
        ("9113 6.1", "DATA", Frame::data(0, "x", true)),
        ("9113 6.2", "HEADERS", Frame::headers(0, headers, true)),
        ("9113 6.3", "PRIORITY", Frame::priority(0, 1, 1)),
        ("9113 6.4", "RST_STREAM", Frame::reset(0, error::CANCEL)),
        ("9113 6.10", "CONTINUATION", Frame::continuation(0, [], true)),
    ];
    let one = [
        ("9113 6.5", "SETTINGS", Frame { stream: 1, ..Frame::settings(&[]) }),
        ("9113 6.7", "PING", Frame { stream: 1, ..Frame::ping([0; 8]) }),
        ("9113 6.8", "GOAWAY", Frame { stream: 1, ..Frame::goaway(0, error::NO_ERROR) }),
    ];
    let zero = zero.map(|(section, name, frame)| (section, format!("{name} on stream 0 is an error"), frame));
    let one = one.map(|(section, name, frame)| (section, format!("{name} on stream 1 is an error"), frame));
    let all = zero.into_iter().chain(one);
    let case = |(section, rule, frame): (&'static str, String, Frame)| {
        Case::new(section, rule, move |probe| {
            probe.post();
            probe.send(std::slice::from_ref(&frame));
            probe.connection_error(&[error::PROTOCOL_ERROR])
        })
    };
    all.map(case).collect()
}

/// Payloads of a length that the type does not allow.
fn wrong_lengths() -> Vec<Case> {
    let on_open = 1;
    [
        ("9113 6.4", "RST_STREAM of 3 bytes", Frame::new(kind::RST_STREAM, 0, on_open, [0; 3])),
        ("9113 6.4", "RST_STREAM of 5 bytes", Frame::new(kind::RST_STREAM, 0, on_open, [0; 5])),
        ("9113 6.5", "SETTINGS of 5 bytes", Frame::new(kind::SETTINGS, 0, 0, [0; 5])),
        (
            "9113 6.5",
            "an acknowledgement of SETTINGS with a payload",
            Frame::new(kind::SETTINGS, flag::ACK, 0, [0; 6]),
        ),
        ("9113 6.7", "PING of 7 bytes", Frame::new(kind::PING, 0, 0, [0; 7])),
        ("9113 6.7", "PING of 9 bytes", Frame::new(kind::PING, 0, 0, [0; 9])),
        ("9113 6.8", "GOAWAY of 7 bytes", Frame::new(kind::GOAWAY, 0, 0, [0; 7])),
        ("9113 6.9", "WINDOW_UPDATE of 3 bytes", Frame::new(kind::WINDOW_UPDATE, 0, 0, [0, 0, 1])),
        (
            "9113 6.9",
            "WINDOW_UPDATE of 5 bytes",
            Frame::new(kind::WINDOW_UPDATE, 0, on_open, [0, 0, 0, 1, 0]),
        ),
    ]
    .into_iter()
    .map(|(section, name, frame)| {
        Case::new(section, format!("{name} is an error of the connection"), move |probe| {
            probe.post();
            probe.send(std::slice::from_ref(&frame));
            probe.connection_error(&[error::FRAME_SIZE_ERROR])
        })
    })
    .collect()
}

/// Between HEADERS and CONTINUATION there is nothing else (§4.3, §6.2, §6.10).
fn inside_blocks() -> Vec<Case> {
    [
        ("DATA", Frame::data(1, "x", false)),
        ("HEADERS of another stream", Frame::headers(5, [0x82, 0x84, 0x86], true)),
        ("HEADERS of the same stream", Frame::headers(3, [0x82, 0x84, 0x86], true)),
        ("PRIORITY", Frame::priority(3, 0, 1)),
        ("RST_STREAM", Frame::reset(1, error::CANCEL)),
        ("SETTINGS", Frame::settings(&[])),
        ("PING", Frame::ping([0; 8])),
        ("GOAWAY", Frame::goaway(0, error::NO_ERROR)),
        ("WINDOW_UPDATE", Frame::window_update(0, 1)),
        ("CONTINUATION of another stream", Frame::continuation(1, [], true)),
    ]
    .into_iter()
    .map(|(name, frame)| {
        Case::new("9113 6.10", format!("{name} inside a block is an error"), move |probe| {
            probe.post();
            let (stream, block) = (probe.client.take_stream(), probe.block("GET", &[]));
            let begun = Frame::headers_begun(stream, block, true);
            probe.send(&[begun, frame.clone(), Frame::continuation(stream, [], true)]);
            probe.connection_error(&[error::PROTOCOL_ERROR])
        })
    })
    .collect()
}

/// CONTINUATION that goes on with nothing.
fn continuations() -> Vec<Case> {
    vec![
        Case::new("9113 6.10", "CONTINUATION after a complete block is an error", |probe| {
            let (stream, block) = (probe.client.take_stream(), probe.block("POST", &[]));
            probe.send(&[Frame::headers(stream, block, false), Frame::continuation(stream, [], true)]);
            probe.connection_error(&[error::PROTOCOL_ERROR])
        }),
        Case::new("9113 6.10", "so it is after another CONTINUATION that was the last", |probe| {
            let (stream, block) = (probe.client.take_stream(), probe.block("POST", &[]));
            probe.send(&[
                Frame::headers_begun(stream, block, false),
                Frame::continuation(stream, [], true),
                Frame::continuation(stream, [], true),
            ]);
            probe.connection_error(&[error::PROTOCOL_ERROR])
        }),
        Case::new("9113 6.10", "so it is after DATA", |probe| {
            let stream = probe.post();
            probe.send(&[Frame::data(stream, "x", false), Frame::continuation(stream, [], true)]);
            probe.connection_error(&[error::PROTOCOL_ERROR])
        }),
    ]
}

/// A payload longer than the server's setting allows.
fn too_long(probe: &Probe<'_>) -> Result<Vec<u8>, Failure> {
    match probe.setting(setting::MAX_FRAME_SIZE) {
        most if most < (1 << 24) - 1 => Ok(vec![0; most as usize + 1]),
        _ => Err(Failure::NotApplicable("the server allows every length")),
    }
}

fn closes(closed: bool) -> super::Verdict {
    if closed { Ok(()) } else { Err(Failure::Broken("the connection lives on".to_string())) }
}
