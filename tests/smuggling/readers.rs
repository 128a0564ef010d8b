//! Three readers of HTTP/1 requests with the habits of servers in the wild, and no code in common with the
//! proxy. They exist to disagree: where they do, a message is a smuggling tool.

/// What a reader made of a request, as far as two servers must agree on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub method: Vec<u8>,
    /// Without scheme and authority.
    pub target: Vec<u8>,
    /// Empty when there is none, which only 1.0 may have.
    pub host: Vec<u8>,
    pub body: Vec<u8>,
}

/// Reads one request and gives what follows it; `None` when it refuses or needs more bytes.
pub type Reader = fn(&[u8]) -> Option<(Message, &[u8])>;

pub const READERS: [Reader; 3] = [strict, lenient_about_lines, lenient_about_numbers];

/// All requests in `bytes`; `None` unless they end where the bytes do.
pub fn read_all(reader: Reader, mut bytes: &[u8]) -> Option<Vec<Message>> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let (message, rest) = reader(bytes)?;
        messages.push(message);
        bytes = rest;
    }
    Some(messages)
}

/// By the book: lines end in CRLF, names are tokens, one length or one coding.
fn strict(bytes: &[u8]) -> Option<(Message, &[u8])> {
    let end = find(bytes, b"\r\n\r\n")?;
    let mut lines = split(&bytes[..end], b"\r\n").into_iter();
    let start = lines.next()?;
    let words = split(start, b" ");
    let [method, target, b"HTTP/1.1" | b"HTTP/1.0"] = words[..] else { return None };
    let mut fields = Vec::new();
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = &line[..colon];
        let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        if name.is_empty()
            || !name.iter().all(is_token)
            || line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
        {
            return None;
        }
        fields.push((name.to_ascii_lowercase(), line[colon + 1..].trim_ascii().to_vec()));
    }
    let all = |name: &str| {
        fields
            .iter()
            .filter(|field| field.0 == name.as_bytes())
            .map(|field| field.1.clone())
            .collect::<Vec<_>>()
    };
    let rest = &bytes[end + 4..];
    let (body, rest) = match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => (Vec::new(), rest),
        ([length], []) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            let length = std::str::from_utf8(length).ok()?.parse().ok()?;
            (rest.get(..length)?.to_vec(), &rest[length..])
        }
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => chunks(rest, b"\r\n", |size| {
            let size = size.split(|byte| *byte == b';').next()?;
            usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok().filter(|_| size[0] != b'+')
        })?,
        _ => return None,
    };
    let hosts = all("host");
    let host = hosts.first().cloned().unwrap_or_default();
    Some((Message { method: method.to_vec(), target: path_of(target), host, body }, rest))
}

/// Takes LF for a line end, unfolds, cleans names up, and believes a coding that has `chunked` in it more
/// than a length, of which the last counts.
fn lenient_about_lines(bytes: &[u8]) -> Option<(Message, &[u8])> {
    let mut rest = bytes;
    let mut lines: Vec<Vec<u8>> = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        match lines.last_mut() {
            Some(_) if line.is_empty() => break,
            None if line.is_empty() => {}
            Some(before) if lines_fold(line) => before.extend_from_slice(line),
            _ => lines.push(line.to_vec()),
        }
    }
    let words: Vec<&[u8]> = lines[0].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    let (method, target) = (*words.first()?, *words.get(1)?);
    let (mut length, mut chunked, mut host) = (0, false, Vec::new());
    for line in &lines[1..] {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let dashed = line[..colon].iter().map(|byte| if byte.is_ascii_alphanumeric() { *byte } else { b'-' });
        let name = dashed.collect::<Vec<u8>>().to_ascii_lowercase();
        let value = trim(&line[colon + 1..]);
        match without(b'-', &name) {
            b"content-length" => length = digits(value)?,
            b"transfer-encoding" => chunked |= find(&value.to_ascii_lowercase(), b"chunked").is_some(),
            b"host" => host = value.to_vec(),
            _ => {}
        }
    }
    let (body, rest) = match chunked {
        true => chunks(rest, b"\n", |line| {
            let size = trim(line.split(|byte| *byte == b';').next()?);
            usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()
        })?,
        false => (rest.get(..length)?.to_vec(), &rest[length..]),
    };
    Some((Message { method: method.to_vec(), target: path_of(target), host, body }, rest))
}

