//! Client and origin of the kit with each other, and each with openssl.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::others::free_address;
use crate::{Authority, Behaviour, Certificate, Client, Leaf, Origin, SOON, Script, poll_until, temp_dir};

struct House {
    authority: Authority,
    certificate: Certificate,
}

impl House {
    fn new() -> House {
        let authority = Authority::new("Root");
        let certificate = authority.issue(Leaf::server(&["a.test", "127.0.0.1"]));
        House { authority, certificate }
    }

    fn origin(&self) -> Origin {
        Origin::serve_tls(TlsServer::new(&self.certificate), Behaviour::Echo)
    }

    fn client(&self) -> TlsClient {
        TlsClient::trusting(&self.authority, "a.test")
    }
}

#[test]
fn an_exchange_over_each_version() {
    let house = House::new();
    let origin = house.origin();
    for (version, group) in [(TlsVersion::V13, "X25519MLKEM768"), (TlsVersion::V12, "X25519")] {
        let mut client = Client::connect_tls(origin.address(), &house.client().only(version));
        assert_eq!(client.get("/bytes/300000").body, crate::pattern(300_000));
        let facts = client.tls();
        assert_eq!((facts.version, facts.group.as_deref(), facts.resumed), (version, Some(group), false));
        assert_eq!(facts.peer_chain, house.certificate.chain);
        client.finish_sending();
        assert!(client.is_closed(SOON));
    }
    let seen: Vec<TlsFacts> = origin.handshakes().into_iter().map(|seen| seen.outcome.unwrap()).collect();
    assert_eq!(seen[0].server_name.as_deref(), Some("a.test"));
    assert_eq!(seen[1].version, TlsVersion::V12);
}

#[test]
fn protocols_names_and_odd_hellos() {
    let house = House::new();
    let tls = TlsServer::new(&house.certificate).alpn(&["h2", "http/1.1"]);
    let origin = Origin::serve_tls(tls, Behaviour::Echo);
    let client = house.client();
    for (client, alpn, name) in [
        (client.clone().alpn(&["http/1.1", "h2"]), Some("h2"), Some("a.test")),
        (client.clone().alpn(&["http/1.1"]).without_sni(), Some("http/1.1"), None),
        (client.clone().records_of(64), None, Some("a.test")),
        (client.clone().byte_by_byte(), None, Some("a.test")),
        (client.clone().name("127.0.0.1"), None, None),
    ] {
        let mut connection = Client::connect_tls(origin.address(), &client);
        assert_eq!(connection.get("/canary-3").text(), "3");
        let seen = origin.handshakes().pop().unwrap().outcome.unwrap();
        assert_eq!((seen.alpn.as_deref(), seen.server_name.as_deref()), (alpn, name), "{client:?}");
    }
    let error = Client::try_connect_tls(origin.address(), &client.alpn(&["ftp"])).unwrap_err();
    assert_eq!(tls_alert(&error).as_deref(), Some("NoApplicationProtocol"));
}

#[test]
fn a_client_believes_only_whom_it_should() {
    let house = House::new();
    let origin = house.origin();
    for stranger in [TlsClient::trusting(&Authority::new("Root"), "a.test"), house.client().name("b.test")] {
        let error = Client::try_connect_tls(origin.address(), &stranger).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        poll_until(SOON, "the failed handshake", || {
            origin.handshakes().last().is_some_and(|seen| seen.outcome.is_err())
        });
    }
    let anybody = TlsClient::unverified("c.test");
    assert_eq!(Client::connect_tls(origin.address(), &anybody).get("/canary-1").text(), "1");
    origin.set_tls(TlsServer::new(&house.authority.issue(Leaf::server(&["a.test"]).expired())));
    assert!(Client::try_connect_tls(origin.address(), &house.client()).is_err());
}

#[test]
fn sessions_are_resumed_by_those_who_remember_them() {
    let house = House::new();
    let origin = Origin::serve_tls(TlsServer::new(&house.certificate).resuming(), Behaviour::Echo);
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let forgetful = house.client().only(version);
        let remembering = forgetful.clone().resuming();
        for (client, resumed) in [(&forgetful, [false, false]), (&remembering, [false, true])] {
            let seen = [(), ()].map(|()| {
                let mut connection = Client::connect_tls(origin.address(), client);
                connection.get("/");
                connection.tls().resumed
            });
            assert_eq!(seen, resumed, "{version:?}");
        }
    }
}

