//! Handshakes that succeed, and those that come to nothing.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use socket2::SockRef;
use testkit::dns::Record;
use testkit::{
    Authority, Behaviour, Certificate, CertificateFiles, Dns, Launch, Leaf, Origin, Palisade, SOON,
    TlsServer, TlsVersion, poll_until, temp_dir,
};

use crate::stage::{BINARY, config, event, expect_failure, expect_good, origin_of, proxy};

/// Everything that is expected of the servers, in one file with the name `ca.pem` in `dir`.
fn trusting(authority: &Authority, dir: &std::path::Path, more: &str) -> String {
    let ca = authority.write_to(dir, "ca");
    format!("tls = {{ ca = \"{}\"{more} }}", ca.display())
}

#[test]
fn requests_go_through_tls_to_a_server_that_is_known() {
    let (authority, dir) = (Authority::new("CA"), temp_dir());
    let origin = origin_of(&authority, &["127.0.0.1"]);
    let palisade = proxy(&origin.address(), &trusting(&authority, &dir, ""));
    expect_good(&palisade, 3);
    let response = palisade.client().request("POST", "/echo", &[], &testkit::pattern(300_000));
    assert_eq!(response.body, testkit::pattern(300_000));
    assert_eq!(palisade.client().get("/chunked/300000").body, testkit::pattern(300_000));
    let facts = origin.handshakes()[0].outcome.clone().expect("a good handshake");
    // An address is not asked for as a name (RFC 6066 section 3).
    assert_eq!((facts.version, facts.server_name), (TlsVersion::V13, None));
    assert_eq!(origin.violations(), Vec::<String>::new());
    assert_eq!(event(&palisade, "handshake"), 1.0);
}

#[test]
fn the_name_is_the_host_as_it_is_listed() {
    let (authority, dir, dns) = (Authority::new("CA"), temp_dir(), Dns::start());
    let origin = origin_of(&authority, &["app.test"]);
    let port = origin.address().tcp().port();
    dns.records("app.test", [Record::address("127.0.0.1", 60)]);
    dns.records("other.test", [Record::address("127.0.0.1", 60)]);
    dns.records("_app._tcp.test", [Record::srv(0, 1, port, "app.test", 60)]);
    let list = dir.join("list");
    std::fs::write(&list, format!("app.test:{port}\n")).expect("a list");
    let tls = trusting(&authority, &dir, "");
    let start = |endpoints: &str| {
        let dns = format!("dns = {{ servers = [\"{}\"] }}\n", dns.address());
        let text = config(&origin.address(), &tls);
        let listed = format!("endpoints = [\"{}\"]", origin.address());
        Palisade::start(BINARY, &(dns + &text.replace(&listed, endpoints)))
    };
    for endpoints in [
        format!("endpoints = [\"app.test:{port}\"]"),
        "endpoints = [{ srv = \"_app._tcp.test\" }]".to_owned(),
        format!("endpoints_file = \"{}\"", list.display()),
    ] {
        expect_good(&start(&endpoints), 1);
        let last = origin.handshakes().pop().expect("a handshake").outcome.expect("a good one");
        assert_eq!(last.server_name.as_deref(), Some("app.test"), "{endpoints}");
    }
    let other = start(&format!("endpoints = [\"other.test:{port}\"]"));
    expect_failure(&other, 502, "upstream_tls_failed", "wrong_name");
}

#[test]
fn a_name_can_be_set() {
    let (authority, dir) = (Authority::new("CA"), temp_dir());
    let origin = origin_of(&authority, &["app.test"]);
    let good = trusting(&authority, &dir, ", name = \"App.Test\"");
    expect_good(&proxy(&origin.address(), &good), 1);
    let facts = origin.handshakes()[0].outcome.clone().expect("a good handshake");
    assert_eq!(facts.server_name.as_deref(), Some("app.test"));
    let wrong = proxy(&origin.address(), &trusting(&authority, &dir, ", name = \"b.test\""));
    expect_failure(&wrong, 502, "upstream_tls_failed", "wrong_name");
}

