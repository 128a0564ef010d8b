//! Which certificate and which policy a client meets.

use rustls::version::{TLS12, TLS13};

use super::*;

#[test]
fn a_client_gets_the_certificate_for_its_name() {
    let (folder, ca) = (Folder::new(), authority("ca"));
    let issued: Vec<Issued> = [
        &["exact.test"][..],
        &["*.wild.test", "wild.test"],
        &["deep.wild.test"],
        &["default.test", "*.default.test"],
    ]
    .iter()
    .map(|names| issue(&ca, &Wanted { names, ..Wanted::default() }))
    .collect();
    let mut options: Vec<_> =
        issued.iter().zip(["b", "c", "d", "z"]).map(|(issued, name)| issued.write(&folder, name)).collect();
    options[3].default = true;
    let tls = TlsOptions::default();
    let store = store(&options, &tls, &[]);
    let handshakes = handshakes(&store, &tls, &[]);
    assert!(handshakes.only().is_some());
    let client = Client::new(&ca, rustls::ALL_VERSIONS);
    for (name, expected) in [
        ("exact.test", 0),
        ("EXACT.test", 0),
        ("exact.test.", 0),
        ("wild.test", 1),
        ("any.wild.test", 1),
        ("deep.wild.test", 2),
        ("x.default.test", 3),
    ] {
        assert_eq!(client.shake(&handshakes, name).unwrap().leaf, issued[expected].der, "{name}");
    }
    // The default, which the client does not take.
    for name in ["unknown.test", "too.deep.wild.test"] {
        let refused = client.shake(&handshakes, name).unwrap_err();
        assert!(refused.contains("not valid for name"), "{name}: {refused}");
    }
}

#[test]
fn without_a_mark_the_first_by_name_is_the_default() {
    let (folder, ca) = (Folder::new(), authority("ca"));
    let (one, two) = (issue(&ca, &Wanted::default()), issue(&ca, &Wanted::default()));
    let options = [one.write(&folder, "b"), two.write(&folder, "a")];
    let store = store(&options, &TlsOptions::default(), &[]);
    let shelf = resolver::shelf(&store.current());
    let chosen = |name| shelf.choose(name, &[rustls::SignatureScheme::ECDSA_NISTP256_SHA256], now()).unwrap();
    assert_eq!(chosen(None).cert[0], two.der);
    assert_eq!(chosen(Some("b.test")).cert[0], two.der);
    // And of two with the same name and the same beginning too.
    assert_eq!(chosen(Some("a.test")).cert[0], two.der);
}

#[test]
fn unknown_names_are_rejected_where_that_is_asked_for() {
    let (folder, ca) = (Folder::new(), authority("ca"));
    let options = [issue(&ca, &Wanted { names: &["*.a.test"], ..Wanted::default() }).write(&folder, "a")];
    let tls = TlsOptions { unknown_sni: UnknownSni::Reject, ..TlsOptions::default() };
    let store = store(&options, &tls, &[]);
    let handshakes = handshakes(&store, &tls, &[]);
    assert!(handshakes.choose(Some("X.a.test.")).is_ok());
    for name in [None, Some("b.test"), Some("a.test"), Some("x.y.a.test"), Some("")] {
        assert_eq!(handshakes.choose(name).map(|_| ()), Err(UnknownName), "{name:?}");
    }
    // The same where nobody looks into the hello first.
    let client = Client::new(&ca, rustls::ALL_VERSIONS);
    let only = handshakes.only().unwrap();
    assert!(client.shake_under(only, "x.a.test").is_ok());
    assert!(client.shake_under(only, "b.test").unwrap_err().starts_with("server: "));
}

