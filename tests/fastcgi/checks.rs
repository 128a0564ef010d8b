//! Active checks speak FastCGI too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use testkit::{FastCgi, Script, fastcgi};

use crate::stage::{SOON, Stage, plain};

#[test]
fn a_check_asks_for_a_path_as_a_script() {
    let status = Arc::new(AtomicU16::new(200));
    let server = {
        let status = status.clone();
        FastCgi::start(move |request, _| match request.param("SCRIPT_NAME") {
            Some("/ping") => {
                let status = status.load(Ordering::SeqCst);
                let complaint = fastcgi::complaint(b"asked");
                let answer = fastcgi::answer(format!("Status: {status}\r\n\r\npong"));
                Script::new().send([complaint, answer].concat())
            }
            _ => plain("yes"),
        })
    };
    let more = format!(
        r#"
        upstreams.checked.endpoints = ["{}"]
        upstreams.checked.protocol = "fastcgi"
        upstreams.checked.fastcgi = {{ root = "/srv/www", params = {{ APP_ENV = "prod" }} }}
        upstreams.checked.health = {{ path = "/ping?full", headers = {{ X-Token = "t" }}, body = "pong", interval = "20ms", fall = 1, rise = 1 }}
        routes.checked = {{ path = "/checked", upstream = "checked" }}
        "#,
        server.address()
    );
    let stage = Stage::before(server, &more);
    testkit::poll_until(SOON, "a check", || !stage.server.requests().is_empty());
    let request = stage.server.requests().remove(0);
    for (name, value) in [
        ("REQUEST_METHOD", "GET"),
        ("SCRIPT_NAME", "/ping"),
        ("SCRIPT_FILENAME", "/srv/www/ping"),
        ("REQUEST_URI", "/ping?full"),
        ("QUERY_STRING", "full"),
        ("HTTP_X_TOKEN", "t"),
        ("HTTP_USER_AGENT", "palisade-health"),
        ("APP_ENV", "prod"),
        ("REDIRECT_STATUS", "200"),
    ] {
        assert_eq!(request.param(name), Some(value), "{name}");
    }
    assert_eq!(stage.client().get("/checked/a.php").text(), "yes");
    status.store(500, Ordering::SeqCst);
    testkit::poll_until(SOON, "it is out", || stage.client().get("/checked/a.php").status == 503);
    status.store(200, Ordering::SeqCst);
    testkit::poll_until(SOON, "it is back", || stage.client().get("/checked/a.php").status == 200);
    assert_eq!(stage.server.violations(), [""; 0]);
}
