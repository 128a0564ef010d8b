//! What the proxy shows to servers (mTLS), and the files that it and its trust come from.

use testkit::{
    Authority, Behaviour, ClientCertificates, H2Origin, H2OriginOptions, Leaf, Origin, Palisade, TlsServer,
    poll_until, temp_dir,
};

use crate::stage::{BINARY, config, expect_failure, expect_good, metrics_of, origin_of, proxy, reload};

#[test]
fn a_server_that_asks_for_a_certificate_gets_it() {
    let (authority, clients, dir) = (Authority::new("CA"), Authority::new("Clients"), temp_dir());
    let certificate = authority.issue(Leaf::server(&["127.0.0.1"]));
    let tls = TlsServer::knowing_clients(&certificate, &clients, ClientCertificates::Required);
    let ca = authority.write_to(&dir, "ca");
    let own = clients.intermediate("Between").issue(Leaf::client("palisade")).write_to(&dir, "client");
    let shows = format!(
        "tls = {{ ca = \"{}\", certificate = \"{}\", key = \"{}\" }}",
        ca.display(),
        own.certificate.display(),
        own.key.display()
    );
    let origin = Origin::serve_tls(tls.clone(), Behaviour::Echo);
    expect_good(&proxy(&origin.address(), &shows), 2);
    let facts = origin.handshakes()[0].outcome.clone().expect("a good handshake");
    assert_eq!(facts.peer_chain.len(), 2);

    // Without one: in TLS 1.3 a server says so only after the handshake, in place of an answer.
    let origin = Origin::serve_tls(tls, Behaviour::Echo);
    let palisade = proxy(&origin.address(), &format!("tls = {{ ca = \"{}\" }}", ca.display()));
    expect_failure(&palisade, 502, "upstream_tls_failed", "client_certificate_refused");
    assert_eq!(origin.requests().len(), 0);
}

/// What a server says of a certificate comes where its settings should.
#[test]
fn a_refused_certificate_is_told_with_http2_too() {
    let (authority, clients, dir) = (Authority::new("CA"), Authority::new("Clients"), temp_dir());
    let certificate = authority.issue(Leaf::server(&["127.0.0.1"]));
    let tls = TlsServer::knowing_clients(&certificate, &clients, ClientCertificates::Required).alpn(&["h2"]);
    let origin = H2Origin::echo(H2OriginOptions::new().tls(tls));
    let ca = authority.write_to(&dir, "ca");
    let stranger = Authority::new("Strangers").issue(Leaf::client("palisade")).write_to(&dir, "client");
    let shown = format!(
        ", certificate = \"{}\", key = \"{}\"",
        stranger.certificate.display(),
        stranger.key.display()
    );
    for shown in ["", &shown] {
        let upstream = format!("protocol = \"http2\"\ntls = {{ ca = \"{}\"{shown} }}", ca.display());
        let palisade = proxy(&origin.address(), &upstream);
        expect_failure(&palisade, 502, "upstream_tls_failed", "client_certificate_refused");
    }
    assert_eq!(origin.streams().len(), 0);
}

