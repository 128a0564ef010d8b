//! Messages of the domain name system (RFC 1035, section 4), as far as a server in a test needs them: it
//! reads one question and writes answers. Bytes in, bytes out.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The type of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    A,
    Aaaa,
    Srv,
    Cname,
    Other(u16),
}

impl Kind {
    fn code(self) -> u16 {
        match self {
            Kind::A => 1,
            Kind::Cname => 5,
            Kind::Aaaa => 28,
            Kind::Srv => 33,
            Kind::Other(code) => code,
        }
    }

    fn of_code(code: u16) -> Kind {
        let known = [Kind::A, Kind::Cname, Kind::Aaaa, Kind::Srv];
        known.into_iter().find(|kind| kind.code() == code).unwrap_or(Kind::Other(code))
    }
}

/// A record; the name that it belongs to stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Seconds.
    pub ttl: u32,
    pub data: Data,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Srv { priority: u16, weight: u16, port: u16, target: String },
    Cname(String),
}

impl Data {
    pub fn kind(&self) -> Kind {
        match self {
            Data::A(_) => Kind::A,
            Data::Aaaa(_) => Kind::Aaaa,
            Data::Srv { .. } => Kind::Srv,
            Data::Cname(_) => Kind::Cname,
        }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Data::A(address) => address.octets().to_vec(),
            Data::Aaaa(address) => address.octets().to_vec(),
            Data::Cname(target) => encode_name(target),
            Data::Srv { priority, weight, port, target } => {
                let numbers = [*priority, *weight, *port].map(u16::to_be_bytes).concat();
                [numbers, encode_name(target)].concat()
            }
        }
    }
}

impl Record {
    /// An address, of the kind that `address` is.
    #[track_caller]
    pub fn address(address: &str, ttl: u32) -> Record {
        let data = match address.parse::<Ipv4Addr>() {
            Ok(address) => Data::A(address),
            Err(_) => Data::Aaaa(address.parse().unwrap_or_else(|_| panic!("{address} is no address"))),
        };
        Record { ttl, data }
    }

    pub fn cname(target: &str, ttl: u32) -> Record {
        Record { ttl, data: Data::Cname(target.to_string()) }
    }

    pub fn srv(priority: u16, weight: u16, port: u16, target: &str, ttl: u32) -> Record {
        Record { ttl, data: Data::Srv { priority, weight, port, target: target.to_string() } }
    }
}

/// One question, and the id of the message that it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub id: u16,
    /// As it was written, without the dot at its end.
    pub name: String,
    pub kind: Kind,
}

impl Question {
    /// `None` for what is not a plain question.
    pub fn decode(bytes: &[u8]) -> Option<Question> {
        let number = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
        let (id, flags, questions) = (number(0)?, number(2)?, number(4)?);
        if flags & RESPONSE != 0 || questions != 1 {
            return None;
        }
        let mut labels = Vec::new();
        let mut at = HEADER;
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1;
            match length {
                0 => break,
                // Longer ones are pointers, which a question has no use for.
                1..=63 => labels.push(String::from_utf8_lossy(bytes.get(at..at + length)?).into_owned()),
                _ => return None,
            }
            at += length;
        }
        Some(Question { id, name: labels.join("."), kind: Kind::of_code(number(at)?) })
    }
}

/// An answer, not yet tied to a question.
#[derive(Clone, Debug)]
pub struct Reply {
    code: u8,
    records: Vec<(String, Record)>,
}

impl Reply {
    pub fn code(code: u8) -> Reply {
        Reply { code, records: Vec::new() }
    }

    /// Without an error, and each record with its name.
    pub fn records(records: Vec<(String, Record)>) -> Reply {
        Reply { code: 0, records }
    }

    /// Bytes that are no message behind the right id.
    pub fn garbage(question: &Question) -> Vec<u8> {
        [&question.id.to_be_bytes()[..], &[0xff; 40]].concat()
    }

