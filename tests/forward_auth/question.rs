//! What the auth service is asked: about the same request as the origin gets, and nothing of its body.

use testkit::{H2Origin, H2OriginOptions, H2Script, Origin};

use crate::stage::{APP, Stage, alice};

#[test]
fn the_question_is_about_what_the_origin_gets() {
    let stage = Stage::new(APP, alice);
    let fields = [
        ("Host", "Shop.Test:8080"),
        ("Cookie", "session=1"),
        ("Authorization", "Bearer x"),
        ("Accept", "text/html"),
        ("Content-Type", "text/plain"),
        ("Range", "bytes=0-1"),
        ("If-None-Match", "\"a\""),
        ("X-Original-URL", "/public"),
        ("X-HTTP-Method-Override", "GET"),
    ];
    let answer = stage.client().request("DELETE", "/app/./a/../b%2d?q=%41", &fields, b"the body");
    assert_eq!(answer.status, 200);
    let (question, arrived) = (stage.question(), stage.arrived());
    assert_eq!((arrived.method.as_str(), arrived.target.as_str()), ("DELETE", "/app/b-?q=%41"));
    assert_eq!(arrived.body, b"the body");
    assert_eq!((question.method.as_str(), question.target.as_str()), ("GET", "/verify"));
    assert_eq!((question.body.len(), question.header("Content-Length")), (0, None));
    for (name, value) in [
        ("Host", "Shop.Test:8080"),
        ("X-Forwarded-Method", "DELETE"),
        ("X-Forwarded-Uri", "/app/b-?q=%41"),
        ("X-Forwarded-Host", "Shop.Test:8080"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
        ("Cookie", "session=1"),
        ("Authorization", "Bearer x"),
        ("Accept", "text/html"),
    ] {
        assert_eq!(question.headers.all(name), [value], "{name}");
    }
    assert_eq!(question.headers.all("X-Request-ID"), arrived.headers.all("X-Request-ID"));
    for gone in ["Content-Type", "Range", "If-None-Match"] {
        assert_eq!(question.headers.all(gone), [""; 0], "{gone} in the question");
        assert_eq!(arrived.headers.all(gone).len(), 1, "{gone} at the origin");
    }
    // What the service is not told, nobody acts on.
    for gone in ["X-Original-URL", "X-HTTP-Method-Override"] {
        assert_eq!(question.headers.all(gone), [""; 0], "{gone} in the question");
        assert_eq!(arrived.headers.all(gone), [""; 0], "{gone} at the origin");
    }
    for (name, value) in [("X-Auth-User", "alice"), ("X-Auth-Groups", "staff,admin")] {
        assert_eq!(arrived.headers.all(name), [value], "{name}");
    }
    stage.ends_well();
}

#[test]
fn upgrades_are_asked_about_too() {
    let origin = Origin::scripted(|request, _| match request.target.as_str() {
        "/app/socket" => testkit::Script::new().send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello",
        ),
        _ => testkit::Script::echo(request),
    });
    let auth = Origin::scripted(|request, _| alice(&request.target));
    let stage = Stage::with(auth, origin, APP);
    let mut client = stage.client();
    client.send(
        "GET /app/socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: token\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(client.read_response_to_head().status, 101);
    let question = stage.question();
    assert_eq!((question.header("Upgrade"), question.header("Connection")), (None, None));
    assert_eq!(question.header("X-Forwarded-Uri"), Some("/app/socket"));
    assert_eq!(question.header("Sec-WebSocket-Protocol"), Some("token"), "some browsers have no other place");
    assert_eq!(stage.arrived().header("X-Auth-User"), Some("alice"));
    drop(client);
    stage.ends_well();
}

#[test]
fn a_websocket_over_http2_is_a_get_like_any() {
    let stage = Stage::new(APP, |_| testkit::Script::answer(403, "no"));
    let mut client = stage.http2();
    let fields = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "shop.test"),
        (":path", "/app/socket?x=1"),
        ("sec-websocket-version", "13"),
        ("origin", "http://shop.test"),
    ];
    let stream = client.open_with(&fields, false);
    assert_eq!(client.response(stream).status, 403);
    let question = stage.question();
    assert_eq!(question.headers.all("X-Forwarded-Method"), ["GET"], "as the origin would get it");
    assert_eq!(question.headers.all("X-Forwarded-Uri"), ["/app/socket?x=1"]);
    assert_eq!((question.method.as_str(), question.header("Sec-WebSocket-Key")), ("GET", None));
    stage.origin_is_untouched("it was refused");
    stage.ends_well();
}

