//! The same over TLS and HTTP/2.

use std::fs;

use testkit::{Authority, Client, H2Client, H2Failure, Leaf, Palisade, TlsClient, temp_dir};

use crate::stage::{BINARY, Stage, pattern, write};

const SIZES: [usize; 5] = [0, 5, 16 << 10, 100_000, 5 << 20];

#[test]
fn files_arrive_whole_over_tls() {
    let (dir, authority) = (temp_dir(), Authority::new("server"));
    authority.issue(Leaf::server(&["a.test"])).write_to(&dir, "app");
    for size in SIZES {
        write(&dir, &format!("www/{size}"), pattern(size));
    }
    let config = format!(
        r#"
        listeners.https = {{ address = "127.0.0.1:0", tls = true }}
        certificates.app = {{ certificate = "{0}/app.pem", key = "{0}/app.key" }}
        routes.all.files = "{0}/www"
        "#,
        dir.display()
    );
    let palisade = Palisade::start(BINARY, &config);
    let tls = TlsClient::trusting(&authority, "a.test");
    let mut client = Client::connect_tls(palisade.address("https"), &tls);
    let mut over_http2 = H2Client::connect_tls(palisade.address("https"), &tls);
    for size in SIZES {
        let all = pattern(size);
        let target = format!("/{size}");
        let host = [("Host", "a.test")];
        assert!(client.request("GET", &target, &host, b"").body == all, "{size}");
        assert!(over_http2.get(&target).body == all, "{size} over HTTP/2");
        if size > 10 {
            let fields = [("Host", "a.test"), ("Range", "bytes=1-9, -3")];
            let parts = client.request("GET", &target, &fields, b"");
            assert_eq!(parts.status, 206);
            assert!(parts.body.windows(9).any(|window| window == &all[1..=9]), "{size}");
        }
    }
}

#[test]
fn http2_gets_what_http1_gets() {
    let stage = Stage::with("precompressed = true, browse = true", "", |www| {
        for size in SIZES {
            write(www, &format!("{size}"), pattern(size));
        }
        write(www, "a.js", "plain");
        write(www, "a.js.gz", "packed");
        write(www, "folder/x", "x");
    });
    let mut client = H2Client::connect(stage.front());
    for size in SIZES {
        let answer = client.get(&format!("/{size}"));
        assert!(answer.status == 200 && answer.body == pattern(size), "{size}");
        assert_eq!(answer.header("content-length"), Some(&*size.to_string()));
        let told = client.request("HEAD", &format!("/{size}"), &[], b"");
        assert_eq!((told.status, told.header("content-length")), (200, Some(&*size.to_string())));
        assert_eq!(told.header("etag"), answer.header("etag"));
        let known = answer.header("etag").unwrap().to_owned();
        assert_eq!(client.request("GET", &format!("/{size}"), &[("if-none-match", &known)], b"").status, 304);
    }
    let part = client.request("GET", "/100000", &[("range", "bytes=99990-")], b"");
    assert!(part.status == 206 && part.body == pattern(100_000)[99_990..]);
    assert_eq!(client.request("GET", "/5", &[("range", "bytes=5-")], b"").status, 416);
    let packed = client.request("GET", "/a.js", &[("accept-encoding", "gzip")], b"");
    assert_eq!((packed.text(), packed.header("content-encoding")), ("packed", Some("gzip")));
    assert_eq!(client.get("/folder").header("location"), Some("./folder/"));
    assert!(client.get("/folder/").text().contains("href=\"./x\""));
    let refused = client.request("PUT", "/a.js", &[], b"x");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
}

#[test]
fn a_file_that_shrinks_resets_its_stream_alone() {
    let stage = Stage::with("", "", |www| {
        write(www, "large", pattern(20 << 20));
        write(www, "small", "small");
    });
    let mut client = H2Client::connect(stage.front());
    let stream = client.open("GET", "/large", &[], true);
    // The window is small: most of it is still to be read.
    while client.frame().expect("a frame").kind != 0 {}
    let file = fs::File::options().write(true).open(stage.www().join("large")).unwrap();
    file.set_len(1000).unwrap();
    assert!(matches!(client.outcome(stream), Err(H2Failure::Reset(_))));
    assert_eq!(client.get("/small").text(), "small");
}
