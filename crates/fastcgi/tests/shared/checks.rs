//! What must hold for every answer, whoever made it: cases, property test or fuzzer. Readings are compared: in one
//! piece, cut, and by a second decoder that knows nothing of cuts.

use fastcgi::{AnswerReader, HeadReader, Verdict};
use http1::ResponseHead;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Over {
        output: Vec<u8>,
        complaint: Vec<u8>,
        status: u32,
        surplus: Vec<u8>,
    },
    /// Ended without having been served; what was said.
    Refused(u8),
    /// The input ended before the answer did.
    Incomplete {
        output: Vec<u8>,
    },
    /// The reason code.
    Rejected(String),
}

/// All checks of an answer that is cut at `cuts`.
pub fn every_answer(input: &[u8], cuts: &[usize]) {
    let whole = read(input, &[]);
    assert_eq!(whole, read(input, cuts), "cut at {cuts:?}");
    assert_eq!(whole, plainly(input), "by the other decoder");
    if let Outcome::Over { output, .. } | Outcome::Incomplete { output } = &whole {
        heads_agree(output, cuts);
    }
}

/// As the proxy reads: a buffer that is filled piece by piece, and decoded in place.
pub fn read(input: &[u8], cuts: &[usize]) -> Outcome {
    let mut reader = AnswerReader::default();
    let (mut output, mut complaint, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
    let mut given = 0;
    let ends = cuts.iter().copied().chain([input.len()]);
    for end in ends {
        buffer.extend_from_slice(&input[given..end.max(given)]);
        given = end.max(given);
        let decoded = match reader.decode(&mut buffer, |text| complaint.extend_from_slice(text)) {
            Ok(decoded) => decoded,
            Err(error) => return Outcome::Rejected(error.reason().to_owned()),
        };
        let data_end = decoded.start + decoded.output;
        assert!(data_end + decoded.rest <= buffer.len());
        output.extend_from_slice(&buffer[decoded.start..data_end]);
        buffer = buffer[data_end..data_end + decoded.rest].to_vec();
        assert!(reader.is_over() || buffer.len() < 16, "nothing long is left of an answer that goes on");
    }
    assert_eq!(reader.end().is_some(), reader.is_over());
    match reader.end() {
        None => Outcome::Incomplete { output },
        Some(end) if end.verdict == Verdict::Complete => {
            Outcome::Over { output, complaint, status: end.status, surplus: buffer }
        }
        Some(end) => Outcome::Refused(match end.verdict {
            Verdict::Complete => 0,
            Verdict::CannotMultiplex => 1,
            Verdict::Overloaded => 2,
            Verdict::UnknownRole => 3,
        }),
    }
}

/// The same by the letter of the specification, record by record, with all of the input at hand.
fn plainly(input: &[u8]) -> Outcome {
    let (mut output, mut complaint) = (Vec::new(), Vec::new());
    let mut output_ended = false;
    let mut rest = input;
    let reject = |reason: &str| Outcome::Rejected(reason.to_owned());
    while rest.len() >= 8 {
        let (version, kind) = (rest[0], rest[1]);
        let request = usize::from(rest[2]) * 256 + usize::from(rest[3]);
        let length = usize::from(rest[4]) * 256 + usize::from(rest[5]);
        let padding = usize::from(rest[6]);
        if version != 1 {
            return reject("record_version");
        }
        if ![3, 6, 7].contains(&kind) {
            return reject("record_type");
        }
        if request != 1 {
            return reject("record_request_id");
        }
        if kind == 3 && length != 8 {
            return reject("bad_end_request");
        }
        if kind == 6 && length > 0 && output_ended {
            return reject("output_after_its_end");
        }
        output_ended |= kind == 6 && length == 0;
        let content = &rest[8..rest.len().min(8 + length)];
        match kind {
            6 => output.extend_from_slice(content),
            7 => complaint.extend_from_slice(content),
            _ if content.len() == 8 && content[4] > 3 => return reject("bad_end_request"),
            _ => {}
        }
        if rest.len() < 8 + length + padding {
            return Outcome::Incomplete { output };
        }
        if kind == 3 {
            let status = content[..4].iter().fold(0, |sum, byte| sum * 256 + u32::from(*byte));
            let surplus = rest[16 + padding..].to_vec();
            return match content[4] {
                0 => Outcome::Over { output, complaint, status, surplus },
                verdict => Outcome::Refused(verdict),
            };
        }
        rest = &rest[8 + length + padding..];
    }
    Outcome::Incomplete { output }
}

/// The verdict on a head does not depend on how it came, and what is accepted is safe to send on.
fn heads_agree(output: &[u8], cuts: &[usize]) {
    let mut whole = ResponseHead::default();
    let expected = HeadReader::default().read(output, &mut whole);
    let (mut reader, mut head) = (HeadReader::default(), ResponseHead::default());
    let mut found = Ok(None);
    let mut given = 0;
    for cut in cuts.iter().copied().chain([output.len()]) {
        given = given.max(cut.min(output.len()));
        if found == Ok(None) {
            found = reader.read(&output[..given], &mut head);
        }
    }
    assert_eq!(found, expected, "the head");
    if let Ok(Some(_)) = expected {
        assert!((200..600).contains(&whole.status));
        for field in whole.fields.iter() {
            assert!(http1::fields::is_token(field.name) && http1::fields::is_safe_value(field.value));
        }
        assert_eq!(head.status, whole.status);
        assert!(head.fields.iter().eq(whole.fields.iter()));
    }
}
