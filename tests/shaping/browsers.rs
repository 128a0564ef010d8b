//! Maintenance, and what browsers are told: security fields, CORS, cookies.

use testkit::{Origin, Script};

use super::stage::Stage;

#[test]
fn in_maintenance_only_those_who_work_on_it_get_through() {
    let stage = Stage::new(
        Origin::echo(),
        r#"
        [routes.all]
        upstream = "origin"
        maintenance = { allow = ["192.0.2.0/24"], retry_after = "10m" }
        [routes.mine]
        path = "/mine"
        upstream = "origin"
        maintenance = { allow = ["127.0.0.0/8"] }
        [routes.own]
        path = "/own"
        upstream = "origin"
        maintenance = { body = "<h1>Soon</h1>", content_type = "text/html" }
        [routes.fixed]
        path = "/fixed"
        respond = { body = "here" }
        maintenance = true
        "#,
    );
    let get = |path: &str| stage.get(path, &[("Host", "a"), ("Accept", "text/html")]);
    let answer = get("/");
    assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("600")));
    assert!(answer.text().contains("<!doctype html>"), "{}", answer.text());
    assert_eq!(stage.origin.requests().len(), 0, "nobody asked the upstream");
    assert_eq!(get("/mine").status, 200);
    let answer = get("/own");
    assert_eq!((answer.status, answer.text()), (503, "<h1>Soon</h1>"));
    assert_eq!(
        (answer.header("Content-Type"), answer.header("Retry-After")),
        (Some("text/html"), Some("300"))
    );
    assert_eq!(get("/fixed").status, 503);
    // A body that nobody reads does not break the connection.
    let mut client = stage.client();
    assert_eq!(client.request("POST", "/", &[("Host", "a")], b"some body").status, 503);
    assert_eq!(client.request("GET", "/mine", &[("Host", "a")], b"").status, 200);
}