    /// At most `limit` bytes: when the records do not fit, none of them is in it, and it says that it is
    /// truncated.
    pub fn encode(&self, question: &Question, limit: usize) -> Vec<u8> {
        let mut records = Vec::new();
        for (owner, record) in &self.records {
            // Nearly always the name of the question, which stands right behind the header.
            let owner =
                if *owner == question.name { vec![POINTER, HEADER as u8] } else { encode_name(owner) };
            let data = record.data.encode();
            let length = u16::try_from(data.len()).expect("one record");
            records.extend_from_slice(&owner);
            records.extend_from_slice(&record.data.kind().code().to_be_bytes());
            records.extend_from_slice(&INTERNET.to_be_bytes());
            records.extend_from_slice(&record.ttl.to_be_bytes());
            records.extend_from_slice(&length.to_be_bytes());
            records.extend_from_slice(&data);
        }
        let asked = [
            encode_name(&question.name),
            question.kind.code().to_be_bytes().to_vec(),
            INTERNET.to_be_bytes().to_vec(),
        ]
        .concat();
        let fits = HEADER + asked.len() + records.len() <= limit;
        let answers = if fits { u16::try_from(self.records.len()).expect("what fits") } else { 0 };
        let truncated = if fits { 0 } else { TRUNCATED };
        let flags = RESPONSE | RECURSION | truncated | u16::from(self.code);
        let header = [question.id, flags, 1, answers, 0, 0].map(u16::to_be_bytes).concat();
        [header, asked, if fits { records } else { Vec::new() }].concat()
    }
}

fn encode_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).expect("a short label"));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

const HEADER: usize = 12;
const RESPONSE: u16 = 0x8000;
const TRUNCATED: u16 = 0x0200;
/// Recursion was wanted, and is available.
const RECURSION: u16 = 0x0180;
const INTERNET: u16 = 1;
const POINTER: u8 = 0xc0;

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question { id: 0x1234, name: "App.internal".to_string(), kind: Kind::A }
    }

    fn asking(name: &[u8], kind: u16) -> Vec<u8> {
        let header = [0x1234, 0x0100, 1, 0, 0, 0u16].map(u16::to_be_bytes).concat();
        [header.as_slice(), name, &kind.to_be_bytes(), &[0, 1]].concat()
    }

    #[test]
    fn a_question_is_read() {
        assert_eq!(Question::decode(&asking(b"\x03App\x08internal\0", 1)), Some(question()));
    }

    #[test]
    fn what_is_no_question_is_not_read() {
        let whole = asking(b"\x03App\x08internal\0", 1);
        for end in 0..whole.len() - 2 {
            assert_eq!(Question::decode(&whole[..end]), None, "{end} bytes");
        }
        let mut answer = whole.clone();
        answer[2] |= 0x80;
        assert_eq!(Question::decode(&answer), None);
        assert_eq!(Question::decode(&asking(b"\xc0\x0c", 1)), None);
    }

    #[test]
    fn an_answer_has_its_question_and_points_to_its_name() {
        let reply = Reply::records(vec![("App.internal".to_string(), Record::address("10.0.0.1", 60))]);
        let expected = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x03App\x08internal\0\0\x01\0\x01\
            \xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01";
        assert_eq!(reply.encode(&question(), 512), expected);
    }

    #[test]
    fn what_does_not_fit_is_truncated() {
        let many = (0..100).map(|n| ("App.internal".to_string(), Record::address(&format!("10.0.0.{n}"), 1)));
        let reply = Reply::records(many.collect());
        let short = reply.encode(&question(), 512);
        assert_eq!((short[2] & 0x02, &short[6..8]), (0x02, &[0, 0][..]));
        let whole = reply.encode(&question(), 65535);
        assert_eq!((whole[2] & 0x02, &whole[6..8]), (0, &[0, 100][..]));
    }
}
