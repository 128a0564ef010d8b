//! Requests: RFC 9113 §8.

use super::{Case, Probe, Verdict};
use crate::http2::{Frame, encode, error};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("9113 8.1", "a request with a body and trailers is answered", |probe| {
            let stream = probe.post();
            probe.send(&[
                Frame::data(stream, "hello", false),
                Frame::headers(stream, encode(&[("x-sum", "1")]), true),
            ]);
            probe.answered(stream)
        }),
        Case::new("9113 8.1", "a second block that does not end the stream is malformed", |probe| {
            let stream = probe.post();
            probe.send(&[
                Frame::headers(stream, encode(&[("x-sum", "1")]), false),
                Frame::data(stream, "x", true),
            ]);
            probe.malformed(stream)
        }),
        Case::new("9113 8.1", "nothing comes after trailers", |probe| {
            let stream = probe.post();
            probe.send(&[
                Frame::headers(stream, encode(&[("x-sum", "1")]), true),
                Frame::data(stream, "x", true),
            ]);
            probe.stream_error(stream, &[error::STREAM_CLOSED])
        }),
        Case::new("9113 8.1", "an answer to HEAD has no body", |probe| {
            let (stream, block) = (probe.client.take_stream(), probe.block("HEAD", &[]));
            probe.send(&[Frame::headers(stream, block, true)]);
            match probe.answer(stream)?.body.len() {
                0 => Ok(()),
                more => probe.broken(&format!("{more} bytes of a body")),
            }
        }),
        Case::new("9113 8.1.1", "a body in pieces that has its content-length is good", |probe| {
            let (stream, block) =
                (probe.client.take_stream(), probe.block("POST", &[("content-length", "6")]));
            probe.send(&[
                Frame::headers(stream, block, false),
                Frame::data(stream, "abc", false),
                Frame::data(stream, "", false),
                Frame::data(stream, "def", true),
            ]);
            probe.answered(stream)
        }),
        Case::new("9113 8.2.2", "te: trailers is allowed", |probe| {
            request(probe, "GET", &[("te", "trailers")], true)
        }),
        Case::new("9113 8.2.3", "a cookie may come in crumbs", |probe| {
            request(probe, "GET", &[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")], true)
        }),
        Case::new("9113 8.3.1", "the path * of OPTIONS is well formed", |probe| {
            let head = replaced(probe, "OPTIONS", &[(":path", Some("*"))]);
            let stream = opened(probe, &head);
            match probe.client.outcome(stream) {
                Ok(response) if response.status < 500 => Ok(()),
                other => probe.broken(&format!("{other:?}")),
            }
        }),
        Case::new("9113 8.3.1", "a request may name its host by Host alone", |probe| {
            let mut head = replaced(probe, "GET", &[(":authority", None)]);
            head.push(("host".to_string(), "localhost".to_string()));
            let stream = opened(probe, &head);
            probe.answered(stream)
        }),
    ];
    cases.extend(bad_lengths());
    cases.extend(bad_fields());
    cases.extend(bad_pseudo_fields());
    cases.extend(bad_trailers());
    cases
}

/// `content-length` against the sum of DATA (§8.1.1).
fn bad_lengths() -> Vec<Case> {
    let pieces: [(&str, &[&str], &[&str]); 7] = [
        ("content-length 5 with 4 bytes", &["5"], &["abcd"]),
        ("content-length 5 with 6 bytes", &["5"], &["abcdef"]),
        ("content-length 5 with 3 and 3 bytes", &["5"], &["abc", "def"]),
        ("content-length 5 without DATA", &["5"], &[]),
        ("content-length 0 with a byte", &["0"], &["a"]),
        ("two lengths that differ", &["5", "6"], &["abcde"]),
        ("content-length +5", &["+5"], &["abcde"]),
    ];
    let case = |(name, lengths, pieces): (&str, &'static [&'static str], &'static [&'static str])| {
        Case::new("9113 8.1.1", format!("{name} is malformed"), move |probe| {
            let fields: Vec<(&str, &str)> =
                lengths.iter().map(|length| ("content-length", *length)).collect();
            let (stream, block) = (probe.client.take_stream(), probe.block("POST", &fields));
            let mut frames = vec![Frame::headers(stream, block, pieces.is_empty())];
            let last = pieces.len().saturating_sub(1);
            frames
                .extend(pieces.iter().enumerate().map(|(at, piece)| Frame::data(stream, *piece, at == last)));
            probe.send(&frames);
            probe.malformed(stream)
        })
    };
    pieces.into_iter().map(case).collect()
}