#[test]
fn security_fields_are_said_unless_the_upstream_says_them() {
    let origin = Origin::scripted(|request, _| match request.target.as_str() {
        "/own" => {
            Script::answer_with(200, &[("X-Frame-Options", "DENY"), ("Referrer-Policy", "no-referrer")], "")
        }
        _ => Script::answer(200, ""),
    });
    let stage = Stage::new(
        origin,
        r#"
        [defaults]
        security_headers = true
        [routes.all]
        upstream = "origin"
        [routes.csp]
        path = "/csp"
        upstream = "origin"
        security_headers = { csp = "default-src 'self'; report-uri /r?{request_id}", referrer_policy = false }
        response_headers = { remove = ["X-Frame-Options"] }
        [routes.off]
        path = "/off"
        upstream = "origin"
        security_headers = false
        "#,
    );
    let get = |path: &str| stage.get(path, &[("Host", "a")]);
    let plain = get("/");
    assert_eq!(plain.header("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(plain.header("X-Frame-Options"), Some("SAMEORIGIN"));
    assert_eq!(plain.header("Referrer-Policy"), Some("strict-origin-when-cross-origin"));
    assert_eq!(plain.header("Strict-Transport-Security"), None, "over plain HTTP it says nothing");
    let own = get("/own");
    assert_eq!(own.header("X-Frame-Options"), Some("DENY"));
    assert_eq!(own.header("Referrer-Policy"), Some("no-referrer"));
    let csp = get("/csp");
    assert!(csp.header("Content-Security-Policy").is_some_and(|value| value.len() > 50));
    assert_eq!((csp.header("X-Frame-Options"), csp.header("Referrer-Policy")), (None, None));
    assert_eq!(get("/off").header("X-Content-Type-Options"), None);
}

const CORS: &str = r#"
    [routes.named]
    upstream = "origin"
    cors = { origins = ["https://app.test", "https://*.team.test"], methods = ["GET", "PUT"], headers = ["X-Token"], expose = ["X-Total"], credentials = true, max_age = "1m" }
    [routes.any]
    path = "/any"
    upstream = "origin"
    cors = true
"#;

fn cors_stage() -> Stage {
    let origin = Origin::scripted(|_, _| {
        let fields = [
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Allow-Credentials", "true"),
            ("X-Total", "7"),
            ("Vary", "Accept"),
        ];
        Script::answer_with(200, &fields, "body")
    });
    Stage::new(origin, CORS)
}

#[test]
fn preflights_are_answered_here() {
    let stage = cors_stage();
    let ask = |path: &str, origin: &str, method: &str, headers: &str| {
        let fields = [
            ("Host", "api.test"),
            ("Origin", origin),
            ("Access-Control-Request-Method", method),
            ("Access-Control-Request-Headers", headers),
        ];
        let fields = if headers.is_empty() { &fields[..3] } else { &fields[..] };
        stage.client().request("OPTIONS", path, fields, b"")
    };
    let answer = ask("/", "https://app.test", "PUT", "x-token, content-type");
    assert_eq!(answer.status, 204);
    for (name, expected) in [
        ("Access-Control-Allow-Origin", "https://app.test"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Allow-Methods", "GET, PUT"),
        ("Access-Control-Allow-Headers", "x-token, content-type"),
        ("Access-Control-Max-Age", "60"),
    ] {
        assert_eq!(answer.header(name), Some(expected), "{name}");
    }
    assert_eq!(ask("/", "https://x.team.test", "GET", "").status, 204);
    for (origin, method, headers) in [
        ("https://evil.test", "GET", ""),
        ("https://app.test.evil.test", "GET", ""),
        ("null", "GET", ""),
        ("https://app.test", "DELETE", ""),
        ("https://app.test", "put", ""),
        ("https://app.test", "GET", "x-other"),
    ] {
        let answer = ask("/", origin, method, headers);
        assert_eq!(answer.status, 403, "{origin} {method} {headers}");
        assert_eq!(answer.header("Access-Control-Allow-Origin"), None);
    }
    let any = ask("/any", "https://anyone.test", "DELETE", "x-whatever");
    assert_eq!((any.status, any.header("Access-Control-Allow-Origin")), (204, Some("*")));
    assert_eq!(any.header("Access-Control-Allow-Credentials"), None);
    assert_eq!(stage.origin.requests().len(), 0, "the upstream was not asked");
    // An OPTIONS that is no preflight is the upstream's.
    let answer =
        stage.client().request("OPTIONS", "/", &[("Host", "api.test"), ("Origin", "https://app.test")], b"");
    assert_eq!((answer.status, answer.text()), (200, "body"));
}

#[test]
fn answers_say_which_pages_may_read_them() {
    let stage = cors_stage();
    let get = |path: &str, origin: &str| stage.get(path, &[("Host", "api.test"), ("Origin", origin)]);
    let answer = get("/", "https://app.test");
    assert_eq!(answer.headers.all("Access-Control-Allow-Origin"), ["https://app.test"]);
    assert_eq!(answer.headers.all("Access-Control-Allow-Credentials"), ["true"]);
    assert_eq!(answer.header("Access-Control-Expose-Headers"), Some("X-Total"));
    assert_eq!(answer.headers.all("Vary"), ["Accept, Origin"]);
    let evil = get("/", "https://evil.test");
    assert_eq!((evil.status, evil.text()), (200, "body"), "it is the browser that keeps it from the page");
    assert_eq!(evil.header("Access-Control-Allow-Origin"), None, "whatever the upstream says");
    assert_eq!(evil.header("Access-Control-Allow-Credentials"), None);
    assert_eq!(evil.headers.all("Vary"), ["Accept, Origin"], "a cache keeps the two apart");
    let none = stage.get("/", &[("Host", "api.test")]);
    assert_eq!(none.header("Access-Control-Allow-Origin"), None);
    assert_eq!(get("/any", "https://anyone.test").headers.all("Access-Control-Allow-Origin"), ["*"]);
    assert_eq!(stage.get("/any", &[("Host", "a")]).headers.all("Access-Control-Allow-Origin"), ["*"]);
}

#[test]
fn cookies_are_for_the_public_name() {
    let origin = Origin::scripted(|_, _| {
        let fields = [
            ("Set-Cookie", "id=1; Domain=app.internal; Path=/app/x; SameSite=None"),
            ("Set-Cookie", "theme=dark"),
        ];
        Script::answer_with(200, &fields, "")
    });
    let stage = Stage::new(
        origin,
        r#"
        [routes.all]
        upstream = "origin"
        cookies = { domain = { "app.internal" = "shop.test" }, path = { "/app" = "/" }, secure = true, http_only = true, same_site = "lax" }
        [routes.auto]
        path = "/auto"
        upstream = "origin"
        cookies = { secure = "auto", domain = { "app.internal" = "" } }
        "#,
    );
    let get = |path: &str| stage.get(path, &[("Host", "shop.test")]);
    assert_eq!(
        get("/").headers.all("Set-Cookie"),
        [
            "id=1; Domain=shop.test; Path=/x; Secure; HttpOnly; SameSite=Lax",
            "theme=dark; Secure; HttpOnly; SameSite=Lax"
        ]
    );
    assert_eq!(get("/auto").headers.all("Set-Cookie"), ["id=1; Path=/app/x; SameSite=None", "theme=dark"]);
}

/// Browsers refuse a `__Host-` or `__Secure-` cookie that does not keep what its name promises.
#[test]
fn no_cookie_is_made_that_its_name_forbids() {
    let cookies = ["__Host-id=1; Path=/; Secure", "__Secure-id=2; Path=/; Secure", "id=3; Path=/; Secure"];
    let origin = Origin::scripted(move |_, _| {
        Script::answer_with(200, &cookies.map(|cookie| ("Set-Cookie", cookie)), "")
    });
    let stage = Stage::new(
        origin,
        r#"
        [routes.off]
        upstream = "origin"
        cookies = { secure = false, path = { "/" = "/shop" } }
        [routes.auto]
        path = "/auto"
        upstream = "origin"
        cookies = { secure = "auto" }
        "#,
    );
    let get = |path: &str| stage.get(path, &[("Host", "shop.test")]);
    assert_eq!(
        get("/").headers.all("Set-Cookie"),
        ["__Host-id=1; Path=/; Secure", "__Secure-id=2; Path=/shop; Secure", "id=3; Path=/shop"]
    );
    assert_eq!(get("/auto").headers.all("Set-Cookie"), [cookies[0], cookies[1], "id=3; Path=/"]);
}
