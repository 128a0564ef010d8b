//! Heads that are none.

use std::io;

use testkit::{Script, canary, canary_on};

use crate::framing::expect_bad_answer;
use crate::stage::{ONE_WORKER, canaries_and, expect_reason, proxy_for};

#[test]
fn malformed_heads_are_refused() {
    let long_reason = format!("HTTP/1.1 200 {}\r\nContent-Length: 0\r\n\r\n", "R".repeat(70_000));
    let many_fields = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "X: y\r\n".repeat(300));
    let long_field = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "y".repeat(70_000));
    for head in [
        "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 1000 High\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20 Short\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.10 200 OK\r\nContent-Length: 0\r\n\r\n",
        "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
        " HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "<html>hello from 0.9</html>\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nX: y\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n",
        &long_reason,
        &many_fields,
        &long_field,
    ] {
        let shown: String = head.chars().take(60).collect();
        expect_bad_answer(head.as_bytes().to_vec(), &format!("{shown:?}"));
    }
}

#[test]
fn a_head_that_breaks_off_is_a_502() {
    for part in ["", "H", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"] {
        for by_reset in [false, true] {
            let origin = canaries_and(move |_| {
                let script = Script::new().send(part);
                if by_reset { script.reset() } else { script.close() }
            });
            let palisade = proxy_for(&origin, ONE_WORKER);
            let mut client = palisade.client();
            assert_eq!(client.get("/part").status, 502, "{part:?}");
            expect_reason(&palisade, "/part", "upstream_closed");
            canary_on(&mut client, &origin);
        }
    }
}

#[test]
fn odd_but_lawful_heads_pass() {
    for (head, reason) in [
        ("HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", ""),
        ("HTTP/1.1 200 Alles \"gut\" (ja)\r\nContent-Length: 2\r\n\r\nok", "Alles \"gut\" (ja)"),
        ("HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nok", "Odd"),
        ("HTTP/1.1 599 Odd\r\nContent-Length: 2\r\n\r\nok", "Odd"),
    ] {
        let origin = canaries_and(move |_| Script::new().send(head));
        let palisade = proxy_for(&origin, ONE_WORKER);
        let mut client = palisade.client();
        let response = client.get("/odd");
        assert_eq!((response.text(), response.status.to_string()), ("ok", head[9..12].to_string()));
        let line = response.head.lines().next().unwrap();
        assert!(line.contains(reason), "{line:?}");
        canary_on(&mut client, &origin);
    }
}

/// Whatever an origin answers, the client gets a well-formed answer or a broken connection, never a third
/// thing, and the proxy lives.
#[test]
fn mutated_heads_never_reach_the_client() {
    const ROUNDS: usize = 400;
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let base =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Odd: a, b\r\nContent-Length: 5\r\n\r\nhello";
    let origin = canaries_and(move |request| {
        let round: u64 = request.target.trim_start_matches("/round-").parse().unwrap();
        Script::new().send(mutated(base, seed.wrapping_add(round))).close()
    });
    let palisade = proxy_for(&origin, "defaults.timeouts.read = \"2s\"");
    for round in 0..ROUNDS {
        let mut client = palisade.client();
        client.send(format!("GET /round-{round} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        if let Err(error) = client.try_read_response() {
            let lawful =
                matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset);
            let answer = mutated(base, seed.wrapping_add(round as u64));
            assert!(lawful, "seed {seed} round {round}: {error} for {:?}", String::from_utf8_lossy(&answer));
        }
        if round % 50 == 0 {
            canary(palisade.address("http"), &origin);
        }
    }
    assert_eq!(palisade.metrics().sum("panics_total", &[]), 0.0);
}

/// `base` with one to three of its bytes changed, doubled or dropped.
fn mutated(base: &[u8], seed: u64) -> Vec<u8> {
    const ODD: &[u8] = b"\r\n\0 \t:;,\x0b\x7f\x80\xff0123456789aHX/-+";
    let mut state = seed | 1;
    let mut random = |below: usize| {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below
    };
    let mut bytes = base.to_vec();
    for _ in 0..=random(3) {
        let at = random(bytes.len());
        match random(4) {
            0 => bytes[at] = ODD[random(ODD.len())],
            1 => bytes.insert(at, ODD[random(ODD.len())]),
            2 => drop(bytes.remove(at)),
            _ => bytes.insert(at, bytes[at]),
        }
    }
    bytes
}
