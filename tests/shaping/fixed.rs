//! `respond` and pages of maintenance: answers whose body stands in the configuration.

use testkit::Origin;

use super::stage::Stage;

/// Larger than what the system takes off a proxy for a client that does not read.
const LENGTH: usize = 6 << 20;
const CLIENTS: usize = 16;

#[test]
fn a_large_body_is_in_memory_once_however_many_clients_get_it() {
    let body: String = ('a'..='z').cycle().take(LENGTH).collect();
    let stage = Stage::new(
        Origin::echo(),
        &format!(
            r#"
            [routes.fixed]
            respond = {{ body = "{body}" }}
            [routes.maintenance]
            path = "/maintenance"
            upstream = "origin"
            maintenance = {{ body = "{body}" }}
            "#
        ),
    );
    for (target, status) in [("/", 200), ("/maintenance", 503)] {
        let before = stage.palisade.resident_bytes();
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| stage.client()).collect();
        for client in &mut clients {
            client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let head = client.read_response_to_head();
            assert_eq!(
                (head.status, head.header("Content-Length")),
                (status, Some(LENGTH.to_string().as_str()))
            );
        }
        let grown = stage.palisade.resident_bytes().saturating_sub(before);
        assert!(grown < (CLIENTS * LENGTH / 4) as u64, "{grown} bytes for {CLIENTS} clients");
        drop(clients);
        let answer = stage.get(target, &[("Host", "a")]);
        assert!(answer.text() == body, "another body of {} bytes", answer.text().len());
    }
}

#[test]
fn a_shared_body_is_compressed_and_answered_to_head_like_any_other() {
    let body = "word ".repeat(4000);
    let stage = Stage::new(
        Origin::echo(),
        &format!("[routes.fixed]\nrespond = {{ body = \"{body}\" }}\ncompress = true\n"),
    );
    let coded = stage.get("/", &[("Host", "a"), ("Accept-Encoding", "gzip")]);
    assert_eq!(coded.header("Content-Encoding"), Some("gzip"));
    assert!(coded.body.len() < body.len() / 10);
    let mut client = stage.client();
    let head = client.request("HEAD", "/", &[("Host", "a")], b"");
    assert_eq!(head.header("Content-Length"), Some("20000"));
    assert_eq!(client.request("GET", "/", &[("Host", "a")], b"").text(), body);
}