/// Reads numbers like C: as far as they go, white space, sign and `0x` in front, 32 bits of them. The first
/// of several fields counts, and a length more than a coding.
fn lenient_about_numbers(bytes: &[u8]) -> Option<(Message, &[u8])> {
    let end = find(bytes, b"\r\n\r\n")?;
    let lines = split(&bytes[..end], b"\r\n");
    let words = split(lines[0], b" ");
    let (method, target) = (*words.first()?, *words.get(1)?);
    let first = |name: &str| {
        lines[1..].iter().find_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            trim(&line[..colon]).eq_ignore_ascii_case(name.as_bytes()).then(|| trim(&line[colon + 1..]))
        })
    };
    let rest = &bytes[end + 4..];
    let (body, rest) = match (first("Content-Length"), first("Transfer-Encoding")) {
        (Some(length), _) => {
            let length = c_number(length, 10);
            (rest.get(..length)?.to_vec(), &rest[length..])
        }
        (None, Some(coding)) if coding.to_ascii_lowercase().ends_with(b"chunked") => {
            chunks(rest, b"\r\n", |size| Some(c_number(size, 16)))?
        }
        _ => (Vec::new(), rest),
    };
    let host = first("Host").unwrap_or_default().to_vec();
    Some((Message { method: method.to_vec(), target: path_of(target), host, body }, rest))
}

/// Chunks whose lines end in `line_end`; the trailer section is skipped line by line.
fn chunks<'a>(
    mut rest: &'a [u8],
    line_end: &[u8],
    size_of: impl Fn(&[u8]) -> Option<usize>,
) -> Option<(Vec<u8>, &'a [u8])> {
    let mut body = Vec::new();
    let next_line = |rest: &mut &'a [u8]| -> Option<&'a [u8]> {
        let end = find(rest, line_end)?;
        let line = &rest[..end];
        *rest = &rest[end + line_end.len()..];
        Some(if line_end == b"\n" { line.strip_suffix(b"\r").unwrap_or(line) } else { line })
    };
    loop {
        let size = size_of(next_line(&mut rest)?)?;
        if size == 0 {
            while !next_line(&mut rest)?.is_empty() {}
            return Some((body, rest));
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = &rest[size..];
        next_line(&mut rest)?.is_empty().then_some(())?;
    }
}

/// `strtoul`, cut to 32 bits.
fn c_number(text: &[u8], base: u32) -> usize {
    let text = trim(text);
    let text = text.strip_prefix(b"+").or(text.strip_prefix(b"-")).unwrap_or(text);
    let text = if base == 16 { text.strip_prefix(b"0x").unwrap_or(text) } else { text };
    let digits = text.iter().map_while(|byte| char::from(*byte).to_digit(base));
    digits.fold(0u32, |number, digit| number.wrapping_mul(base).wrapping_add(digit)) as usize
}

/// All digits of a value, whatever stands between them.
fn digits(value: &[u8]) -> Option<usize> {
    let digits: Vec<u8> = value.iter().copied().filter(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

/// `text` without these bytes around it.
fn without(byte: u8, mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && *first == byte
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && *last == byte
    {
        text = rest;
    }
    text
}

fn lines_fold(line: &[u8]) -> bool {
    line.first().is_some_and(|byte| *byte == b' ' || *byte == b'\t')
}

/// White space in the widest sense.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && (*first <= b' ' || *first == 0xa0)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && (*last <= b' ' || *last == 0xa0)
    {
        text = rest;
    }
    text
}

fn path_of(target: &[u8]) -> Vec<u8> {
    let Some(rest) = target.strip_prefix(b"http://") else { return target.to_vec() };
    let start = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    rest[start..].to_vec()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn split<'a>(mut bytes: &'a [u8], at: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(end) = find(bytes, at) {
        parts.push(&bytes[..end]);
        bytes = &bytes[end + at.len()..];
    }
    parts.push(bytes);
    parts
}

/// Readers that never disagree would find nothing.
#[test]
fn the_readers_disagree_where_servers_do() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let start = "POST / HTTP/1.1\r\nHost: a\r\n";
    for message in [
        format!("{start}Content-Length: 38\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("{start}Content_Length: 34\r\n\r\n{smuggled}"),
        format!("{start}Content-Length: 0\r\nContent-Length: 34\r\n\r\n{smuggled}"),
        format!("{start}X: y\nContent-Length: 34\r\n\r\n{smuggled}"),
        format!("{start}Content-Length: 3x4\r\n\r\n{smuggled}"),
        format!("{start}Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n"),
        format!("{start}Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        format!("{start}Transfer-Encoding: chunked\r\n\r\n5;\nhello\r\n0\r\n\r\n"),
        format!("{start}Content-Length: 4294967301\r\n\r\nhello"),
    ] {
        let readings = READERS.map(|reader| read_all(reader, message.as_bytes()));
        assert!(readings.iter().any(|reading| *reading != readings[0]), "{message}");
    }
    let clear = format!("{start}Content-Length: 5\r\n\r\nhello{smuggled}");
    let readings = READERS.map(|reader| read_all(reader, clear.as_bytes()));
    assert!(readings.iter().all(|reading| reading.as_ref().is_some_and(|messages| messages.len() == 2)));
    assert!(readings.iter().all(|reading| *reading == readings[0]));
}
