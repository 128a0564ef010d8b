//! Writers: start lines and framing, always made anew from what was understood.

use crate::fields::Fields;
use crate::framing::BodyLength;
use crate::head::{RequestHead, ResponseHead};
use crate::name::is_allowed_in_trailers;
use crate::target::TargetForm;

/// `GET /path?query HTTP/1.1`; the canonical path, never the received target. Only CONNECT names its
/// authority there, which was checked as a whole.
pub fn request_line(out: &mut Vec<u8>, head: &RequestHead) {
    out.extend_from_slice(head.method_name());
    out.push(b' ');
    out.extend_from_slice(if head.form == TargetForm::Authority { head.target() } else { head.path() });
    if let Some(query) = head.query() {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// `HTTP/1.1 200 OK`. We always speak 1.1 (RFC 9112 section 2.3).
pub fn status_line(out: &mut Vec<u8>, head: &ResponseHead) {
    if head.status == 200 && head.reason() == b"OK" {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(out, u64::from(head.status));
    out.push(b' ');
    out.extend_from_slice(head.reason());
    out.extend_from_slice(b"\r\n");
}

/// The one field that frames the body; nothing for a body that lasts until the close.
pub fn framing(out: &mut Vec<u8>, length: BodyLength) {
    match length {
        BodyLength::Exact(length) => {
            out.extend_from_slice(b"Content-Length: ");
            decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        BodyLength::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        BodyLength::UntilClose => {}
    }
}

/// The line in front of a chunk of `len` bytes, which must not be 0. CRLF follows the data.
pub fn chunk_line(len: usize) -> ([u8; 18], usize) {
    let mut line = [0u8; 18];
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4).max(1) as usize;
    for (index, place) in line[..digits].iter_mut().enumerate() {
        let nibble = (len >> (4 * (digits - 1 - index))) & 0xf;
        *place = b"0123456789abcdef"[nibble];
    }
    line[digits] = b'\r';
    line[digits + 1] = b'\n';
    (line, digits + 2)
}

/// The end of a chunked body, with trailers when there are some.
pub fn last_chunk(out: &mut Vec<u8>, trailers: Option<&Fields>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        trailers.write_lines(out, |field| is_allowed_in_trailers(field.name));
    }
    out.extend_from_slice(b"\r\n");
}

pub fn decimal(out: &mut Vec<u8>, number: u64) {
    // Most numbers are short: a copy whose size is known needs no call. For the six numbers of a request that
    // saves 80 instructions.
    match number {
        0..10 => out.push(b'0' + number as u8),
        10..100 => out.extend_from_slice(&PAIRS[number as usize]),
        100..1000 => out.extend_from_slice(&three_digits(number as u32)),
        _ => long_decimal(out, number),
    }
}

fn long_decimal(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(digits(number, &mut [0; 20]));
}

/// A number as text, which lies in `digits`.
pub fn digits(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    // Two digits a step: a division costs more than a look into a table.
    while number >= 10 {
        let pair = (number % 100) as usize;
        number /= 100;
        start -= 2;
        digits[start..start + 2].copy_from_slice(&PAIRS[pair]);
    }
    if number > 0 || start == digits.len() {
        start -= 1;
        digits[start] = b'0' + number as u8;
    }
    &digits[start..]
}

/// A number below 1000 with leading zeros.
pub fn three_digits(number: u32) -> [u8; 3] {
    let [tens, ones] = PAIRS[(number % 100) as usize];
    [b'0' + (number / 100 % 10) as u8, tens, ones]
}

static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut index = 0;
    while index < 100 {
        pairs[index] = [b'0' + (index / 10) as u8, b'0' + (index % 10) as u8];
        index += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_lines_are_hex_without_leading_zeros() {
        for len in [1usize, 9, 10, 15, 16, 255, 256, 65_535, 65_536, usize::MAX] {
            let (line, end) = chunk_line(len);
            assert_eq!(&line[..end], format!("{len:x}\r\n").as_bytes());
        }
    }

    #[test]
    fn three_digits_have_leading_zeros() {
        for number in [0, 7, 10, 99, 100, 101, 999] {
            assert_eq!(&three_digits(number), format!("{number:03}").as_bytes());
        }
    }

    #[test]
    fn decimals_are_written_whole() {
        for number in [0, 7, 10, 99, 100, 101, 999, 1000, 12_345, u64::MAX] {
            let mut out = Vec::new();
            decimal(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
            assert_eq!(digits(number, &mut [0; 20]), out);
        }
    }
}
