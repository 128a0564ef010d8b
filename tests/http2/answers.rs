//! Answers on their way from an origin of HTTP/2 to a client of it.

use testkit::http2::{H2Origin, H2OriginOptions, H2Script};
use testkit::{H2Client, Palisade};

const BINARY: &str = env!("CARGO_BIN_EXE_palisade");

fn proxy(origin: &H2Origin) -> Palisade {
    let address = origin.address();
    let config = format!(
        "[listeners.http]\naddress = \"127.0.0.1:0\"\nhttp2 = true\n\
         [upstreams.origin]\nendpoints = [\"{address}\"]\nprotocol = \"http2\"\n\
         [routes.all]\nupstream = \"origin\"\n"
    );
    Palisade::start(BINARY, &config)
}

/// Whether trailers follow is known behind the last byte only, also of a body whose length was told.
#[test]
fn trailers_follow_a_body_whose_length_was_told() {
    for body in ["abc", ""] {
        let origin = H2Origin::scripted(H2OriginOptions::new(), move |_, _| {
            let length = body.len().to_string();
            let head = H2Script::new().head(200, &[("content-length", &length)], false);
            head.data(body, false).trailers(&[("x-sum", "7")])
        });
        let palisade = proxy(&origin);
        let mut client = H2Client::connect(palisade.address("http"));
        let response = client.get("/");
        assert_eq!((response.status, response.text()), (200, body));
        assert_eq!(response.trailers.get("x-sum"), Some("7"), "body {body:?}");
    }
}
