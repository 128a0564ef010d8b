//! Ten thousand bodies that nobody thought up, in pieces that nobody thought up, read by curl: its decoders are
//! zlib, Brotli's own and zstd's own, none of which is ours.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{RecordedRequest, Script, temp_dir};

use crate::stage::{ENCODINGS, Stage, chunk, chunked_head};

const BODIES: u32 = 10_000;

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> usize {
        (self.next() % end.max(1)) as usize
    }
}

/// Noise, text, and one byte again and again, each in runs; mostly short, seldom long, sometimes nothing.
fn body(seed: u32) -> Vec<u8> {
    let mut random = Random(u64::from(seed));
    let length = match random.below(20) {
        0 => 0,
        1..=12 => random.below(3000),
        13..=18 => random.below(20_000),
        _ => random.below(150_000),
    };
    let mut body = Vec::with_capacity(length + 1000);
    while body.len() < length {
        let run = 1 + random.below(1000);
        match random.below(3) {
            0 => body.extend((0..run).map(|_| random.next() as u8)),
            1 => body.extend((0..run).map(|_| b"the quick brown fox "[random.below(20)])),
            _ => body.extend(std::iter::repeat_n(random.next() as u8, run)),
        }
    }
    body.truncate(length);
    body
}

/// The body of its path, with a length or in chunks, at once or with pauses.
fn answer(request: &RecordedRequest, _: usize) -> Script {
    let seed: u32 = request.target.trim_start_matches('/').parse().expect("a number");
    let body = body(seed);
    let mut random = Random(u64::from(seed) << 32);
    let fields = [("Content-Type", "text/plain")];
    if random.below(4) == 0 {
        return Script::answer_with(200, &fields, &body);
    }
    let mut script = chunked_head(&fields);
    let mut rest = &body[..];
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((1 + random.below(6000)).min(rest.len()));
        script = script.send(chunk(piece));
        if random.below(40) == 0 {
            script = script.pause(Duration::from_millis(1));
        }
        rest = after;
    }
    script.send("0\r\n\r\n")
}

#[test]
fn ten_thousand_bodies_come_back_as_they_were() {
    let version = Command::new("curl").arg("--version").output().expect("curl");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    for decoder in ["zlib/", "brotli/", "zstd/"] {
        assert!(version.contains(decoder), "this curl has no {decoder} and judges nothing: {version}");
    }
    let stage = Stage::new(answer, "compress = { min_size = 0 }");
    let address = stage.palisade.address("http");
    let dir = temp_dir();
    // One curl for each, at the same time; each asks over one connection.
    let each = BODIES.div_ceil(ENCODINGS.len() as u32);
    let shares = ENCODINGS.into_iter().zip(0u32..).map(|(encoding, number)| {
        let seeds = number * each..((number + 1) * each).min(BODIES);
        let mut config = String::new();
        for seed in seeds.clone() {
            let _ = writeln!(config, "url = \"http://{address}/{seed}\"");
        }
        let (file, out) = (dir.join(format!("{encoding}.curl")), dir.join(format!("{encoding}.out")));
        std::fs::write(&file, config).unwrap();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail-early", "--compressed", "--max-time", "300"]);
        curl.args(["-H", &format!("Accept-Encoding: {encoding}"), "-K"]).arg(&file);
        curl.stdout(std::fs::File::create(&out).unwrap()).stderr(Stdio::piped());
        (encoding, seeds, out, curl.spawn().expect("curl"))
    });
    let shares: Vec<_> = shares.collect();
    for (encoding, seeds, out, curl) in shares {
        let output = curl.wait_with_output().unwrap();
        assert!(output.status.success(), "{encoding}: {}", String::from_utf8_lossy(&output.stderr));
        let got = std::fs::read(out).unwrap();
        let mut rest = &got[..];
        for seed in seeds {
            let wanted = body(seed);
            assert!(rest.starts_with(&wanted), "{encoding}: body {seed} of {} bytes differs", wanted.len());
            rest = &rest[wanted.len()..];
        }
        assert!(rest.is_empty(), "{encoding}: {} bytes too many", rest.len());
    }
    // They were compressed at all: all but those that are empty, or whole and no smaller afterwards.
    let compressed = stage.palisade.metrics().sum("compressed_responses_total", &[]);
    assert!(compressed > f64::from(BODIES) * 0.85, "{compressed}");
}

/// What curl asks for when it is left alone, over both versions.
#[test]
fn curl_reads_what_it_asks_for() {
    let stage = Stage::new(
        |_, _| Script::answer_with(200, &[("Content-Type", "text/html")], body(19)),
        "compress = true",
    );
    let address = stage.palisade.address("http");
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--compressed", "--include", version]);
        let output = curl.arg(format!("http://{address}/")).output().expect("curl");
        let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
        assert!(text.contains("content-encoding: zstd\r\n"), "{version}: {text}");
        assert!(output.stdout.ends_with(&body(19)), "{version}");
    }
}
