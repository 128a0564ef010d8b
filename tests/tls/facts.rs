//! What the client's certificate says: for the choice of the route, for the origin, for the log.

use std::process::Command;

use testkit::{Authority, Client, H2Client, Leaf, SOON, poll_until};

use crate::Site;
use crate::site::BINARY;

const ROUTES: &str = r#"
    [routes.by_subject]
    host = "a.wild.test"
    client_ca = "{clients}"
    client_certificate = { subject = "CN=good", spiffe = "spiffe://test/*" }
    respond = { body = "known" }
    [routes.others]
    host = "a.wild.test"
    client_ca = "{clients}"
    respond = { body = "others" }
"#;

fn routes(site: &Site) -> String {
    ROUTES.replace("{clients}", &site.dir().join("clients.pem").display().to_string())
}

#[test]
fn a_route_takes_those_whose_certificate_fits() {
    let site = Site::new();
    let palisade = site.start("tls = true", &routes(&site));
    let other = site.client_ca.issue(Leaf::client("good").uri("spiffe://other/good"));
    let other = site.client("a.wild.test").certificate(&other).resuming();
    let good = site.known_client("a.wild.test").resuming();
    // The second time from the ticket.
    for resumed in [false, true] {
        for (client, body) in [(&good, "known"), (&other, "others")] {
            let mut http1 = Client::connect_tls(palisade.address("https"), client);
            assert_eq!(http1.tls().resumed, resumed);
            for _ in 0..2 {
                let answer = http1.request("GET", "/", &[("Host", "a.wild.test")], b"");
                assert_eq!((answer.status, answer.text()), (200, body));
            }
            let mut http2 = H2Client::connect_tls(palisade.address("https"), client);
            let fields =
                [(":method", "GET"), (":scheme", "https"), (":authority", "a.wild.test"), (":path", "/")];
            let stream = http2.open_with(&fields, true);
            assert_eq!(http2.response(stream).text(), body);
        }
    }
}

