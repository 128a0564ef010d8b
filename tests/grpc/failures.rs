//! What a call hears that fails in the proxy, and what the log keeps of it.

use testkit::{Address, Client, H2Client, H2Script, Palisade};

use crate::stage::{CALL, Stage, expect_failed, message};

#[test]
fn each_class_of_failure_has_its_status() {
    let closed = testkit::Origin::echo();
    let gone: Address = closed.address();
    drop(closed);
    let more = format!(
        r#"
        upstreams.gone = {{ endpoints = ["{gone}"], protocol = "http2" }}
        routes.gone = {{ path = "/gone.Service", upstream = "gone" }}
        "#
    );
    let stage = Stage::new(
        |request, _| match request.path() {
            "/test.Service/Reset" => H2Script::new().reset(2),
            _ => H2Script::new().then(testkit::H2Step::Raw(b"this is no frame".repeat(10))),
        },
        &more,
    );
    let cases = [
        ("/none.Service/Get", "12", "no_route", 404),
        ("/gone.Service/Get", "14", "upstream_connect_refused", 502),
        ("/test.Service/Reset", "14", "upstream_reset_stream", 502),
        ("/test.Service/Broken", "14", "upstream_bad_http2", 502),
        ("/test.Service/..%2fa", "13", "path_encoded_slash", 400),
    ];
    for (path, grpc, reason, status) in cases {
        let types = ["application/grpc", "Application/GRPC+proto; a=b"];
        for content_type in types {
            let fields = [("content-type", content_type), ("te", "trailers")];
            let response = stage.client().request("POST", path, &fields, &message(b"x"));
            expect_failed(&response, grpc);
        }
        let lines = stage.palisade.wait_access_log(2, |line| line.contains(path));
        assert!(
            lines[0].contains(reason) && lines[0].contains(&format!("\"status\":{status}")),
            "{}",
            lines[0]
        );
    }
    // Nobody else gets such an answer.
    for (method, fields) in
        [("POST", &[("content-type", "application/grpcx")][..]), ("GET", CALL), ("POST", &[])]
    {
        let response = stage.client().request(method, "/none.Service/Get", fields, b"");
        assert_eq!((response.status, response.header("grpc-status")), (404, None), "{method} {fields:?}");
    }
}

/// By the name of a host that has no servers, and over HTTP/1.1 too.
#[test]
fn a_call_over_http_1_hears_the_same() {
    let config = r#"
        listeners.http = { address = "127.0.0.1:0", http2 = true }
        log.access = "{dir}/access.log"
        routes.one = { host = "one.test", respond = { status = 200 } }
    "#;
    let palisade = Palisade::start(env!("CARGO_BIN_EXE_palisade"), config);
    let response = Client::connect(palisade.address("http")).request("POST", "/a.B/C", &CALL[..1], b"");
    assert_eq!((response.status, response.header("grpc-status")), (200, Some("12")));
    let response = H2Client::connect(palisade.address("http")).request("POST", "/a.B/C", CALL, b"x");
    expect_failed(&response, "12");
}
