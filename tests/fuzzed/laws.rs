//! What must hold for any input. Taken in by the fuzz targets too, by its path.

use std::cell::Cell;

use palisade::files::ranges::{Range, Wanted, wanted};
use palisade::message::json::{self, JsonError};
use palisade::message::{
    Body, Client, Exchange, Interim, Moment, Protocol, Recycled, Request, RequestId, Template, TemplateError,
    Values,
};
use palisade::wire::{Peer, Watchdog};

/// JSON: what we take another reader takes too and understands the same, before and after it is written again.
pub fn json(text: &[u8]) {
    let theirs = serde_json::from_slice::<serde_json::Value>(text);
    match (json::parse(text), theirs) {
        (Ok(ours), theirs) => {
            let mut out = Vec::new();
            ours.write(&mut out);
            assert_eq!(json::parse(&out), Ok(ours), "it is read as it was written");
            match theirs {
                Ok(theirs) => assert_eq!(serde_json::from_slice::<serde_json::Value>(&out).unwrap(), theirs),
                Err(error) => assert!(is_taken_by_us_alone(&error.to_string(), text), "{error}"),
            }
        }
        (Err(error), Ok(_)) => assert_eq!(error, JsonError::NamedTwice),
        (Err(_), Err(_)) => {}
    }
}

/// Numbers beyond a double, half of a pair of surrogates in a text, and one level more: the grammar has them all
/// (RFC 8259), and we never look into them.
fn is_taken_by_us_alone(error: &str, text: &[u8]) -> bool {
    let has = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
    error.contains("number out of range")
        || error.contains("recursion limit")
        || (has(b"\\u") && (error.contains("surrogate") || error.contains("hex escape")))
}

/// Templates: a text is one exactly when a careful reader says so, and what is filled in stands where the names stood.
pub fn template(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let Some(kind) = input.chars().next() else { return };
    let text = &input[kind.len_utf8()..];
    if text.contains(MARK) {
        return;
    }
    let (compiled, expected) = match kind {
        'p' => (Template::compile(text, Moment::Page), page_by_hand(text)),
        'g' => (Template::compile_with_groups(text, Moment::Answer), by_hand(text, true)),
        _ => (Template::compile(text, Moment::Answer), by_hand(text, false)),
    };
    match (&compiled, &expected) {
        (Ok(template), Some(expected)) => {
            assert_eq!(template.to_string(), text);
            assert_eq!(filled(template), *expected);
            assert_eq!(template.as_text().is_some(), !expected.contains(MARK));
        }
        (Err(TemplateError::LoneBrace(_)), None) => {}
        // Which names there are is for a table test to say.
        (Err(TemplateError::Unknown(_) | TemplateError::BadFieldName(_)), _) => {}
        (Err(TemplateError::NeedsAnswer(_)), _) => panic!("there is an answer"),
        _ => panic!("{compiled:?} and {expected:?}"),
    }
}

/// Stands for a value.
const MARK: char = '\u{1}';

/// The text with a mark for each value; real values are asked for too.
fn filled(template: &Template) -> String {
    let (interim, watchdog, is_call) = (Interim::default(), Watchdog::new(), Cell::new(false));
    let mut head = Recycled::<http1::RequestHead>::take();
    head.parse(b"GET /p?b=c HTTP/1.1\r\nHost: h\r\nX-In: x\r\nCookie: a=b\r\n\r\n").unwrap();
    let request = Request {
        head,
        body: Body::Empty,
        id: RequestId::make(),
        upgrade: None,
        interim: &interim,
        watchdog: &watchdog,
        is_call: &is_call,
        secured: None,
    };
    let client = Client::new(Peer::Unix);
    let exchange = Exchange { client: &client, protocol: Protocol::Http1, route: "r", endpoint: None };
    let mut out = Vec::new();
    template.write_escaped(&Values::of_request(exchange, &request), &mut out, |_, _, out| {
        out.push(MARK as u8);
    });
    String::from_utf8(out).unwrap()
}

