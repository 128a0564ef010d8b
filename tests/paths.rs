//! Paths on their way through the proxy: a rule and the origin must never see two different ones.

use testkit::{Client, Origin, Palisade, Script, canary, canary_on};

// Row 40

/// Every target either meets the rule for `/admin`, is refused, or reaches the origin as a path that not even
/// a lenient origin takes for one under `/admin`.
#[test]
fn no_spelling_gets_around_a_rule() {
    let story = Story::start(r#"routes.admin = { path = "/admin", respond = { status = 403 } }"#);
    for target in DISGUISES {
        let mut client = story.client();
        let before = story.origin.requests().len();
        client.send([b"GET ", *target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
        let response = client.read_response();
        let shown = target.escape_ascii();
        match response.status {
            403 | 400 => assert_eq!(story.origin.requests().len(), before, "{shown}"),
            200 => {
                let seen = story.origin.requests().pop().unwrap().target;
                for reading in lenient_readings(&seen) {
                    assert!(
                        !reading.starts_with("/admin/"),
                        "{shown} arrives as {seen}, which is {reading} to some"
                    );
                }
            }
            status => panic!("{shown}: {status}"),
        }
        if response.header("Connection") != Some("close") {
            canary_on(&mut client, &story.origin);
        }
        canary(story.palisade.address("http"), &story.origin);
    }
}

/// Which of the three it is matters too.
#[test]
fn a_path_has_one_canonical_form() {
    let story = Story::start(r#"routes.admin = { path = "/admin", respond = { status = 403 } }"#);
    for (target, outcome) in [
        ("/admin", Ok("")),
        ("/admin/", Ok("")),
        ("/admin/x", Ok("")),
        ("/admin?x", Ok("")),
        ("/admin;x=1", Ok("")),
        ("/%61dmin", Ok("")),
        ("/%61%64%6d%69%6e", Ok("")),
        ("/a/../admin", Ok("")),
        ("/a/%2e%2e/admin", Ok("")),
        ("/a/.%2E/admin", Ok("")),
        ("/./admin", Ok("")),
        ("/%2e/admin", Ok("")),
        ("//admin", Ok("")),
        ("///admin//", Ok("")),
        ("/a/b/../../admin/", Ok("")),
        ("http://a/../admin", Err("path_above_root")),
        ("/../admin", Err("path_above_root")),
        ("/%2e%2e/admin", Err("path_above_root")),
        ("/admin%2f", Err("path_encoded_slash")),
        ("/a/..%2fadmin", Err("path_encoded_slash")),
        ("/a/..%2Fadmin", Err("path_encoded_slash")),
        ("/a/..%5cadmin", Err("path_backslash")),
        ("/admin%00.css", Err("path_control_byte")),
        ("/admin%0d%0aX:y", Err("path_control_byte")),
        ("/admin%7f", Err("path_control_byte")),
        ("/a/..;/admin", Err("path_dot_parameter")),
        ("/a/..;x=1/admin", Err("path_dot_parameter")),
        ("/.;/admin", Err("path_dot_parameter")),
        ("/%c0%afadmin", Err("path_overlong_escape")),
        ("/%c0%ae%c0%ae/admin", Err("path_overlong_escape")),
        ("/administrator", Ok("/administrator")),
        ("/ADMIN", Ok("/ADMIN")),
        ("/%2561dmin", Ok("/%2561dmin")),
        ("/x/%7euser/%e2%82%ac", Ok("/x/~user/%E2%82%AC")),
        ("/x//y/./z/", Ok("/x/y/z/")),
        ("/x/..", Ok("/")),
        ("/x?/../admin", Ok("/x?/../admin")),
        ("/x?q=%2f%00%zz", Err("bad_target")),
        ("/x?q=%2f%00", Ok("/x?q=%2f%00")),
    ] {
        let mut client = story.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let response = client.read_response();
        match outcome {
            Ok("") => assert_eq!(response.status, 403, "{target}"),
            Ok(canonical) => {
                assert_eq!(response.status, 200, "{target}");
                assert_eq!(story.origin.requests().pop().unwrap().target, canonical, "{target}");
            }
            Err(reason) => {
                assert_eq!(
                    (response.status, response.header("Connection")),
                    (400, Some("close")),
                    "{target}"
                );
                assert_eq!(client.read_to_end(), b"");
                let reason = format!("\"reason\":\"{reason}\"");
                story.palisade.wait_access_log(1, |line| line.contains(target) && line.contains(&reason));
            }
        }
    }
    canary(story.palisade.address("http"), &story.origin);
}

// Row 41

#[test]
fn a_prefix_is_taken_off_by_whole_segments() {
    let story = Story::start(
        r#"
        routes.api = { path = "/api", upstream = "origin", strip_prefix = true }
        routes.letter = { path = "/%C4%B0", upstream = "origin", strip_prefix = true }
        "#,
    );
    for (target, arrives) in [
        ("/api", "/"),
        ("/api/", "/"),
        ("/api/x/y?z", "/x/y?z"),
        ("/api//x", "/x"),
        ("/api/./x", "/x"),
        ("/%61pi/x", "/x"),
        ("/api;v=1/x", "/x"),
        // Another segment is another path, however alike it begins.
        ("/apis/x", "/apis/x"),
        ("/api./foo", "/api./foo"),
        ("/api../foo", "/api../foo"),
        ("/api%20/admin", "/api%20/admin"),
        ("/API/x", "/API/x"),
        // Letters whose lower case has another length in bytes.
        ("/%C4%B0/x", "/x"),
        ("/%c4%b0/x", "/x"),
        ("/%C8%BA/x", "/%C8%BA/x"),
        ("/i%CC%87/x", "/i%CC%87/x"),
    ] {
        assert_eq!(story.arrives(target), arrives, "{target}");
    }
    assert_eq!(story.client().get("/api/../../admin").status, 400);
    assert_eq!(story.client().get("/api/%2e%2e/%2e%2e/admin").status, 400);
    assert_eq!(story.arrives("/api/../admin"), "/admin", "resolved before the prefix is looked for");
    canary(story.palisade.address("http"), &story.origin);
}

#[test]
fn a_rewrite_makes_a_canonical_path_or_none() {
    let story = Story::start(
        r#"
        routes.users = { path = "/u", upstream = "origin", rewrite = { regex = "^/u/([0-9]+)$", to = "/users/$1" } }
        routes.tail = { path = "/t", upstream = "origin", rewrite = { regex = "^/t/(.*)$", to = "/$1" } }
        routes.glue = { path = "/g", upstream = "origin", rewrite = { regex = "^/g/([^/]*)/", to = "/$1" } }
        "#,
    );
    for (target, arrives) in [
        ("/u/17?q", "/users/17?q"),
        ("/u/x", "/u/x"),
        ("/t/a/b", "/a/b"),
        ("/t/", "/"),
        ("/g/.%2e/./x", "/x"),
        ("/g/a/b", "/ab"),
    ] {
        assert_eq!(story.arrives(target), arrives, "{target}");
    }
    // Two harmless segments glued together are `..`, and two names a third.
    for target in ["/g/./%2e", "/g/.x/..", "/t//", "/g//a"] {
        let status = story.client().get(target).status;
        assert!(status == 200 || status == 400, "{target}: {status}");
    }
    for request in story.origin.requests() {
        let path = request.target.split('?').next().unwrap();
        assert!(path.starts_with('/') && !path.contains("//") && !path.contains("/."), "{path}");
    }
    canary(story.palisade.address("http"), &story.origin);
}

// Row 42

#[test]
fn what_no_uri_holds_is_refused() {
    let story = Story::start("");
    for target in [
        &b"/p#/admin"[..],
        b"/p?x#y",
        b"#",
        b"/%zz",
        b"/%",
        b"/%4",
        b"/p?%zz",
        b"/a b",
        b"/a\tb",
        b"/\x01",
        b"/\x7f",
        b"/\x80",
        b"/\xff",
        b"/\xc3\xa9",
        b"/p?\xc3\xa9",
        b"\\admin",
        b"/\\admin",
        b"/a\\..\\admin",
        b"p",
        b"../p",
        b"?p",
        b"",
    ] {
        let mut client = story.client();
        client.send([b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
        let response = client.read_response();
        assert_eq!(
            (response.status, response.header("Connection")),
            (400, Some("close")),
            "{}",
            target.escape_ascii()
        );
        assert_eq!(client.read_to_end(), b"", "{}", target.escape_ascii());
        canary(story.palisade.address("http"), &story.origin);
    }
    assert!(story.origin.requests().iter().all(|request| request.target.starts_with("/canary-")));
    assert_eq!(story.origin.unclaimed_bytes(), 0);
}

// Redirects, and row 38

#[test]
fn a_redirect_keeps_what_its_template_names() {
    let story = Story::start(
        r#"
        routes.whole = { path = "/whole", redirect = "https://{host}{path}{query}" }
        routes.path = { path = "/path", redirect = { to = "/new{path}", status = 301 } }
        routes.fixed = { path_exact = "/fixed", redirect = { to = "https://new.test/", status = 303 } }
        "#,
    );
    for (target, status, location) in [
        ("/whole/a%20b?x=1&y", 308, "https://shop.test/whole/a%20b?x=1&y"),
        ("/whole/./a//b?", 308, "https://shop.test/whole/a/b?"),
        ("/path/x?y", 301, "/new/path/x"),
        ("/fixed", 303, "https://new.test/"),
    ] {
        let mut client = story.client();
        let response = client.request("GET", target, &[("Host", "Shop.Test:8080")], b"");
        assert_eq!((response.status, response.headers.all("Location")), (status, vec![location]), "{target}");
        canary_on(&mut client, &story.origin);
    }
    // Without a host there is nothing to fill in.
    let mut client = story.client();
    client.send("GET /whole HTTP/1.0\r\n\r\n");
    assert_eq!(client.read_response().status, 400);
}

#[test]
fn no_line_break_gets_from_a_request_into_an_answer_or_a_log() {
    let story =
        Story::start(r#"routes.whole = { path = "/whole", redirect = "https://{host}{path}{query}" }"#);
    for target in [
        "/whole/x%0d%0aSet-Cookie:a=b",
        "/whole/x%0D%0A%0D%0Abody",
        "/whole/x%0aSet-Cookie:a=b",
        "/whole/x%0dSet-Cookie:a=b",
        "/whole/%00",
        "/whole/x%E5%98%8A%E5%98%8DSet-Cookie:a=b",
        "/whole/x%250d%250aSet-Cookie:a=b",
        "/whole?x%0d%0aSet-Cookie:a=b",
    ] {
        let mut client = story.client();
        let response = client.get(target);
        assert_eq!(response.header("Set-Cookie"), None, "{target}");
        match response.status {
            400 => assert_eq!(response.header("Location"), None),
            308 => assert!(response.headers.all("Location").len() == 1, "{target}: {}", response.head),
            status => panic!("{target}: {status}"),
        }
        let line = &story.palisade.wait_access_log(1, |line| line.contains(target))[0];
        assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    }
    let mut client = story.client();
    client.send("GET /whole HTTP/1.1\r\nHost: a%0d%0aSet-Cookie:a=b\r\n\r\n");
    assert_eq!(client.read_response().status, 400);
    canary(story.palisade.address("http"), &story.origin);
}

// The stage

struct Story {
    palisade: Palisade,
    origin: Origin,
}

impl Story {
    fn start(routes: &str) -> Story {
        let origin = Origin::scripted(|request, _| {
            if request.target.starts_with("/canary-") {
                Script::echo(request)
            } else {
                Script::answer(200, &request.target)
            }
        });
        let config = format!(
            r#"
            listeners.http.address = "127.0.0.1:0"
            log.access = "{{dir}}/access.log"
            server.workers = 1
            upstreams.origin.endpoints = ["{}"]
            routes.all.upstream = "origin"
            {routes}
            "#,
            origin.address()
        );
        Story { palisade: Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config), origin }
    }

    fn client(&self) -> Client {
        Client::connect(self.palisade.address("http"))
    }

    /// The target that the origin gets.
    #[track_caller]
    fn arrives(&self, target: &str) -> String {
        let mut client = self.client();
        let response = client.get(target);
        assert_eq!(response.status, 200, "{target}");
        canary_on(&mut client, &self.origin);
        response.text().to_owned()
    }
}

/// What a careless origin may take a path for: as it is or with its escapes decoded, in either case with
/// backslashes, semicolons and zero bytes understood and dot segments resolved. Each ends in a slash.
fn lenient_readings(target: &str) -> Vec<String> {
    let path = target.split('?').next().unwrap().as_bytes().to_vec();
    let decoded = decode(&path);
    [path, decoded].iter().map(|path| resolve(&String::from_utf8_lossy(path))).collect()
}

fn decode(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let escape =
            tail.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match (byte, escape) {
            (b'%', Some(value)) => {
                decoded.push(value);
                rest = &tail[2..];
            }
            _ => decoded.push(*byte),
        }
    }
    decoded
}

fn resolve(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    // A zero byte ends a string in C, a semicolon a segment in Java.
    let path = path.split('\0').next().unwrap().replace('\\', "/");
    for segment in path.split('/').map(|segment| segment.split(';').next().unwrap()) {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    format!("/{}/", segments.join("/"))
}

const DISGUISES: &[&[u8]] = &[
    b"/admin",
    b"/admin/",
    b"/admin/x",
    b"/a/../admin",
    b"/%61dmin",
    b"/%61%64%6D%69%6E",
    b"/admin%2f",
    b"/admin%2Fx",
    b"//admin",
    b"///admin",
    b"/./admin",
    b"/a/..%2fadmin",
    b"/a/%2e%2e/admin",
    b"/a/%2e%2e%2fadmin",
    b"/a/.%2e/admin",
    b"/%2e/admin",
    b"/%2e%2e/admin",
    b"/../admin",
    b"/%2561dmin",
    b"/%252e%252e/admin",
    b"/admin;x=1",
    b"/admin;/x",
    b"/;/admin",
    b"/;x/admin",
    b"/a;/../admin",
    b"/a/..;/admin",
    b"/.;/admin",
    b"\\admin",
    b"/\\admin",
    b"/a\\..\\admin",
    b"/a/..\\admin",
    b"/%5cadmin",
    b"/a/..%5cadmin",
    b"/admin%5c",
    b"/admin%00.css",
    b"/admin%00",
    b"/%00/admin",
    b"/admin%20",
    b"/admin%09",
    b"/admin.",
    b"/admin..",
    b"/\xef\xbd\x81dmin",
    b"/%ef%bd%81dmin",
    b"/%c1%a1dmin",
    b"/%c0%af/admin",
    b"/%c0%afadmin",
    b"/%c0%ae%c0%ae/admin",
    b"/%e0%80%af/admin",
    b"/%f0%80%80%af/admin",
    b"/%u0061dmin",
    b"/%2fadmin",
    b"/%2Fadmin",
    b"/a//../admin",
    b"/a/b/../..//admin",
    b"/admin#",
    b"/#/admin",
    b"/admin%23",
    b"/admin%3fx",
    b"/admin%3bx",
    b"/x/../%61dmin/./",
    b"http://a/admin",
    b"http://a//admin",
    b"http://a/./admin",
    b"HTTP://A/%61dmin",
    b"http://a/x/../admin",
    b"/admin?",
    b"/admin?x",
    b"/?/../admin",
    b"/a%2e%2e/admin",
    b"/...//admin",
    b"/.../admin",
    b"/..%00/admin",
    b"/%2e%00/admin",
    b"/a/%2e%2e;/admin",
    b"/admin%0a",
    b"/%0aadmin",
    b"/%0d/admin",
    b"/\tadmin",
    b"/ admin",
    b"/a/%2e./admin",
    b"/a/.%252e/admin",
    b"/admin%252f",
    b"/admin%ff",
    b"/%ADmin",
    b"/admin/..;/x",
    b"/admin/../admin",
    b"*",
    b"/*",
];