#[test]
fn the_newest_valid_one_is_chosen_and_an_expired_one_only_alone() {
    let (folder, ca) = (Folder::new(), authority("ca"));
    let of = |valid, names| issue(&ca, &Wanted { names, valid, ..Wanted::default() });
    let (a, wild) = (&["a.test"][..], &["*.test", "old.test"][..]);
    let cases: Vec<(&str, Vec<(Issued, bool)>)> = vec![
        ("newest", vec![(of((-10, 80), a), false), (of((-5, 80), a), true), (of((-9, 99), a), false)]),
        ("future", vec![(of((-10, 80), a), true), (of((1, 80), a), false)]),
        ("expired", vec![(of((-90, 80), a), true), (of((-80, -1), a), false)]),
        ("wildcard", vec![(of((-80, -1), a), false), (of((-90, 80), wild), true)]),
        ("exact", vec![(of((-90, 80), a), true), (of((-10, 80), wild), false)]),
        ("alone", vec![(of((-80, -1), a), true)]),
    ];
    for (case, candidates) in cases {
        let options: Vec<_> = candidates
            .iter()
            .enumerate()
            .map(|(index, (issued, _))| issued.write(&folder, &format!("{case}{index}")))
            .collect();
        let store = store(&options, &TlsOptions::default(), &[]);
        let shelf = resolver::shelf(&store.current());
        let schemes = [rustls::SignatureScheme::ECDSA_NISTP256_SHA256];
        let chosen = &shelf.choose(Some("a.test"), &schemes, now()).unwrap().cert[0];
        let expected = candidates.iter().find(|(_, expected)| *expected).unwrap();
        assert_eq!(*chosen, expected.0.der, "{case}");
    }
}

#[test]
fn of_rsa_and_ecdsa_each_client_gets_what_it_can_verify() {
    let (folder, ca) = (Folder::new(), authority("ca"));
    let rsa = issue(&ca, &Wanted { rsa: true, valid: (-1, 80), ..Wanted::default() });
    let ecdsa = issue(&ca, &Wanted { valid: (-9, 80), ..Wanted::default() });
    let options = [rsa.write(&folder, "a"), ecdsa.write(&folder, "b")];
    let store = store(&options, &TlsOptions::default(), &[]);
    let shelf = resolver::shelf(&store.current());
    use rustls::SignatureScheme::{ECDSA_NISTP256_SHA256 as ECDSA, ED25519, RSA_PSS_SHA256 as RSA};
    for (schemes, expected) in
        [(&[RSA, ECDSA][..], &ecdsa), (&[RSA], &rsa), (&[ECDSA], &ecdsa), (&[ED25519], &ecdsa)]
    {
        let chosen = shelf.choose(Some("a.test"), schemes, now()).unwrap();
        assert_eq!(chosen.cert[0], expected.der, "{schemes:?}");
    }
}

#[test]
fn names_come_from_the_certificate() {
    let (folder, ca) = (Folder::new(), authority("ca"));
    let pair = Pair::load(
        &issue(&ca, &Wanted { names: &["B.test", "*.a.test", "10.0.0.1"], ..Wanted::default() })
            .write(&folder, "a"),
    )
    .unwrap();
    assert_eq!(pair.names, ["*.a.test", "10.0.0.1", "b.test"]);
    assert_eq!(pair.issuer, "CN=ca");
    // The common name counts only where there is no other.
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Common.test");
    let key = KeyPair::generate().unwrap();
    let bare = params.signed_by(&key, &ca).unwrap();
    let options = Issued { der: bare.der().clone(), pem: bare.pem(), key }.write(&folder, "bare");
    assert_eq!(Pair::load(&options).unwrap().names, ["common.test"]);
}