#[test]
fn two_upstreams_at_one_address_never_share_a_connection() {
    let (authority, clients, dir) = (Authority::new("CA"), Authority::new("Clients"), temp_dir());
    let certificate = authority.issue(Leaf::server(&["127.0.0.1"]));
    let tls = TlsServer::knowing_clients(&certificate, &clients, ClientCertificates::Asked).resuming();
    let origin = Origin::serve_tls(tls, Behaviour::Echo);
    let ca = authority.write_to(&dir, "ca");
    let mut text = r#"
        listeners.http.address = "127.0.0.1:0"
        server.workers = 1
    "#
    .to_owned();
    for name in ["a", "b", "none"] {
        let own = clients.issue(Leaf::client(name)).write_to(&dir, name);
        let shows = match name {
            "none" => String::new(),
            _ => {
                format!(", certificate = \"{}\", key = \"{}\"", own.certificate.display(), own.key.display())
            }
        };
        text.push_str(&format!(
            "
            [routes.{name}]
            host = \"{name}.test\"
            upstream = \"{name}\"
            [upstreams.{name}]
            endpoints = [\"{}\"]
            tls = {{ ca = \"{}\"{shows} }}
            ",
            origin.address(),
            ca.display()
        ));
    }
    let palisade = Palisade::start(BINARY, &text);
    for _ in 0..3 {
        for name in ["a", "b", "none"] {
            let mut client = palisade.client();
            client.send(format!("GET /to-{name} HTTP/1.1\r\nHost: {name}.test\r\n\r\n"));
            assert_eq!(client.read_response().status, 200);
        }
    }
    let handshakes = origin.handshakes();
    assert_eq!(handshakes.len(), 3);
    for request in origin.requests() {
        let handshake = &handshakes[request.connection];
        let facts = handshake.outcome.as_ref().expect("a good handshake");
        assert!(!facts.resumed, "one went on with the session of another");
        let shown = facts.peer_chain.first().map(|der| der.to_vec()).unwrap_or_default();
        let told = |name: &str| shown.windows(name.len()).any(|window| window == name.as_bytes());
        match request.target.as_str() {
            // The common name, as it stands in the certificate: a string of one byte.
            "/to-a" => assert!(told("\u{c}\u{1}a"), "the wrong certificate"),
            "/to-b" => assert!(told("\u{c}\u{1}b"), "the wrong certificate"),
            _ => assert_eq!(shown, b""),
        }
    }
}

#[test]
fn a_reload_takes_in_what_files_say_now() {
    let (old, new, dir) = (Authority::new("Old"), Authority::new("New"), temp_dir());
    let origin = origin_of(&old, &["127.0.0.1"]);
    let ca = old.write_to(&dir, "ca");
    let tls = format!("tls = {{ ca = \"{}\" }}", ca.display());
    let palisade = proxy(&origin.address(), &tls);
    expect_good(&palisade, 2);
    // The same again changes nothing: the connection is still there.
    assert_eq!(reload(&palisade).status, 200);
    expect_good(&palisade, 2);
    assert_eq!(origin.handshakes().len(), 1);

    origin.set_tls(TlsServer::new(&new.issue(Leaf::server(&["127.0.0.1"]))));
    std::fs::write(&ca, "nothing").expect("a file");
    let refused = reload(&palisade);
    assert!(refused.text().contains("there is no certificate in"), "{}", refused.text());
    expect_good(&palisade, 2);
    assert_eq!(origin.handshakes().len(), 1);

    new.write_to(&dir, "ca");
    assert_eq!(reload(&palisade).status, 200);
    expect_good(&palisade, 2);
    assert_eq!(origin.handshakes().len(), 2);
    poll_until(testkit::SOON, "the idle connection of before is closed", || origin.open_connections() == 1);
    assert_eq!(metrics_of(&palisade).sum("upstream_connections", &[]), 1.0);
}

/// What only makes TLS stricter is another upstream too.
#[test]
fn a_reload_that_changes_tls_starts_with_new_connections() {
    let (authority, dir) = (Authority::new("CA"), temp_dir());
    let origin = origin_of(&authority, &["127.0.0.1", "app.test"]);
    let ca = authority.write_to(&dir, "ca");
    let with =
        |more: &str| config(&origin.address(), &format!("tls = {{ ca = \"{}\"{more} }}", ca.display()));
    let palisade = Palisade::start(BINARY, &with(""));
    expect_good(&palisade, 1);
    let changes = [", name = \"app.test\"", ", min_version = \"1.3\"", ""];
    for (index, more) in changes.into_iter().enumerate() {
        palisade.rewrite_config(&with(more));
        assert_eq!(reload(&palisade).status, 200);
        expect_good(&palisade, 1);
        assert_eq!(origin.handshakes().len(), index + 2, "{more}");
    }
    palisade.rewrite_config(&config(&origin.address(), ""));
    assert_eq!(reload(&palisade).status, 200);
    assert_eq!(palisade.client().get("/canary-1").status, 502);
}