#[test]
fn an_explanation_tells_of_the_certificate() {
    let site = Site::new();
    let file = site.dir().join("palisade.toml");
    std::fs::write(&file, site.config("tls = true", &routes(&site)).replace("{dir}", "/tmp")).unwrap();
    let other = Authority::new("other").issue(Leaf::client("other")).write_to(site.dir(), "other");
    let good = site.dir().join("good.pem");
    for (shown, told) in [
        (None, "no   by_subject  client_certificate asks for a certificate, and the client shows none"),
        (Some(&other.certificate), "no   by_subject  the client's certificate does not fit subject"),
        (Some(&good), "yes  by_subject"),
    ] {
        let mut command = Command::new(BINARY);
        command.arg("explain").arg("--config").arg(&file).arg("https://a.wild.test/");
        if let Some(shown) = shown {
            command.arg("--client-certificate").arg(shown);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(told), "{told:?} is not in {text}{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What a client would like to be taken for.
const CLAIMS: [(&str, &str); 4] = [
    ("Client-Cert", ":AAAA:"),
    ("client-cert-chain", ":AAAA:"),
    ("X-Client-Cert-Subject", "CN=admin"),
    ("x-client-cert-anything", "admin"),
];

#[test]
fn an_origin_is_told_by_nobody_but_the_proxy() {
    let site = Site::new();
    let telling = "[routes.telling]\npath = \"/told\"\nupstream = \"origin\"\nforward_client_certificate = true\n\
                   [routes.told]\npath = \"/told\"\nhost = \"a.wild.test\"\nclient_ca = \"{clients}\"\n\
                   upstream = \"origin\"\nforward_client_certificate = true\n\
                   [listeners.http]\naddress = \"127.0.0.1:0\"\n";
    let telling = telling.replace("{clients}", &site.dir().join("clients.pem").display().to_string());
    let config = |trust: &str| site.config("tls = true", &telling).replace("server.workers = 2", trust);
    for (trust, trusted) in [("", false), ("server.trusted_proxies = [\"127.0.0.0/8\"]", true)] {
        let palisade = testkit::Palisade::start(BINARY, &config(trust));
        let good = site.known_client("a.wild.test");
        // (seen subject, seen number of claims) for each way in.
        let seen = |target: &str| {
            let requests = site.origin.requests();
            let request = requests.into_iter().rfind(|request| request.target == target).unwrap();
            let lines = String::from_utf8_lossy(request.head()).to_lowercase();
            let claims = lines
                .lines()
                .filter(|line| line.starts_with("client-cert") || line.starts_with("x-client-cert"));
            (request.header("X-Client-Cert-Subject").map(str::to_owned), claims.count())
        };
        let mut fields = vec![("Host", "a.wild.test")];
        fields.extend(CLAIMS);
        let mut http1 = Client::connect_tls(palisade.address("https"), &good);
        assert_eq!(http1.request("GET", "/told/1", &fields, b"").status, 200);
        assert_eq!(seen("/told/1"), (Some("CN=good".to_owned()), 7));
        assert_eq!(http1.request("GET", "/untold/1", &fields, b"").status, 200);
        assert_eq!(seen("/untold/1"), (None, 0));

        let mut http2 = H2Client::connect_tls(palisade.address("https"), &good);
        for (target, expected) in [("/told/2", (Some("CN=good".to_owned()), 7)), ("/untold/2", (None, 0))] {
            let mut fields = vec![
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "a.wild.test"),
                (":path", target),
            ];
            let claims = CLAIMS.map(|(name, value)| (name.to_lowercase(), value));
            fields.extend(claims.iter().map(|(name, value)| (name.as_str(), *value)));
            let stream = http2.open_with(&fields, true);
            assert_eq!(http2.response(stream).status, 200);
            assert_eq!(seen(target), expected);
        }

        // Without a certificate, and without TLS: only then may a trusted proxy tell of one.
        let mut fields = vec![("Host", "open.test")];
        fields.extend(CLAIMS);
        let mut nobody = Client::connect_tls(palisade.address("https"), &site.client("open.test"));
        assert_eq!(nobody.request("GET", "/told/3", &fields, b"").status, 200);
        assert_eq!(seen("/told/3"), (None, 0));
        let mut plain = Client::connect(palisade.address("http"));
        assert_eq!(plain.request("GET", "/told/4", &fields, b"").status, 200);
        let expected = if trusted { (Some("CN=admin".to_owned()), 4) } else { (None, 0) };
        assert_eq!(seen("/told/4"), expected);
    }
    let requests = site.origin.requests();
    let told = requests.iter().find(|request| request.target == "/told/1").unwrap();
    let der = told.header("Client-Cert").unwrap();
    let expected = data_of(&site.good.chain[0]);
    assert_eq!(der, format!(":{expected}:"));
    for (name, value) in [
        ("X-Client-Cert-Issuer", "CN=clients"),
        ("X-Client-Cert-San", "DNS:good.test,URI:spiffe://test/good"),
        ("X-Client-Cert-Spiffe", "spiffe://test/good"),
    ] {
        assert_eq!(told.header(name), Some(value));
    }
    assert_eq!(told.header("X-Client-Cert-Fingerprint").map(str::len), Some(64));
}

/// Base64, as the PEM of the certificate has it.
fn data_of(der: &[u8]) -> String {
    use std::io::Write;
    let mut command = Command::new("base64");
    command.arg("-w0").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("base64 runs");
    child.stdin.take().unwrap().write_all(der).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn the_log_names_who_came_with_a_certificate() {
    let site = Site::new();
    let log = site.dir().join("access.log");
    let more = format!("[log]\naccess = \"{}\"\n", log.display());
    let palisade = site.start("tls = true", &more);
    let mut known = Client::connect_tls(palisade.address("https"), &site.known_client("a.wild.test"));
    assert_eq!(known.request("GET", "/known", &[("Host", "a.wild.test")], b"").status, 200);
    let mut nobody = Client::connect_tls(palisade.address("https"), &site.client("open.test"));
    assert_eq!(nobody.request("GET", "/nobody", &[("Host", "open.test")], b"").status, 200);
    let line = |part: &str| {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.lines().find(|line| line.contains(part)).map(str::to_owned)
    };
    poll_until(SOON, "the lines", || line("/known").is_some() && line("/nobody").is_some());
    assert!(line("/known").unwrap().contains(r#""client_subject":"CN=good""#));
    assert!(!line("/nobody").unwrap().contains("client_subject"));
}