#[test]
fn clients_show_certificates() {
    let house = House::new();
    let clients = Authority::new("Clients");
    let kim = clients.issue(Leaf::client("kim"));
    let wrong = house.authority.issue(Leaf::client("kim"));
    for must in [ClientCertificates::Required, ClientCertificates::Asked] {
        let tls = TlsServer::knowing_clients(&house.certificate, &clients, must);
        let origin = Origin::serve_tls(tls, Behaviour::Echo);
        let ask = |client: &TlsClient| {
            let mut connection = Client::try_connect_tls(origin.address(), client)?;
            connection.try_send("GET /canary-4 HTTP/1.1\r\nHost: a\r\n\r\n")?;
            connection.try_read_response()
        };
        assert_eq!(ask(&house.client().certificate(&kim)).unwrap().text(), "4");
        assert_eq!(origin.handshakes().pop().unwrap().outcome.unwrap().peer_chain, kim.chain);
        let refused = ask(&house.client().certificate(&wrong)).unwrap_err();
        assert_eq!(tls_alert(&refused).as_deref(), Some("UnknownCA"), "{must:?}");
        match (must, ask(&house.client())) {
            (ClientCertificates::Asked, answer) => assert_eq!(answer.unwrap().text(), "4"),
            (ClientCertificates::Required, answer) => {
                assert_eq!(tls_alert(&answer.unwrap_err()).as_deref(), Some("CertificateRequired"));
            }
        }
    }
}

#[test]
fn a_close_without_notice_is_a_cut() {
    let house = House::new();
    let answer = "HTTP/1.1 200 OK\r\n\r\nto the end";
    let cut = Behaviour::Raw(Box::new(move |mut connection, _| {
        connection.read_request().unwrap();
        connection.write_all(answer.as_bytes()).unwrap();
        connection.stream().shutdown(Shutdown::Both).unwrap();
    }));
    let whole = Behaviour::Scripted(Box::new(move |_, _| Script::new().send(answer).close()));
    for (behaviour, good) in [(cut, false), (whole, true)] {
        let origin = Origin::serve_tls(TlsServer::new(&house.certificate), behaviour);
        let mut client = Client::connect_tls(origin.address(), &house.client());
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let result = client.try_read_response();
        assert_eq!(result.is_ok(), good, "{result:?}");
    }
}

#[test]
fn plain_text_in_place_of_a_handshake() {
    let tls = TlsServer::plaintext_instead("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let origin = Origin::serve_tls(tls, Behaviour::Echo);
    let house = House::new();
    assert!(Client::try_connect_tls(origin.address(), &house.client()).is_err());
    assert!(origin.requests().is_empty());
}

#[test]
fn openssl_is_served_by_our_origin() {
    let house = House::new();
    let origin = house.origin();
    let dir = temp_dir();
    let ca = house.authority.write_to(&dir, "ca");
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &origin.address().to_string(), "-servername", "a.test"])
        .args(["-verify_return_error", "-brief", "-CAfile", ca.to_str().unwrap()])
        .stdin(Stdio::null())
        .output()
        .expect("openssl runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("Verification: OK"), "{said}");
    poll_until(SOON, "the handshake", || !origin.handshakes().is_empty());
    assert_eq!(origin.handshakes()[0].outcome.as_ref().unwrap().server_name.as_deref(), Some("a.test"));
}

#[test]
fn our_client_is_served_by_openssl() {
    let house = House::new();
    let dir = temp_dir();
    let files = house.certificate.write_to(&dir, "a");
    let address = free_address();
    let mut server = Command::new("openssl")
        .args(["s_server", "-accept", &address.to_string(), "-www", "-quiet"])
        .args(["-cert", files.certificate.to_str().unwrap(), "-key", files.key.to_str().unwrap()])
        .stdin(Stdio::null())
        .spawn()
        .expect("openssl runs");
    poll_until(SOON, "openssl to listen", || Client::try_connect(address).is_ok());
    let client = house.client().without_sni().resuming();
    // Sessions go with our client to another name, which openssl is not told here.
    let resumed = ["a.test", "a.test", "127.0.0.1"].map(|name| {
        let mut connection = Client::connect_tls(address, &client.clone().name(name));
        connection.send("GET / HTTP/1.0\r\n\r\n");
        assert!(connection.is_closed(Duration::from_secs(10)));
        assert!(connection.unread().starts_with("HTTP/1.0 200 ok"), "{:?}", connection.unread());
        connection.tls().resumed
    });
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(resumed, [false, true, true]);
}
