//! A proxy that compresses, and what its answers decode to.

use std::io::Read;

use testkit::{Client, H2Client, Origin, Palisade, RecordedRequest, Script};

pub struct Stage {
    pub palisade: Palisade,
    pub origin: Origin,
}

impl Stage {
    /// `options` are the route's. Nothing is guarded: what a test waits for comes whatever else the machine does.
    pub fn new(
        script: impl Fn(&RecordedRequest, usize) -> Script + Send + Sync + 'static,
        options: &str,
    ) -> Stage {
        Stage::with_server(script, options, "compression_guard = false")
    }

    pub fn with_server(
        script: impl Fn(&RecordedRequest, usize) -> Script + Send + Sync + 'static,
        options: &str,
        server: &str,
    ) -> Stage {
        let origin = Origin::scripted(script);
        let config = format!(
            r#"
            [listeners.http]
            address = "127.0.0.1:0"
            http2 = true
            [admin]
            address = "127.0.0.1:0"
            [upstreams.origin]
            endpoints = ["{}"]
            [server]
            workers = 1
            {server}
            [log]
            access = "{{dir}}/access.log"
            [routes.fixed]
            path = "/fixed"
            respond = {{ body = "{}", content_type = "text/html" }}
            [routes.plain]
            path = "/plain"
            upstream = "origin"
            compress = false
            [routes.all]
            upstream = "origin"
            [defaults]
            {options}
            "#,
            origin.address(),
            "fixed ".repeat(1000)
        );
        Stage { palisade: Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config), origin }
    }

    pub fn client(&self) -> Client {
        self.palisade.client()
    }

    pub fn http2(&self) -> H2Client {
        H2Client::connect(self.palisade.listener("http"))
    }

    /// The log has a line with this reason.
    pub fn expect_reason(&self, reason: &str) {
        self.palisade.wait_access_log(1, |line| line.contains(&format!("\"{reason}\"")));
    }
}

/// As much of `bytes` as can be read; `Err` when that is not all of a complete body.
pub fn decoded(encoding: &str, bytes: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
    let mut body = Vec::new();
    let whole = match encoding {
        "gzip" => flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut body),
        "br" => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut body),
        "zstd" => {
            zstd::stream::read::Decoder::new(bytes).and_then(|mut reader| reader.read_to_end(&mut body))
        }
        other => panic!("no encoding {other}"),
    };
    if whole.is_ok() { Ok(body) } else { Err(body) }
}

/// By a library, as an origin would.
pub fn encoded(encoding: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match encoding {
        "gzip" => {
            drop(flate2::read::GzEncoder::new(body, flate2::Compression::default()).read_to_end(&mut bytes))
        }
        "deflate" => {
            drop(
                flate2::read::ZlibEncoder::new(body, flate2::Compression::default()).read_to_end(&mut bytes),
            );
        }
        "br" => drop(brotli::CompressorReader::new(body, 4096, 5, 20).read_to_end(&mut bytes)),
        "zstd" => bytes = zstd::stream::encode_all(body, 3).unwrap(),
        other => panic!("no encoding {other}"),
    }
    bytes
}

/// JSON as interfaces give it.
pub fn json(length: usize) -> Vec<u8> {
    let mut text = b"[".to_vec();
    let mut number = 1u64;
    while text.len() < length {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (id, name, price) = (number >> 40, number >> 55, number >> 48);
        text.extend(format!("{{\"id\":{id},\"name\":\"item {name}\",\"price\":{price}.5}},\n").bytes());
    }
    text.truncate(length);
    text
}

pub const ENCODINGS: [&str; 3] = ["zstd", "br", "gzip"];

/// An answer without a length, in these chunks.
pub fn chunked(fields: &[(&str, &str)], chunks: &[&[u8]]) -> Script {
    let mut script = chunked_head(fields);
    for data in chunks {
        script = script.send(chunk(data));
    }
    script.send("0\r\n\r\n")
}

pub fn chunked_head(fields: &[(&str, &str)]) -> Script {
    let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    Script::new().send(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{lines}\r\n"))
}

pub fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}