#[test]
fn the_service_may_speak_http2() {
    let auth = H2Origin::scripted(H2OriginOptions::new(), |request, _| match request.header("cookie") {
        Some("session=1") => H2Script::answer_with(200, &[("x-auth-user", "alice")], "fine"),
        _ => H2Script::answer_with(302, &[("location", "/login")], "go there"),
    });
    let upstream = format!("upstreams.h2 = {{ endpoints = [\"{}\"], protocol = \"http2\" }}", auth.address());
    let routes = APP.replace("upstream = \"auth\"", "upstream = \"h2\"");
    let stage = Stage::new(&format!("{upstream}\n{routes}"), alice);
    let refused = stage.client().request("POST", "/app/x", &[], b"the body");
    assert_eq!(
        (refused.status, refused.text(), refused.header("Location")),
        (302, "go there", Some("/login"))
    );
    stage.origin_is_untouched("it was refused");
    let answer = stage.http2().request("POST", "/app/x", &[("cookie", "session=1")], b"the body");
    assert_eq!(answer.status, 200);
    assert_eq!((stage.arrived().header("X-Auth-User"), stage.arrived().body.len()), (Some("alice"), 8));
    let question = auth.requests().pop().expect("a question");
    assert_eq!((question.method(), question.path(), question.body.len()), ("GET", "/verify", 0));
    assert_eq!(question.header("x-forwarded-uri"), Some("/app/x"));
    assert_eq!(question.header("x-forwarded-method"), Some("POST"));
    assert_eq!(auth.violations(), [""; 0]);
    stage.ends_well();
}

#[test]
fn a_route_says_how_it_is_asked() {
    let more = r#"
        method = "same"
        upstream_host = "auth.internal"
        request_headers = ["cookie", "X-Tenant"]
    "#;
    let routes = format!("{}{more}", APP.replace("/verify", "/verify?for={host}"));
    let stage = Stage::new(&routes, alice);
    let fields = [
        ("Host", "shop.test"),
        ("Cookie", "session=1"),
        ("X-Tenant", "7"),
        ("Authorization", "Bearer x"),
        ("User-Agent", "test"),
    ];
    assert_eq!(stage.client().request("POST", "/app", &fields, b"the body").status, 200);
    let question = stage.question();
    assert_eq!((question.method.as_str(), question.target.as_str()), ("POST", "/verify?for=shop.test"));
    assert_eq!((question.body.len(), question.header("Content-Length")), (0, Some("0")));
    for (name, values) in [
        ("Host", &["auth.internal"][..]),
        ("X-Forwarded-Host", &["shop.test"]),
        ("Cookie", &["session=1"]),
        ("X-Tenant", &["7"]),
        ("Authorization", &[]),
        ("User-Agent", &[]),
    ] {
        assert_eq!(question.headers.all(name), values, "{name}");
    }
    assert_eq!(question.headers.all("CDN-Loop").len(), 1, "a circle through the auth service is noticed");
    let arrived = stage.arrived();
    assert_eq!(
        (arrived.body.as_slice(), arrived.header("Authorization")),
        (&b"the body"[..], Some("Bearer x"))
    );
    assert_eq!(stage.client().request("HEAD", "/app", &[], b"").status, 200);
    assert_eq!(stage.question().method, "HEAD");
    stage.ends_well();
}

/// A trusted proxy says who its client is, not which request this is.
#[test]
fn a_trusted_proxy_is_believed_as_far_as_by_the_origin() {
    let stage = Stage::new(&format!("server.trusted_proxies = [\"127.0.0.1\"]\n{APP}"), alice);
    let fields = [
        ("X-Forwarded-For", "1.2.3.4"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.test"),
        ("X-Forwarded-Uri", "/public"),
        ("X-Forwarded-Method", "GET"),
        ("X-Auth-User", "evil"),
    ];
    assert_eq!(stage.client().request("POST", "/app/x", &fields, b"").status, 200);
    let (question, arrived) = (stage.question(), stage.arrived());
    for name in ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP"] {
        assert_eq!(question.headers.all(name), arrived.headers.all(name), "{name}");
    }
    assert_eq!(question.headers.all("X-Forwarded-Proto"), ["https"]);
    assert_eq!(question.headers.all("X-Forwarded-Uri"), ["/app/x"]);
    assert_eq!(question.headers.all("X-Forwarded-Method"), ["POST"]);
    assert_eq!(question.headers.all("X-Auth-User"), [""; 0]);
    assert_eq!(arrived.headers.all("X-Auth-User"), ["alice"]);
    stage.ends_well();
}
