//! Answers, good and bad, each with what must come of it.

use super::checks::Outcome;

pub struct Case {
    pub name: &'static str,
    pub input: Vec<u8>,
    pub expected: Outcome,
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

pub fn output(content: &[u8]) -> Vec<u8> {
    record(6, 1, content, 0)
}

pub fn complaint(content: &[u8]) -> Vec<u8> {
    record(7, 1, content, 0)
}

pub fn end(status: u32, verdict: u8) -> Vec<u8> {
    let [a, b, c, d] = status.to_be_bytes();
    record(3, 1, &[a, b, c, d, verdict, 0, 0, 0], 0)
}

const HEAD: &[u8] = b"Content-Type: text/plain\r\n\r\n";

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |name: &'static str, records: &[Vec<u8>], expected: Outcome| {
        cases.push(Case { name, input: records.concat(), expected });
    };
    let rejected = |reason: &str| Outcome::Rejected(reason.to_owned());
    let whole = |output: &[u8], complaint: &[u8], surplus: &[u8]| Outcome::Over {
        output: output.to_vec(),
        complaint: complaint.to_vec(),
        status: 0,
        surplus: surplus.to_vec(),
    };
    let fits = [HEAD, b"body"].concat();
    case("one record", &[output(&fits), end(0, 0)], whole(&fits, b"", b""));
    case("a record each", &[output(HEAD), output(b"bo"), output(b"dy"), end(0, 0)], whole(&fits, b"", b""));
    let bytewise: Vec<_> = fits.iter().map(|byte| output(&[*byte])).chain([end(0, 0)]).collect();
    case("a record for each byte", &bytewise, whole(&fits, b"", b""));
    case("padding everywhere", &[record(6, 1, &fits, 255), record(3, 1, &[0; 8], 7)], whole(&fits, b"", b""));
    let long = vec![b'x'; 65_535];
    case(
        "content 65535 and padding 1",
        &[output(HEAD), record(6, 1, &long, 1), output(b"y"), end(0, 0)],
        whole(&[HEAD, &long, b"y"].concat(), b"", b""),
    );
    let inner = [output(b"Status: 500\r\n\r\n"), end(0, 0)].concat();
    let holds_records = [HEAD, &inner].concat();
    case("records within the output", &[output(&holds_records), end(0, 0)], whole(&holds_records, b"", b""));
    case(
        "complaints between",
        &[complaint(b"PHP Notice"), output(&fits), complaint(b": x\n"), end(0, 0)],
        whole(&fits, b"PHP Notice: x\n", b""),
    );
    case("ends of streams", &[output(&fits), output(b""), complaint(b""), end(0, 0)], whole(&fits, b"", b""));
    case("surplus", &[output(&fits), end(0, 0), output(b"more")], whole(&fits, b"", &output(b"more")));
    case("nothing", &[end(0, 0)], whole(b"", b"", b""));
    case(
        "a status of its own",
        &[output(&fits), end(0x0102_0304, 0)],
        Outcome::Over { output: fits.clone(), complaint: vec![], status: 0x0102_0304, surplus: vec![] },
    );
    case("no end", &[output(&fits)], Outcome::Incomplete { output: fits.clone() });
    case(
        "half an end",
        &[output(&fits), end(0, 0)[..12].to_vec()],
        Outcome::Incomplete { output: fits.clone() },
    );
    case("no padding", &[record(3, 1, &[0; 8], 3)[..17].to_vec()], Outcome::Incomplete { output: vec![] });
    case("half a record", &[output(&fits)[..10].to_vec()], Outcome::Incomplete { output: b"Co".to_vec() });
    for (name, verdict) in [("cannot multiplex", 1), ("overloaded", 2), ("unknown role", 3)] {
        case(name, &[end(0, verdict)], Outcome::Refused(verdict));
    }
    case("no verdict", &[end(0, 4)], rejected("bad_end_request"));
    case("a short end", &[record(3, 1, &[0; 7], 0)], rejected("bad_end_request"));
    case("a long end", &[record(3, 1, &[0; 9], 0)], rejected("bad_end_request"));
    case("an empty end", &[record(3, 1, &[], 0)], rejected("bad_end_request"));
    case("another request", &[output(HEAD), record(6, 2, b"x", 0)], rejected("record_request_id"));
    case("the end of another request", &[record(3, 2, &[0; 8], 0)], rejected("record_request_id"));
    case("output of no request", &[record(6, 0, b"x", 0)], rejected("record_request_id"));
    case("another version", &[vec![2, 6, 0, 1, 0, 0, 0, 0]], rejected("record_version"));
    case("HTTP", &[b"HTTP/1.1 200 OK\r\n\r\n".to_vec()], rejected("record_version"));
    for (name, kind) in [
        ("a beginning", 1),
        ("an abort", 2),
        ("params", 4),
        ("a body", 5),
        ("data", 8),
        ("values asked for", 9),
        ("values", 10),
        ("a type that is unknown", 11),
        ("a type that nobody knows", 12),
        ("type 0", 0),
        ("type 255", 255),
    ] {
        case(name, &[output(HEAD), record(kind, u16::from(kind < 9), &[0; 8], 0)], rejected("record_type"));
    }
    case("output behind its end", &[output(b""), output(b"x")], rejected("output_after_its_end"));
    cases
}