/// `None` for a brace without its partner.
fn by_hand(text: &str, with_groups: bool) -> Option<String> {
    let mut out = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let twice = characters.peek() == Some(&character);
        match character {
            '{' | '}' if twice => {
                characters.next();
                out.push(character);
            }
            '{' => {
                loop {
                    match characters.next()? {
                        '}' => break,
                        '{' => return None,
                        _ => {}
                    }
                }
                out.push(MARK);
            }
            '}' => return None,
            '$' if with_groups && twice => {
                characters.next();
                out.push('$');
            }
            '$' if with_groups => {
                let rest: String = characters.clone().collect();
                let name = match rest.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
                    Some((name, _)) => name.chars().count() + 2,
                    None => rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').count(),
                };
                let is_name = name > 0 && !rest.starts_with("{}");
                out.push(if is_name { MARK } else { '$' });
                if is_name {
                    let _ = characters.nth(name - 1);
                }
            }
            other => out.push(other),
        }
    }
    Some(out)
}

fn page_by_hand(text: &str) -> Option<String> {
    let characters: Vec<char> = text.chars().collect();
    let (mut out, mut at) = (String::new(), 0);
    while at < characters.len() {
        let braces = characters[at..].iter().take_while(|character| **character == '{').count();
        if braces < 2 {
            out.push(characters[at]);
            at += 1;
            continue;
        }
        out.extend(std::iter::repeat_n('{', braces - 2));
        at += braces;
        let end = (at..characters.len()).find(|end| characters[*end..].starts_with(&['}', '}']))?;
        if characters[at..end].iter().any(|character| matches!(character, '{' | '\n')) {
            return None;
        }
        out.push(MARK);
        at = end + 2;
    }
    Some(out)
}

/// Ranges: what comes out is what somebody would take who has the bytes in hand.
pub fn ranges(input: &[u8]) {
    let Some((size, value)) = input.split_first_chunk::<2>() else { return };
    let size = u64::from(u16::from_be_bytes(*size)) % 200;
    assert_eq!(wanted(value, size), ranges_by_hand(value, size), "of {size}");
}

fn ranges_by_hand(value: &[u8], size: u64) -> Wanted {
    let Ok(text) = std::str::from_utf8(value) else {
        // What is not ASCII is no number, and no unit either.
        return Wanted::Whole;
    };
    let Some((unit, set)) = text.split_once('=') else { return Wanted::Whole };
    let trim = |text: &str| text.trim_matches(|c: char| c.is_ascii_whitespace()).to_owned();
    let members: Vec<String> = set.split(',').map(trim).filter(|member| !member.is_empty()).collect();
    if !trim(unit).eq_ignore_ascii_case("bytes") || members.is_empty() || members.len() > 8 {
        return Wanted::Whole;
    }
    let mut parts: Vec<Vec<u64>> = Vec::new();
    for member in &members {
        let Some((first, last)) = member.split_once('-').map(|(first, last)| (trim(first), trim(last)))
        else {
            return Wanted::Whole;
        };
        let number = |text: &str| -> Option<Option<u128>> {
            if text.is_empty() {
                return Some(None);
            }
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            // Larger than any file is larger than any file.
            is_number.then(|| Some(text.parse().unwrap_or(u128::MAX).min(u64::MAX.into())))
        };
        let (Some(first), Some(last)) = (number(&first), number(&last)) else { return Wanted::Whole };
        let size = u128::from(size);
        let (from, to) = match (first, last) {
            (None, None) => return Wanted::Whole,
            (None, Some(1..)) if size == 0 => return Wanted::Whole,
            (None, Some(count)) => (size.saturating_sub(count), size),
            (Some(first), None) => (first, size),
            (Some(first), Some(last)) if last < first => return Wanted::Whole,
            (Some(first), Some(last)) => (first, last.saturating_add(1).min(size)),
        };
        let part: Vec<u64> = (0..size as u64).filter(|at| (from..to).contains(&u128::from(*at))).collect();
        if !part.is_empty() {
            parts.push(part);
        }
    }
    if parts.is_empty() {
        return Wanted::Nothing;
    }
    let is_crowded = (0..size).any(|at| parts.iter().filter(|part| part.contains(&at)).count() > 2);
    if is_crowded {
        return Wanted::Whole;
    }
    let ends = |part: &Vec<u64>| Range { first: part[0], last: part[part.len() - 1] };
    Wanted::Ranges(parts.iter().map(ends).collect())
}