/// Names and values (§8.2.1), and fields of connections (§8.2.2).
fn bad_fields() -> Vec<Case> {
    let names = [
        ("X-Upper", "an upper-case"),
        ("", "an empty"),
        ("x y", "a space in the"),
        ("x:y", "a colon in the"),
    ];
    let values = [
        ("a\0b", "NUL"),
        ("a\nb", "LF"),
        ("a\rb", "CR"),
        (" a", "a leading space"),
        ("a\t", "a trailing tab"),
    ];
    let connection = [
        ("connection", "keep-alive"),
        ("proxy-connection", "keep-alive"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("te", "trailers, deflate"),
    ];
    let mut cases = Vec::new();
    for (name, words) in names
        .into_iter()
        .chain([("x\x01", "a control character in the"), ("x\u{e4}", "a foreign letter in the")])
    {
        cases.push(Case::new("9113 8.2.1", format!("{words} name is malformed"), move |probe| {
            request(probe, "GET", &[(name, "1")], false)
        }));
    }
    for (value, words) in values {
        cases.push(Case::new("9113 8.2.1", format!("{words} in a value is malformed"), move |probe| {
            request(probe, "GET", &[("x-value", value)], false)
        }));
    }
    for (name, value) in connection {
        cases.push(Case::new("9113 8.2.2", format!("{name}: {value} is malformed"), move |probe| {
            request(probe, "GET", &[(name, value)], false)
        }));
    }
    cases
}

/// §8.3, §8.3.1 and §8.5.
fn bad_pseudo_fields() -> Vec<Case> {
    let mut cases = vec![
        Case::new("9113 8.3", "an unknown pseudo field is malformed", |probe| {
            let mut head = probe.head("GET");
            head.insert(0, (":unknown".to_string(), "1".to_string()));
            let stream = opened(probe, &head);
            probe.malformed(stream)
        }),
        Case::new("9113 8.3", "a pseudo field of answers is malformed", |probe| {
            let mut head = probe.head("GET");
            head.insert(0, (":status".to_string(), "200".to_string()));
            let stream = opened(probe, &head);
            probe.malformed(stream)
        }),
        Case::new("9113 8.3", "a pseudo field after a field is malformed", |probe| {
            let mut head = probe.head("GET");
            head.insert(1, ("x-early".to_string(), "1".to_string()));
            let stream = opened(probe, &head);
            probe.malformed(stream)
        }),
        Case::new("9113 8.3.1", "Host that differs from :authority is malformed", |probe| {
            request(probe, "GET", &[("host", "other.test")], false)
        }),
        Case::new("9113 8.5", "CONNECT with a path is malformed", |probe| {
            let head = replaced(probe, "CONNECT", &[]);
            let stream = opened(probe, &head);
            probe.malformed(stream)
        }),
        Case::new("9113 8.5", "CONNECT without :authority is malformed", |probe| {
            let head =
                replaced(probe, "CONNECT", &[(":authority", None), (":path", None), (":scheme", None)]);
            let stream = opened(probe, &head);
            probe.malformed(stream)
        }),
    ];
    for name in [":method", ":scheme", ":path"] {
        cases.push(Case::new("9113 8.3.1", format!("a request without {name} is malformed"), move |probe| {
            let head = replaced(probe, "GET", &[(name, None)]);
            let stream = opened(probe, &head);
            probe.malformed(stream)
        }));
    }
    for name in [":method", ":scheme", ":path", ":authority"] {
        cases.push(Case::new("9113 8.3.1", format!("a second {name} is malformed"), move |probe| {
            let mut head = probe.head("GET");
            let again = head.iter().find(|(known, _)| known == name).cloned();
            head.extend(again);
            // Pseudo fields stand together, so only the repetition is wrong.
            let stream = opened(probe, &head);
            probe.malformed(stream)
        }));
    }
    for (name, value, words) in [
        (":path", "", "an empty path"),
        (":path", "no-slash", "a path without a slash"),
        (":path", "/a b", "a path with a space"),
        (":path", "/a\r\nx: y", "a path with a line end"),
        (":method", "GE T", "a method with a space"),
        (":method", "", "an empty method"),
        (":scheme", "ht tp", "a scheme with a space"),
        (":authority", "user@localhost", "an authority with a user"),
        (":authority", "a b", "an authority with a space"),
    ] {
        cases.push(Case::new("9113 8.3.1", format!("{words} is malformed"), move |probe| {
            let head = replaced(probe, "GET", &[(name, Some(value))]);
            let stream = opened(probe, &head);
            probe.malformed(stream)
        }));
    }
    cases
}

fn bad_trailers() -> Vec<Case> {
    [
        ("9113 8.1", "a pseudo field in trailers", ":path", "/"),
        ("9113 8.2.1", "an upper-case name in trailers", "X-Sum", "1"),
        ("9113 8.2.1", "a line end in trailers", "x-sum", "1\r\n2"),
        ("9113 8.2.2", "a field of connections in trailers", "connection", "close"),
    ]
    .into_iter()
    .map(|(section, words, name, value)| {
        Case::new(section, format!("{words} is malformed"), move |probe| {
            let stream = probe.post();
            probe.send(&[
                Frame::data(stream, "x", false),
                Frame::headers(stream, encode(&[(name, value)]), true),
            ]);
            probe.malformed(stream)
        })
    })
    .collect()
}

/// A request with these further fields; a good one is answered, and a bad one leaves the connection good or
/// ends it.
fn request(probe: &mut Probe<'_>, method: &'static str, fields: &[(&str, &str)], good: bool) -> Verdict {
    let (stream, block) = (probe.client.take_stream(), probe.block(method, fields));
    probe.send(&[Frame::headers(stream, block, true)]);
    if good { probe.answered(stream) } else { probe.malformed(stream) }
}

/// A good head with these pseudo fields replaced, or left out.
fn replaced(
    probe: &Probe<'_>,
    method: &'static str,
    changes: &[(&str, Option<&str>)],
) -> Vec<(String, String)> {
    let mut head = probe.head(method);
    for (name, value) in changes {
        match value {
            Some(value) => head
                .iter_mut()
                .filter(|(known, _)| known == name)
                .for_each(|field| field.1 = value.to_string()),
            None => head.retain(|(known, _)| known != name),
        }
    }
    head
}

fn opened(probe: &mut Probe<'_>, head: &[(String, String)]) -> u32 {
    let stream = probe.client.take_stream();
    probe.send(&[Frame::headers(stream, encode(head), true)]);
    stream
}
