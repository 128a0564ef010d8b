//! Which requests are asked about, and which filters stand before and behind.

use testkit::Script;

use crate::stage::{APP, Stage, alice};

fn nobody(_: &str) -> Script {
    Script::answer(403, "no")
}

const EVERYWHERE: &str = r#"
    [defaults.forward_auth]
    upstream = "auth"
    path = "/verify"
    timeout = "30s"
    [routes.app]
    path = "/app"
    upstream = "origin"
    [routes.page]
    path = "/page"
    respond = { body = "a page" }
    [routes.old]
    path = "/old"
    redirect = "/new"
    [routes.files]
    path = "/files"
    strip_prefix = true
    files = "."
    [routes.merged]
    path = "/merged"
    merge = { a = { upstream = "origin", path = "/a" } }
    [routes.open]
    path = "/open"
    respond = { body = "for everybody" }
    forward_auth = false
"#;

#[test]
fn defaults_hold_for_whatever_answers() {
    let stage = Stage::new(EVERYWHERE, nobody);
    let mut client = stage.client();
    for path in ["/app", "/page", "/old", "/files/palisade.toml", "/merged"] {
        let answer = client.get(path);
        assert_eq!((answer.status, answer.text()), (403, "no"), "{path}");
        assert_eq!(stage.question().header("X-Forwarded-Uri"), Some(path));
    }
    let asked = stage.auth.requests().len();
    assert_eq!(client.get("/open").text(), "for everybody");
    assert_eq!(stage.auth.requests().len(), asked);
    stage.origin_is_untouched("all were refused");
    stage.ends_well();

    let stage = Stage::new(EVERYWHERE, alice);
    assert_eq!(stage.client().get("/page").text(), "a page");
    assert_eq!(stage.client().get("/old").status, 308);
    assert_eq!(stage.client().get("/files/palisade.toml").status, 200);
}

#[test]
fn what_concerns_everybody_comes_before_the_question() {
    let more = r#"
        [routes.app]
        cors = { origins = ["https://shop.test"] }
        redirects = [{ regex = "^/app/moved$", to = "/app/here" }]
        response_headers = { set = { X-Everywhere = "1" } }
        strip_prefix = true
    "#;
    let routes = APP.replace("[routes.app]", more);
    let stage = Stage::new(&routes, |uri| if uri == "/app/no" { nobody(uri) } else { alice(uri) });
    let mut client = stage.client();
    let preflight = client.request(
        "OPTIONS",
        "/app/no",
        &[("Origin", "https://shop.test"), ("Access-Control-Request-Method", "PUT")],
        b"",
    );
    assert_eq!(preflight.status, 204);
    assert_eq!(client.get("/app/moved").status, 308);
    assert_eq!(stage.auth.requests().len(), 0, "nobody is asked about these");

    let refused = client.request("GET", "/app/no", &[("Origin", "https://shop.test")], b"");
    assert_eq!((refused.status, refused.header("X-Everywhere")), (403, Some("1")));
    assert_eq!(refused.header("Access-Control-Allow-Origin"), Some("https://shop.test"));
    stage.origin_is_untouched("it was refused");

    assert_eq!(client.get("/app/here?x=1").status, 200);
    assert_eq!(
        stage.question().header("X-Forwarded-Uri"),
        Some("/app/here?x=1"),
        "the address of the client"
    );
    assert_eq!(stage.arrived().target, "/here?x=1");
    stage.ends_well();
}

#[test]
fn a_service_behind_its_own_question_is_found_out() {
    let routes =
        APP.replace("upstream = \"auth\"", "upstream = \"itself\"").replace("/verify", "/app/verify");
    let loops = r#"
        listeners.inside.address = "unix:{dir}/inside.sock"
        upstreams.itself.endpoints = ["unix:{dir}/inside.sock"]
    "#;
    let stage = Stage::new(&format!("{loops}{routes}"), alice);
    assert_eq!(stage.client().get("/app/x").status, 502);
    let log = stage.palisade.wait_access_log(2, |_| true);
    assert!(
        log[0].contains("\"target\":\"/app/verify\"") && log[0].contains("\"reason\":\"loop\""),
        "{log:?}"
    );
    assert!(log[1].contains("\"reason\":\"auth_failed\",\"detail\":\"status\""), "{log:?}");
    stage.origin_is_untouched("nobody said yes");
    stage.ends_well();
}

#[test]
fn explain_says_who_is_asked() {
    let stage = Stage::new(
        &format!("{APP}request_headers = [\"Cookie\"]\nresponse_headers = [\"Set-Cookie\"]\n"),
        alice,
    );
    let file = stage.palisade.dir().join("palisade.toml");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_palisade"))
        .args(["explain", "-c", file.to_str().expect("a plain path"), "http://shop.test/app"])
        .output()
        .expect("palisade explain");
    let text = String::from_utf8_lossy(&output.stdout);
    for line in [
        "auth       asks auth, GET /verify with Cookie, within 30s",
        "identity   X-Auth-User, X-Auth-Groups of its answer, never of the client; no pass without X-Auth-User",
        "answer     with Set-Cookie of its answer",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}
