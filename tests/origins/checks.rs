//! Checks of origins that speak HTTP/2.

use testkit::{H2Origin, H2OriginOptions, H2Script, Origin, SOON, poll_until};

use crate::stage::{event, expect_good, proxy};

/// A gRPC answer to a check: this status message, and this status of the call.
fn answer(message: &[u8], status: &'static str) -> H2Script {
    let head = H2Script::new().head(200, &[("content-type", "application/grpc")], false);
    head.data(message, false).trailers(&[("grpc-status", status)])
}

#[test]
fn a_grpc_server_is_asked_about_its_service() {
    type Said = fn() -> H2Script;
    let cases: [(Said, &str); 6] = [
        (|| answer(&[0, 0, 0, 0, 2, 8, 1], "0"), ""),
        (|| answer(&[0, 0, 0, 0, 2, 8, 2], "0"), "says NOT_SERVING"),
        (|| answer(&[0, 0, 0, 0, 2, 8], "0"), "malformed answer"),
        (|| H2Script::new().head(200, &[("grpc-status", "5")], true), "knows no service \"app.Greeter\""),
        (|| H2Script::new().head(200, &[("grpc-status", "12")], true), "has no health service"),
        (|| H2Script::answer(404, "no"), "answered 404"),
    ];
    for (said, trouble) in cases {
        let origin = H2Origin::scripted(H2OriginOptions::new(), move |request, _| match request.method() {
            "POST" => said(),
            _ => H2Script::echo(request),
        });
        let checks =
            "protocol = \"http2\"\nhealth = { grpc = \"app.Greeter\", interval = \"100ms\", fall = 1 }";
        let palisade = proxy(&origin.address(), checks);
        if trouble.is_empty() {
            poll_until(SOON, "checks that pass", || event(&palisade, "check_pass") >= 2.0);
            expect_good(&palisade, 2);
        } else {
            palisade.wait_stderr(&format!("is down: {trouble}"), SOON);
            poll_until(SOON, "no requests", || palisade.client().get("/").status == 503);
        }
        let check =
            origin.requests().into_iter().find(|request| request.method() == "POST").expect("a check");
        assert_eq!(check.path(), "/grpc.health.v1.Health/Check");
        assert_eq!(
            (check.header("te"), check.header("content-type")),
            (Some("trailers"), Some("application/grpc"))
        );
        assert_eq!(check.body, b"\0\0\0\0\x0d\x0a\x0bapp.Greeter");
        assert_eq!(origin.violations(), Vec::<String>::new());
    }
}

#[test]
fn a_check_with_a_path_speaks_what_requests_speak() {
    let origin = H2Origin::echo(H2OriginOptions::new());
    let checks = "protocol = \"http2\"\n\
                  health = { path = \"/status/200?q=1\", host = \"app.test\", body = \"200\", interval = \"100ms\" }";
    let palisade = proxy(&origin.address(), checks);
    poll_until(SOON, "checks that pass", || event(&palisade, "check_pass") >= 2.0);
    let check = &origin.requests()[0];
    assert_eq!((check.path(), check.header(":authority")), ("/status/200?q=1", Some("app.test")));
    assert_eq!(event(&palisade, "check_failure"), 0.0);

    let old = Origin::echo();
    let palisade = proxy(&old.address(), checks);
    palisade.wait_stderr("is down: ", SOON);
    poll_until(SOON, "no requests", || palisade.client().get("/").status == 503);
}
