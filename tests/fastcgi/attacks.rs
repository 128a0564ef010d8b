//! What clients try. After each attack everybody still gets the answer to his own question.

use testkit::FastCgiRequest;

use crate::stage::{Stage, plain};

/// Everything that a server could take for what a client has no say in.
#[test]
fn a_client_cannot_say_what_only_the_proxy_may() {
    let stage = Stage::new(|_, _| plain("yes"));
    let names = [
        "Proxy",
        "PROXY",
        "X-Real-IP",
        "x-real-ip",
        "X_Real_IP",
        "X-Real_IP",
        "X.Real.IP",
        "X-Real.IP",
        "X-Forwarded-For",
        "X_Forwarded_For",
        "X.Forwarded.For",
        "X-Forwarded-Proto",
        "X_Forwarded_Proto",
        "X.Forwarded.Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "Forwarded",
        "Client-Cert",
        "Client_Cert",
        "Client.Cert",
        "Early-Data",
        "SCRIPT_FILENAME",
        "SCRIPT-FILENAME",
        "DOCUMENT_ROOT",
        "REMOTE_ADDR",
        "REMOTE-USER",
        "PHP_VALUE",
        "PHP_ADMIN_VALUE",
        "PHP-ADMIN-VALUE",
        "HTTPS",
        "REDIRECT_STATUS",
        "Content_Type",
        "Content.Length",
        "HTTP_X_REAL_IP",
        "HTTP-HOST",
    ];
    for name in names {
        let mut client = stage.client();
        client.send(format!("GET /a.php HTTP/1.1\r\nHost: a\r\n{name}: 6.6.6.6\r\n{name}: 6.6.6.7\r\n\r\n"));
        let status = client.read_response().status;
        // A name that imitates framing is refused.
        assert!(status == 200 || (status == 400 && name.starts_with("Content")), "{name} {status}");
    }
    for request in stage.server.requests() {
        let told = |param: &str| request.param(param);
        assert_eq!(told("HTTP_PROXY"), None);
        assert_eq!(told("HTTP_X_REAL_IP"), Some("127.0.0.1"));
        assert_eq!(told("HTTP_X_FORWARDED_FOR"), Some("127.0.0.1"));
        assert_eq!(told("HTTP_X_FORWARDED_PROTO"), Some("http"));
        assert_eq!(told("SCRIPT_FILENAME"), Some("/srv/www/a.php"));
        assert_eq!(told("REMOTE_ADDR"), Some("127.0.0.1"));
        // What PHP would make of a name: it has `_` for much.
        let folded =
            |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_ascii_uppercase();
        let mut seen: Vec<String> = request.params.iter().map(|(name, _)| folded(name)).collect();
        seen.sort();
        let count = seen.len();
        seen.dedup();
        assert_eq!(seen.len(), count, "{:?}", request.params);
        let evil: Vec<_> = request.params.iter().filter(|(_, value)| value.contains("6.6.6.")).collect();
        let harmless = |name: &str| {
            name.strip_prefix("HTTP_").is_some_and(|name| {
                ["SCRIPT_FILENAME", "REMOTE_USER", "PHP_ADMIN_VALUE", "HTTPS", "HTTP_HOST"].contains(&name)
            })
        };
        assert!(evil.iter().all(|(name, _)| harmless(name)), "{evil:?}");
    }
    stage.canary();
}

#[test]
fn a_path_never_names_what_is_no_script() {
    let stage = Stage::new(|_, _| plain("yes"));
    let mut client = stage.client();
    for (target, status, reason) in [
        ("/upload/evil.jpg", 404, "no_script"),
        ("/a", 404, "no_script"),
        ("/a.PHP", 404, "no_script"),
        ("/a.php;x", 404, "no_script"),
        ("/a.php%20", 404, "no_script"),
        ("/.php", 404, "no_script"),
        ("/a.phps", 404, "no_script"),
    ] {
        let response = client.get(target);
        assert_eq!(response.status, status, "{target}");
        let line = stage.log_line(&format!("\"{target}\""));
        assert!(line.contains(&format!("\"reason\":\"{reason}\"")), "{line}");
    }
    for target in [
        "/upload/evil.jpg%00.php",
        "/a.php%00",
        "/a.php%0a/x",
        "/..%2fetc/passwd.php",
        "/a%2f..%2f..%2fetc.php",
        "/a%5c..%5cb.php",
        "/%2e%2e/%2e%2e/etc.php",
        "/a.php/%0aX",
    ] {
        let response = stage.client().get(target);
        assert_eq!(response.status, 400, "{target}");
    }
    assert_eq!(stage.server.requests().len(), 0);
    // Whether evil.jpg is a folder only the server knows: docs/fastcgi.md says how it is told to look.
    assert_eq!(stage.client().get("/upload/evil.jpg/x.php").status, 200);
    let asked = stage.server.requests().remove(0);
    assert_eq!(asked.param("SCRIPT_FILENAME"), Some("/srv/www/upload/evil.jpg/x.php"));
    assert_eq!(asked.param("PATH_INFO"), None);
    stage.canary();
}

#[test]
fn more_params_than_a_record_holds_are_refused() {
    let stage = Stage::new(|_, _| plain("yes"));
    stage.canary();
    let connections = stage.server.connections().len();
    // 56 KB in fields, and the query goes twice.
    let fields: String = (0..4).map(|number| format!("X-{number}: {}\r\n", "a".repeat(14_000))).collect();
    let ask = |query: usize| {
        let mut client = stage.client();
        client.send(format!("GET /a.php?{} HTTP/1.1\r\nHost: a\r\n{fields}\r\n", "q".repeat(query)));
        client.read_response().status
    };
    assert_eq!(ask(100), 200);
    let whole = stage.server.requests().pop().unwrap();
    assert_eq!(whole.param("HTTP_X_3").map(str::len), Some(14_000));
    let size = |request: &FastCgiRequest| -> usize {
        let length = |len: usize| if len < 128 { 1 + len } else { 4 + len };
        request.params.iter().map(|(name, value)| length(name.len()) + length(value.len())).sum()
    };
    // Up to the last byte of the record, and one more.
    let fits = 65_535 - size(&whole);
    assert_eq!(ask(100 + fits / 2 - 8), 200);
    let room = 65_535 - size(&stage.server.requests().pop().unwrap());
    assert!(room < 40, "{room}");
    let before = stage.server.requests().len();
    assert_eq!(ask(100 + fits / 2 + 8), 502);
    assert_eq!(ask(7_900), 502);
    let lines = stage.palisade.wait_access_log(2, |line| line.contains("\"reason\":\"params_too_long\""));
    assert_eq!(lines.len(), 2);
    assert_eq!(stage.server.requests().len(), before, "nothing of it was sent");
    stage.canary();
    assert_eq!(stage.server.connections().len(), connections, "and the connection was as good as before");
}

#[test]
fn there_are_no_upgrades() {
    let stage = Stage::new(|_, _| plain("yes"));
    let mut client = stage.client();
    client.send(
        "GET /chat.php HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    assert_eq!(client.read_response().status, 502);
    assert!(stage.log_line("/chat.php").contains("upstream_bad_upgrade"));
    assert_eq!(stage.server.requests().len(), 0);
    stage.canary();
}