#[test]
fn versions_key_exchange_and_protocols() {
    let (folder, ca) = (Folder::new(), authority("ca"));
    let options = [issue(&ca, &Wanted::default()).write(&folder, "a")];
    let both = TlsOptions::default();
    let new = TlsOptions {
        min_version: TlsVersion::V1_3,
        http2: crate::message::Http2::Off,
        ..TlsOptions::default()
    };
    let store = store(&options, &both, &[]);
    let (both, new) = (handshakes(&store, &both, &[]), handshakes(&store, &new, &[]));
    let (old_client, new_client) = (Client::new(&ca, &[&TLS12]), Client::new(&ca, &[&TLS13]));
    let shaken = old_client.shake(&both, "a.test").unwrap();
    assert_eq!(shaken.version, rustls::ProtocolVersion::TLSv1_2);
    let shaken = new_client.shake(&both, "a.test").unwrap();
    assert_eq!(shaken.version, rustls::ProtocolVersion::TLSv1_3);
    assert_eq!(shaken.group, Some(rustls::NamedGroup::X25519MLKEM768));
    assert!(new_client.shake(&new, "a.test").is_ok());
    assert!(old_client.shake(&new, "a.test").unwrap_err().contains("server: "));

    let alpn = |handshakes: &Handshakes, offered: &[&str]| {
        let client = Client::new(&ca, rustls::ALL_VERSIONS).offering(offered);
        client.shake(handshakes, "a.test").map(|shaken| shaken.alpn.unwrap_or_default())
    };
    assert_eq!(alpn(&both, &[]).as_deref(), Ok(""));
    assert_eq!(alpn(&both, &["http/1.1", "h2"]).as_deref(), Ok("h2"));
    assert_eq!(alpn(&both, &["http/1.1"]).as_deref(), Ok("http/1.1"));
    assert_eq!(alpn(&new, &["h2", "http/1.1"]).as_deref(), Ok("http/1.1"));
    for refused in [alpn(&both, &["ftp"]), alpn(&new, &["h2"])] {
        assert!(
            refused.clone().unwrap_err().contains("server: peer doesn't support any known protocol"),
            "{refused:?}"
        );
    }
}

#[test]
fn hosts_have_policies_of_their_own_and_marks() {
    let (folder, ca) = (Folder::new(), authority("ca"));
    let options =
        [issue(&ca, &Wanted { names: &["*.test", "*.a.test"], ..Wanted::default() }).write(&folder, "a")];
    let pem = folder.write("clients.pem", ca.pem());
    let mutual = HostTlsOptions { client_auth: Some(client_auth(&pem)), min_version: None };
    let newer = HostTlsOptions { client_auth: None, min_version: Some(TlsVersion::V1_3) };
    let hosts = [
        rule("mutual.test", mutual.clone()),
        rule("*.a.test", mutual.clone()),
        rule("free.a.test", HostTlsOptions::default()),
        rule("newer.test", newer),
        rule("Other.test.", mutual),
    ];
    let tls = TlsOptions::default();
    let store = store(&options, &tls, &hosts);
    let (policies, handshakes) = (HostPolicies::build(&hosts, &store), handshakes(&store, &tls, &hosts));
    assert!(!policies.is_empty() && handshakes.only().is_none());
    assert!(HostPolicies::build(&hosts[2..3], &store).is_empty());
    let mark = policies.mark_of(b"mutual.test");
    assert!(mark.is_some());
    for (name, same) in [
        ("x.a.test", true),
        ("x.y.a.test", true),
        ("other.test", true),
        ("MUTUAL.test.", true),
        ("free.a.test", false),
        ("newer.test", false),
        ("a.test", false),
        ("unknown.test", false),
    ] {
        assert_eq!(policies.mark_of(name.as_bytes()) == mark, same, "{name}");
        // One question, one answer.
        let chosen = handshakes.choose(Some(name)).unwrap();
        assert_eq!(chosen.mark, policies.mark_of(name.as_bytes()), "{name}");
        assert_eq!(chosen.clients.is_some(), same, "{name}");
    }
    assert_eq!(handshakes.choose(None).unwrap().mark, None);
    assert_ne!(policies.mark_of(b"newer.test"), None);
    let old = Client::new(&ca, &[&TLS12]);
    assert!(old.shake(&handshakes, "newer.test").is_err());
    assert!(old.shake(&handshakes, "free.a.test").is_ok());
    assert!(old.shake(&handshakes, "mutual.test").is_err(), "it has no certificate");
}
