//! Answers that stop in their middle, for each version of the client and of the origin.

use std::io;

use testkit::http2::error;
use testkit::{
    Address, H2Client, H2Failure, H2Origin, H2OriginOptions, H2Script, H2Step, Origin, Palisade, SOON,
    Script, pattern,
};

use crate::stage::{ONE_WORKER, expect_reason, proxy};
use crate::truncation::{Framed, framed};

const CLIENTS: [&str; 3] = ["HTTP/1.0", "HTTP/1.1", "HTTP/2"];

/// An answer that looks whole is a lie.
#[track_caller]
fn expect_visible(palisade: &Palisade, client: &str, path: &str) {
    let case = format!("{path} to {client}");
    let address = palisade.address("http");
    if client == "HTTP/2" {
        let mut client = H2Client::connect(address);
        let stream = client.open("GET", path, &[], true);
        match client.outcome(stream) {
            Ok(answer) => assert_eq!(answer.status, 502, "{case}: a clean end: {} bytes", answer.body.len()),
            Err(H2Failure::Silence) => panic!("{case}: nothing came"),
            Err(_) => {}
        }
        // Only the stream ends.
        assert_eq!(client.get("/canary-1").text(), "1", "{case}");
        return;
    }
    let mut old = palisade.client();
    old.send(format!("GET {path} {client}\r\nHost: a\r\n\r\n"));
    match old.try_read_response() {
        Err(error) => assert_ne!(error.kind(), io::ErrorKind::TimedOut, "{case}: {error}"),
        Ok(answer) => assert_eq!(answer.status, 502, "{case}: a clean end: {} bytes", answer.body.len()),
    }
}

fn stage(address: Address, protocol: &str) -> Palisade {
    let upstream = format!("upstreams.origin.protocol = \"{protocol}\"");
    proxy(&[address], &format!("{ONE_WORKER}\nlisteners.http.http2 = true\n{upstream}"))
}

/// How an answer is cut, as the path of a request says it.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// Content-Length, or chunks.
    told: bool,
    length: usize,
    at: usize,
    /// Number of the way it ends.
    way: usize,
}

impl Cut {
    fn all(ways: usize) -> Vec<Cut> {
        let mut all = Vec::new();
        for (told, length) in [(true, 10), (true, 100_000), (false, 10), (false, 100_000)] {
            for at in [0, 1, length / 2, length - 1] {
                all.extend((0..ways).map(|way| Cut { told, length, at, way }));
            }
        }
        all
    }

    fn path(self) -> String {
        format!("/cut/{}/{}/{}/{}", usize::from(self.told), self.length, self.at, self.way)
    }

    fn read(path: &str) -> Option<Cut> {
        let numbers = path.strip_prefix("/cut/")?.split('/').map(|part| part.parse().expect("a number"));
        let [told, length, at, way] = numbers.collect::<Vec<usize>>().try_into().expect("four numbers");
        Some(Cut { told: told == 1, length, at, way })
    }
}

#[test]
fn of_an_origin_of_http1() {
    let origin = Origin::scripted(|request, _| {
        let Some(cut) = Cut::read(&request.target) else { return Script::echo(request) };
        let framing = if cut.told { Framed::Length } else { Framed::Chunked };
        let (head, wire) = framed(framing, &pattern(cut.length));
        let script = Script::new().send(head).send(&wire[..cut.at]);
        if cut.way == 0 { script.close() } else { script.reset() }
    });
    let palisade = stage(origin.address(), "http1");
    for cut in Cut::all(2) {
        for client in CLIENTS {
            expect_visible(&palisade, client, &cut.path());
        }
        expect_reason(&palisade, &cut.path(), "upstream_truncated");
    }
}

#[test]
fn of_an_origin_of_http2() {
    let ways =
        [H2Step::Reset(error::INTERNAL_ERROR), H2Step::Reset(error::CANCEL), H2Step::Close, H2Step::Abort];
    let count = ways.len();
    let origin = H2Origin::scripted(H2OriginOptions::new(), move |request, _| {
        let Some(cut) = Cut::read(request.path()) else { return H2Script::echo(request) };
        let told = cut.length.to_string();
        let fields: &[_] = if cut.told { &[("content-length", told.as_str())] } else { &[] };
        let begun = H2Script::new().head(200, fields, false).data(&pattern(cut.length)[..cut.at], false);
        begun.then(ways[cut.way].clone())
    });
    let palisade = stage(origin.address(), "http2");
    for cut in Cut::all(count) {
        for client in CLIENTS {
            expect_visible(&palisade, client, &cut.path());
        }
    }
}

/// A stream may end in order, and too early for the length that was told.
#[test]
fn an_end_before_the_told_length() {
    let origin = H2Origin::scripted(H2OriginOptions::new(), move |request, _| {
        let Some(cut) = Cut::read(request.path()) else { return H2Script::echo(request) };
        let told = cut.length.to_string();
        let begun = H2Script::new().head(200, &[("content-length", &told)], false);
        begun.data(&pattern(cut.length)[..cut.at], true)
    });
    let palisade = stage(origin.address(), "http2");
    for cut in Cut::all(1).into_iter().filter(|cut| cut.told) {
        for client in CLIENTS {
            expect_visible(&palisade, client, &cut.path());
        }
    }
}

/// Nothing is cut that is whole.
#[test]
fn what_is_whole_is_whole_in_every_version() {
    const LENGTH: usize = 3_000_000;
    let plain = Origin::echo();
    let shared = H2Origin::echo(H2OriginOptions::new());
    for (address, protocol) in [(plain.address(), "http1"), (shared.address(), "http2")] {
        let palisade = stage(address, protocol);
        for path in [format!("/bytes/{LENGTH}"), format!("/chunked/{LENGTH}")] {
            let mut old = palisade.client();
            old.set_deadline(SOON * 3);
            assert!(old.get(&path).body == pattern(LENGTH), "{protocol} {path}");
            let mut client = H2Client::connect(palisade.address("http"));
            client.set_deadline(SOON * 3);
            assert!(client.get(&path).body == pattern(LENGTH), "{protocol} {path} HTTP/2");
        }
    }
}
