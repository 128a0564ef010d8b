//! `replace`.

use std::time::Duration;

use testkit::{H2Client, Origin, Script};

use super::stage::Stage;

const ROUTE: &str = r#"
    [routes.all]
    upstream = "origin"
    [routes.all.replace]
    rules = [
      { from = "http://old.test", to = "{scheme}://{host}" },
      { from = "secret", to = "[{query.q}]" },
      { regex = "v([0-9]+)[.]([0-9]+)", to = "$2/$1" },
    ]
"#;

fn html(body: &str) -> Script {
    let fields = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("ETag", "\"one\""),
        ("Accept-Ranges", "bytes"),
        ("Content-MD5", "x"),
        ("Last-Modified", "Thu, 26 Nov 2026 06:00:00 GMT"),
    ];
    Script::answer_with(200, &fields, body)
}

#[test]
fn text_is_replaced_and_the_fields_tell_no_lies() {
    let stage = Stage::new(Origin::scripted(|_, _| html("<a href=http://old.test/x>secret v1.2</a>")), ROUTE);
    let fields =
        [("Host", "new.test"), ("Accept-Encoding", "gzip"), ("Range", "bytes=0-1"), ("If-Range", "\"one\"")];
    let answer = stage.get("/?q=<i>", &fields);
    assert_eq!((answer.status, answer.text()), (200, "<a href=http://new.test/x>[&lt;i&gt;] 2/1</a>"));
    assert_eq!(answer.header("ETag"), Some("W/\"one\""));
    for gone in ["Accept-Ranges", "Content-MD5", "Content-Length"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    assert!(answer.header("Last-Modified").is_some());
    let arrived = stage.arrived();
    for gone in ["Accept-Encoding", "Range", "If-Range"] {
        assert_eq!(arrived.headers.all(gone), [""; 0], "{gone}");
    }
}

/// A HEAD says what a GET would, as far as that is known without its body.
#[test]
fn a_head_keeps_honest_fields() {
    let origin = Origin::scripted(|_, _| {
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: \"one\"\r\nContent-Length: 41\r\n\r\n";
        Script::new().send(head)
    });
    let stage = Stage::new(origin, ROUTE);
    let head = stage.client().request("HEAD", "/", &[("Host", "a")], b"");
    assert_eq!((head.header("ETag"), head.header("Content-Length")), (Some("W/\"one\""), None));
}

#[test]
fn what_is_coded_a_part_or_of_another_type_is_left_alone() {
    let origin = Origin::scripted(|request, _| {
        let body = "http://old.test";
        match request.target.as_str() {
            "/coded" => {
                Script::answer_with(200, &[("Content-Type", "text/html"), ("Content-Encoding", "gzip")], body)
            }
            "/part" => Script::answer_with(
                206,
                &[("Content-Type", "text/html"), ("Content-Range", "bytes 0-14/15")],
                body,
            ),
            "/text" => Script::answer_with(200, &[("Content-Type", "text/plain"), ("ETag", "\"a\"")], body),
            _ => Script::answer_with(503, &[("Content-Type", "text/html")], body),
        }
    });
    let stage = Stage::new(origin, ROUTE);
    for path in ["/coded", "/part", "/text"] {
        let answer = stage.get(path, &[("Host", "a")]);
        assert_eq!(answer.text(), "http://old.test", "{path}");
        assert_eq!(answer.header("Content-Length"), Some("15"), "{path}");
    }
    assert_eq!(stage.get("/text", &[("Host", "a")]).header("ETag"), Some("\"a\""));
    assert_eq!(stage.get("/failed", &[("Host", "a")]).text(), "http://a");
}

#[test]
fn each_rule_once_and_other_types_when_that_is_wanted() {
    let stage = Stage::new(
        Origin::scripted(|_, _| Script::answer_with(200, &[("Content-Type", "text/css")], "aabb a\nxx x")),
        "[defaults.replace]\nrules = [{ from = \"a\", to = \"1\" }, { regex = \"x\", to = \"2\" }]\n\
         types = [\"text/css\"]\nonce = true\n[routes.all]\nupstream = \"origin\"\n\
         [routes.not]\npath = \"/not\"\nupstream = \"origin\"\nreplace = false",
    );
    assert_eq!(stage.get("/", &[("Host", "a")]).text(), "1abb a\n2x x");
    assert_eq!(stage.get("/not", &[("Host", "a")]).text(), "aabb a\nxx x");
}

/// The origin pauses in the middle of a text that is looked for: what cannot be a part of it is there already.
#[test]
fn what_is_sure_goes_on_while_the_origin_pauses() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";
    let origin = Origin::scripted(move |_, _| {
        let first = format!("{head}10\r\n<p>one http://ol\r\n");
        Script::new().send(first).then(testkit::Step::HoldOpen)
    });
    let stage = Stage::new(
        origin,
        "[routes.all]\nupstream = \"origin\"\nreplace = { rules = [{ from = \"http://old\", to = \"new\" }] }",
    );
    let mut client = stage.client();
    client.set_deadline(Duration::from_secs(20));
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut got = Vec::new();
    while !got.windows(7).any(|window| window == b"<p>one ") {
        let mut piece = [0; 1024];
        let count = std::io::Read::read(client.stream(), &mut piece).expect("the beginning");
        assert!(count > 0, "closed behind {}", String::from_utf8_lossy(&got));
        got.extend_from_slice(&piece[..count]);
    }
    assert!(!String::from_utf8_lossy(&got).contains("http"), "{}", String::from_utf8_lossy(&got));
}

/// However the origin cuts it.
#[test]
fn a_text_may_lie_over_every_cut() {
    let body = "x http://old.test y";
    let origin = Origin::scripted(move |request, _| {
        let cut: usize = request.target[1..].parse().unwrap_or(0);
        let (before, after) = body.split_at(cut);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        let first = if before.is_empty() { String::new() } else { chunk(before) };
        Script::new()
            .send(format!("{head}{first}"))
            .pause(Duration::from_millis(5))
            .send(format!("{}0\r\n\r\n", chunk(after)))
    });
    let stage = Stage::new(origin, ROUTE);
    let mut client = stage.client();
    for cut in 0..body.len() {
        let answer = client.request("GET", &format!("/{cut}"), &[("Host", "n")], b"");
        assert_eq!(answer.text(), "x http://n y", "{cut}");
    }
}

#[test]
fn http2_clients_get_the_same() {
    let stage = Stage::new(
        Origin::scripted(|_, _| html(&"http://old.test v1.2\n".repeat(20_000))),
        &format!("[listeners.h2]\naddress = \"127.0.0.1:0\"\nhttp2 = true\n{ROUTE}"),
    );
    let mut client = H2Client::connect(stage.palisade.address("h2"));
    let answer = client.get("/");
    assert_eq!(answer.header("etag"), Some("W/\"one\""));
    let line = answer.text().lines().next().unwrap_or_default().to_owned();
    assert!(line.starts_with("http://") && line.ends_with(" 2/1") && !line.contains("old"), "{line}");
    assert_eq!(answer.text(), format!("{line}\n").repeat(20_000));
}