#[test]
fn a_server_that_cannot_prove_who_it_is_gets_no_request() {
    let (known, stranger, dir) = (Authority::new("CA"), Authority::new("CA"), temp_dir());
    let leaf = || Leaf::server(&["127.0.0.1"]);
    let shows = |certificate| TlsServer::new(&certificate);
    let cases = [
        (shows(stranger.issue(leaf())), "unknown_ca"),
        (shows(known.issue(Leaf::server(&["127.0.0.2", "localhost"]))), "wrong_name"),
        (shows(known.issue(leaf().expired())), "expired"),
        (shows(known.issue(leaf().not_yet_valid())), "not_valid_yet"),
        (shows(known.issue(Leaf::client("client").name("127.0.0.1"))), "wrong_purpose"),
        (TlsServer::only(&known.issue(leaf()), TlsVersion::V12), "no_common_version"),
        (shows(known.issue(leaf())).alpn(&["h2"]), "no_common_protocol"),
        (TlsServer::plaintext_instead("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), "not_tls"),
    ];
    for (tls, detail) in cases {
        let origin = Origin::serve_tls(tls, Behaviour::Echo);
        let more = if detail == "no_common_version" { ", min_version = \"1.3\"" } else { "" };
        let palisade = proxy(&origin.address(), &trusting(&known, &dir, more));
        expect_failure(&palisade, 502, "upstream_tls_failed", detail);
        assert_eq!(origin.requests().len(), 0, "{detail}");
        assert!(event(&palisade, "handshake_failure") >= 1.0, "{detail}");
        assert_eq!(event(&palisade, "handshake"), 0.0, "{detail}");
    }
}

/// Makes a certificate that signs itself, as docs/operations.md shows it.
fn self_signed(dir: &Path, name: &str, more: &[&str]) -> CertificateFiles {
    let files = CertificateFiles {
        certificate: dir.join(format!("{name}.pem")),
        key: dir.join(format!("{name}.key")),
    };
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    command.args(["-days", "365", "-keyout"]).arg(&files.key).arg("-out").arg(&files.certificate);
    command.args(["-subj", "/CN=app", "-addext", "subjectAltName=IP:127.0.0.1"]).args(more);
    let output = command.output().expect("openssl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    files
}

/// A certificate as `openssl req -x509` makes it by itself is one of an authority.
#[test]
fn a_server_must_not_show_a_certificate_of_an_authority() {
    let dir = temp_dir();
    let serve = |files: &CertificateFiles| {
        Origin::serve_tls(TlsServer::new(&Certificate::read_from(files)), Behaviour::Echo)
    };
    let trusting = |files: &CertificateFiles| format!("tls = {{ ca = \"{}\" }}", files.certificate.display());
    let usual = self_signed(&dir, "usual", &[]);
    let origin = serve(&usual);
    let palisade = proxy(&origin.address(), &trusting(&usual));
    expect_failure(&palisade, 502, "upstream_tls_failed", "ca_certificate");
    let checks = format!("{}\nhealth = {{ interval = \"100ms\", fall = 1 }}", trusting(&usual));
    let palisade = proxy(&origin.address(), &checks);
    palisade.wait_stderr("is down: TLS handshake failed: ca_certificate", SOON);
    palisade.wait_stderr("a certificate with CA:TRUE", SOON);

    let right = self_signed(&dir, "right", &["-addext", "basicConstraints=critical,CA:FALSE"]);
    let origin = serve(&right);
    expect_good(&proxy(&origin.address(), &trusting(&right)), 2);
}

#[test]
fn only_who_says_so_takes_any_certificate() {
    let stranger = Authority::new("CA");
    let origin = origin_of(&stranger, &["elsewhere.test"]);
    let palisade = proxy(&origin.address(), "tls = { verify = false }");
    expect_good(&palisade, 2);
    palisade.wait_stderr("certificates of the servers are not verified", SOON);
}

#[test]
fn the_authorities_of_the_system_are_the_usual_ones() {
    let (authority, dir) = (Authority::new("CA"), temp_dir());
    let origin = origin_of(&authority, &["127.0.0.1"]);
    let text = config(&origin.address(), "tls = true");
    let with = |path: &std::path::Path| {
        Launch::new(BINARY).environment("SSL_CERT_FILE", path).environment("SSL_CERT_DIR", "/nowhere")
    };
    expect_good(&with(&authority.write_to(&dir, "ca")).start(&text), 1);
    let other = Authority::new("Other").write_to(&dir, "other");
    expect_failure(&with(&other).start(&text), 502, "upstream_tls_failed", "unknown_ca");
    let refused = with(&dir.join("none")).try_start(&text).err().expect("no start without authorities");
    assert!(refused.stderr.contains("this system has no authorities"), "{refused}");
    assert!(refused.stderr.contains("tls = { ca ="), "{refused}");
}

/// The time for a connection is for its handshake too.
#[test]
fn a_server_that_never_answers_the_handshake_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = testkit::Address::Tcp(silent.local_addr().expect("its address"));
    let text = config(&address, "tls = { verify = false }");
    let palisade = Palisade::start(BINARY, &format!("defaults.timeouts.connect = \"200ms\"\n{text}"));
    expect_failure(&palisade, 504, "upstream_connect_timeout", "timeouts.connect");
}

#[test]
fn a_failed_handshake_takes_the_request_elsewhere_and_ejects() {
    let (known, stranger, dir) = (Authority::new("CA"), Authority::new("CA"), temp_dir());
    let (good, bad) = (origin_of(&known, &["127.0.0.1"]), origin_of(&stranger, &["127.0.0.1"]));
    let both = format!("endpoints = [\"{}\", \"{}\"]", good.address(), bad.address());
    let text = config(&good.address(), &trusting(&known, &dir, ""))
        .replace(&format!("endpoints = [\"{}\"]", good.address()), &both);
    let palisade = Palisade::start(BINARY, &text);
    // Also what may not be sent twice: nothing was sent.
    for number in 0..20 {
        let response = palisade.client().request("POST", &format!("/canary-{number}"), &[], b"x");
        assert_eq!(response.text(), number.to_string());
    }
    palisade.wait_stderr("failures in a row, the last one upstream_tls_failed", SOON);
}

/// A body that lasts until the close is whole only when TLS says so (RFC 9112 section 9.8).
#[test]
fn an_end_without_close_notify_is_a_cut() {
    let (authority, dir) = (Authority::new("CA"), temp_dir());
    let certificate = authority.issue(Leaf::server(&["127.0.0.1"]));
    for clean in [true, false] {
        let serve = move |mut connection: testkit::OriginConnection, _: usize| {
            let _ = connection.read_request();
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
            if !clean {
                let _ = SockRef::from(connection.stream()).shutdown(std::net::Shutdown::Write);
                let _ = connection.read(&mut [0; 1]);
            }
        };
        let origin = Origin::serve_tls(TlsServer::new(&certificate), Behaviour::Raw(Box::new(serve)));
        let palisade = proxy(&origin.address(), &trusting(&authority, &dir, ""));
        let mut client = palisade.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.try_read_response();
        let whole = answer.as_ref().is_ok_and(|answer| answer.status == 200);
        assert_eq!(whole, clean, "{answer:?}");
        if !clean {
            palisade.wait_access_log(1, |line| line.contains("upstream_truncated"));
        }
    }
}

#[test]
fn checks_go_through_tls_as_requests_do() {
    let (known, stranger, dir) = (Authority::new("CA"), Authority::new("CA"), temp_dir());
    let (good, bad) = (origin_of(&known, &["127.0.0.1"]), origin_of(&stranger, &["127.0.0.1"]));
    for probe in ["path = \"/status/204\", ", ""] {
        let checks = format!("health = {{ {probe}interval = \"100ms\", fall = 1 }}");
        let both = format!("endpoints = [\"{}\", \"{}\"]", good.address(), bad.address());
        let text = config(&good.address(), &format!("{}\n{checks}", trusting(&known, &dir, "")))
            .replace(&format!("endpoints = [\"{}\"]", good.address()), &both);
        let palisade = Palisade::start(BINARY, &text);
        palisade.wait_stderr("is down: TLS handshake failed: unknown_ca", SOON);
        poll_until(SOON, "checks that pass", || event(&palisade, "check_pass") >= 2.0);
        expect_good(&palisade, 2);
    }
    assert!(good.requests().iter().any(|request| request.target == "/status/204"));
}
