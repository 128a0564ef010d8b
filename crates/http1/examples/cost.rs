//! What one message costs, in user instructions:
//!
//! ```text
//! cargo build --release -p http1 --example cost
//! perf stat -e instructions:u target/release/examples/cost request 10000
//! valgrind --tool=callgrind target/release/examples/cost response 10000
//! ```
//!
//! The first word says how far to go: `request` and `response` find the end of the head and parse it,
//! `request-all` and `response-all` also read the framing and the connection options and write the head
//! anew, `nothing` is the cost of the program itself.

use std::hint::black_box;

use http1::encode;
use http1::framing::{request_length, response_length};
use http1::{ConnectionOptions, HeadLimits, HeadScanner, Method, Name, RequestHead, ResponseHead};

/// As a browser sends it: 10 fields.
const REQUEST: &[u8] = b"GET /assets/app/main.css?v=20260518 HTTP/1.1\r\n\
Host: www.shop.example\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
Accept: text/css,*/*;q=0.1\r\n\
Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Connection: keep-alive\r\n\
Referer: https://www.shop.example/catalogue/index.html\r\n\
Cookie: session=5b1f0e6c2d9a4e7f8a3c; theme=dark; cart=3\r\n\
Sec-Fetch-Dest: style\r\n\
Priority: u=2\r\n\
\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
Server: origin/2.1\r\n\
Date: Mon, 18 May 2026 10:21:05 GMT\r\n\
Content-Type: text/css; charset=utf-8\r\n\
Content-Length: 18244\r\n\
Last-Modified: Fri, 15 May 2026 08:00:00 GMT\r\n\
ETag: \"6825a1c0-4744\"\r\n\
Cache-Control: public, max-age=3600\r\n\
\r\n";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let times: u32 = arguments.next().and_then(|times| times.parse().ok()).unwrap_or(10_000);
    let (mut request, mut response) = (RequestHead::default(), ResponseHead::default());
    let mut out = Vec::new();
    for _ in 0..times {
        match what.as_str() {
            "request" => read_request(&mut request),
            "request-all" => {
                read_request(&mut request);
                write_request(&request, &mut out);
            }
            "response" => read_response(&mut response),
            "response-all" => {
                read_response(&mut response);
                write_response(&response, &mut out);
            }
            "nothing" => {}
            other => panic!("no such measurement: {other:?}"),
        }
    }
    black_box((&request, &response, &out));
}

#[inline(never)]
fn read_request(head: &mut RequestHead) {
    let bytes = black_box(REQUEST);
    let end = HeadScanner::default().find_end(bytes, &HeadLimits::default()).unwrap().unwrap();
    head.parse(&bytes[..end]).unwrap();
}

#[inline(never)]
fn read_response(head: &mut ResponseHead) {
    let bytes = black_box(RESPONSE);
    let end = HeadScanner::default().find_end(bytes, &HeadLimits::default()).unwrap().unwrap();
    head.parse(&bytes[..end]).unwrap();
}

#[inline(never)]
fn write_request(head: &RequestHead, out: &mut Vec<u8>) {
    out.clear();
    let length = request_length(head).unwrap();
    let options = ConnectionOptions::parse(&head.fields).unwrap();
    black_box(head.wants_keep_alive(options));
    encode::request_line(out, head);
    head.fields.write_lines(out, |field| !field.known.is_hop_by_hop() && field.known != Name::ContentLength);
    encode::framing(out, length);
    out.extend_from_slice(b"\r\n");
}

#[inline(never)]
fn write_response(head: &ResponseHead, out: &mut Vec<u8>) {
    out.clear();
    let framing = response_length(head, Method::Get).unwrap();
    let options = ConnectionOptions::parse(&head.fields).unwrap();
    black_box(head.allows_keep_alive(options));
    encode::status_line(out, head);
    head.fields.write_lines(out, |field| !field.known.is_hop_by_hop() && field.known != Name::ContentLength);
    encode::framing(out, framing.length);
    out.extend_from_slice(b"\r\n");
}
