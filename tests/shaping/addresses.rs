//! Redirects, rewrites and the redirects of the upstream.

use testkit::{Client, Origin, Palisade, Script};

use super::stage::Stage;

/// Status and location of the answer to a GET.
#[track_caller]
fn sent_to(stage: &Stage, host: &str, target: &str) -> (u16, Option<String>) {
    let answer = stage.get(target, &[("Host", host)]);
    (answer.status, answer.header("Location").map(str::to_owned))
}

#[test]
fn paths_that_are_elsewhere_are_redirected_and_others_go_on() {
    let stage = Stage::new(
        Origin::echo(),
        r#"
        [routes.all]
        upstream = "origin"
        redirects = [
          { regex = "^/blog/([0-9]+)/(?<slug>.*)$", to = "/posts/$slug?year=$1", status = 301 },
          { regex = "^/docs(/.*)?$", to = "https://docs.{host}$1{query}" },
          { regex = "^/out/(.*)$", to = "/$1", status = 302 },
        ]
        "#,
    );
    for (target, status, to) in [
        ("/blog/2024/a-b", 301, "/posts/a-b?year=2024"),
        ("/docs/x?y=z", 308, "https://docs.shop.test/x?y=z"),
        ("/docs", 308, "https://docs.shop.test"),
        // Not to another host.
        ("/out//evil.test/", 302, "/evil.test/"),
        ("/out/%2e%2e/evil", 200, ""),
    ] {
        let (told, location) = sent_to(&stage, "shop.test", target);
        assert_eq!((told, location.as_deref().unwrap_or("")), (status, to), "{target}");
    }
    assert_eq!(stage.get("/docsy", &[("Host", "shop.test")]).status, 200);
    assert_eq!(stage.arrived().target, "/docsy");
}

/// Whatever a client writes, the host of a redirect is the one that the rule names.
#[test]
fn no_value_leads_to_a_host_of_its_own() {
    let stage = Stage::new(
        Origin::echo(),
        r#"
        [routes.target]
        path = "/t"
        redirect = "{target}"
        [routes.path]
        path = "/p"
        redirect = "{path}/x"
        [routes.rules]
        upstream = "origin"
        redirects = [
          { regex = "^/docs(.*)$", to = "https://docs.test$1" },
          { regex = "^/tenant/([^/]*)/(.*)$", to = "https://$1.test/$2" },
          { regex = "^/after$", to = "https://docs.test{query.to}" },
          { regex = "^/same(.*)$", to = "//docs.test$1" },
          { regex = "^/login(.*)$", to = "/in?next=https://docs.test$1" },
          { regex = "^/port(.*)$", to = "https://docs.test:8443$1" },
        ]
        "#,
    );
    for (target, to) in [
        ("//t", "/t"),
        ("///t?x", "/t?x"),
        ("/t", "/t"),
        ("//p", "/p/x"),
        ("/docs/a?b", "https://docs.test/a"),
        ("/docs", "https://docs.test"),
        ("/docs.evil.test/a", "https://docs.test/.evil.test/a"),
        ("/docs@evil.test/a", "https://docs.test/@evil.test/a"),
        ("/docs:80@evil.test", "https://docs.test/:80@evil.test"),
        ("/docsx/a", "https://docs.test/x/a"),
        ("/tenant/acme/a/b", "https://acme.test/a/b"),
        ("/tenant/a@evil/b", "https://a%40evil.test/b"),
        ("/after?to=@evil.test", "https://docs.test/@evil.test"),
        ("/after?to=%2F.evil", "https://docs.test/%2F.evil"),
        ("/same.evil.test", "//docs.test/.evil.test"),
        ("/same/a", "//docs.test/a"),
        // Not its own host: what is done with a parameter is for the other side to say.
        ("/login.evil.test", "/in?next=https://docs.test.evil.test"),
        ("/port@evil.test", "https://docs.test:8443/@evil.test"),
        ("/port/a", "https://docs.test:8443/a"),
    ] {
        let (status, location) = sent_to(&stage, "shop.test", target);
        assert_eq!((status, location.as_deref()), (308, Some(to)), "{target}");
    }
}

#[test]
fn an_address_has_one_spelling() {
    let stage = Stage::new(
        Origin::echo(),
        r#"
        [routes.shop]
        hosts = ["shop.test", "www.shop.test"]
        upstream = "origin"
        www = "remove"
        trailing_slash = "remove"
        [routes.pages]
        host = "pages.test"
        upstream = "origin"
        trailing_slash = "add"
        strip_prefix = "/site"
        "#,
    );
    let moved = |to: &str| (308, Some(to.to_owned()));
    assert_eq!(sent_to(&stage, "www.shop.test:8080", "/a?b"), moved("http://shop.test:8080/a?b"));
    assert_eq!(sent_to(&stage, "www.shop.test", "/a/?b"), moved("http://shop.test/a?b"));
    assert_eq!(sent_to(&stage, "shop.test", "/a/"), moved("/a"));
    assert_eq!(sent_to(&stage, "shop.test", "/a"), (200, None));
    assert_eq!(sent_to(&stage, "shop.test", "/"), (200, None));
    assert_eq!(sent_to(&stage, "pages.test", "/site/a"), moved("/site/a/"));
    assert_eq!(sent_to(&stage, "pages.test", "/site/a.css"), (200, None));
    assert_eq!(sent_to(&stage, "pages.test", "/site/a/"), (200, None));
    assert_eq!(stage.arrived().target, "/a/");
}

#[test]
fn rewrites_change_path_and_query() {
    let stage = Stage::new(
        Origin::echo(),
        r#"
        [routes.rules]
        upstream = "origin"
        rewrite = [
          { regex = "^/u/([^/]*)$", to = "/user?id=$1" },
          { regex = "^/tenant/(.*)$", to = "/{host}/$1" },
          { regex = "^/bare$", to = "/plain?" },
        ]
        [routes.prefix]
        path = "/api"
        upstream = "origin"
        strip_prefix = true
        add_prefix = "/v2"
        "#,
    );
    for (target, arrived) in [
        ("/u/7", "/user?id=7"),
        ("/u/7?page=2", "/user?id=7&page=2"),
        ("/u/7&admin=1", "/user?id=7%26admin%3D1"),
        ("/tenant/x?q", "/shop.test/x?q"),
        ("/bare?secret=1", "/plain"),
        ("/other?q", "/other?q"),
        ("/api/x?q", "/v2/x?q"),
        ("/api", "/v2/"),
    ] {
        assert_eq!(stage.get(target, &[("Host", "shop.test")]).status, 200, "{target}");
        assert_eq!(stage.arrived().target, arrived, "{target}");
    }
}

#[test]
fn the_upstreams_own_name_is_the_clients_in_redirects() {
    let origin = Origin::scripted(|request, _| {
        let wanted = request.headers.get("X-Location").unwrap_or("/").to_owned();
        Script::answer_with(302, &[("Location", wanted.as_str())], "")
    });
    let own = origin.address().to_string();
    let stage = Stage::new(
        origin,
        r#"
        [routes.app]
        path = "/app"
        upstream = "origin"
        strip_prefix = true
        upstream_host = "app.internal:9000"
        [routes.all]
        path = "/all"
        upstream = "origin"
        strip_prefix = true
        rewrite_location = "all"
        [routes.untouched]
        path = "/raw"
        upstream = "origin"
        rewrite_location = false
        [routes.fixed]
        path = "/fixed"
        redirect = "http://app.internal:9000/x"
        "#,
    );
    let told = |target: &str, location: &str| {
        let answer = stage.get(target, &[("Host", "Shop.Test:8443"), ("X-Location", location)]);
        answer.header("Location").expect("a location").to_owned()
    };
    for (target, location, expected) in [
        ("/app/x", "http://OWN/login?a", "http://Shop.Test:8443/app/login?a"),
        ("/app/x", "http://app.internal:9000/login", "http://Shop.Test:8443/app/login"),
        ("/app/x", "http://elsewhere.test/login", "http://elsewhere.test/login"),
        ("/app/x", "/login", "/login"),
        ("/all/x", "/login", "/all/login"),
        ("/all/x", "//elsewhere.test/login", "//elsewhere.test/login"),
        ("/raw", "http://OWN/login", "http://OWN/login"),
        ("/fixed", "", "http://app.internal:9000/x"),
    ] {
        let (location, expected) = (location.replace("OWN", &own), expected.replace("OWN", &own));
        assert_eq!(told(target, &location), expected, "{target} {location}");
    }
}

#[test]
fn the_scheme_of_a_redirect_is_the_clients() {
    let authority = testkit::Authority::new("test root");
    let dir = testkit::temp_dir();
    let files = authority.issue(testkit::Leaf::server(&["shop.test"])).write_to(&dir, "shop");
    let config = format!(
        r#"
        [listeners.https]
        address = "127.0.0.1:0"
        tls = true
        [certificates.shop]
        certificate = "{}"
        key = "{}"
        [routes.all]
        hosts = ["shop.test", "www.shop.test"]
        redirect = "{{scheme}}://new.test{{path}}?{{tls.version}}"
        security_headers = true
        "#,
        files.certificate.display(),
        files.key.display()
    );
    let palisade = Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config);
    let tls = testkit::TlsClient::trusting(&authority, "shop.test");
    let mut client = Client::connect_tls(palisade.address("https"), &tls);
    let answer = client.request("GET", "/a", &[("Host", "shop.test")], b"");
    assert_eq!(answer.header("Location"), Some("https://new.test/a?TLSv1.3"));
    assert_eq!(answer.header("Strict-Transport-Security"), Some("max-age=63072000"));
}

/// TLS that ends at a proxy of ours before this one is the client's all the same; nobody else may claim it.
#[test]
fn the_scheme_is_the_clients_as_a_trusted_proxy_tells_it() {
    let origin = Origin::scripted(|request, _| {
        let host = request.header("Host").unwrap_or_default().to_owned();
        let own = format!("http://{host}/there");
        Script::answer_with(302, &[("Location", &own), ("Set-Cookie", "a=b")], "")
    });
    for (trusted, told, scheme) in [
        (true, "https", "https"),
        (true, "HTTPS, http", "https"),
        (true, "http", "http"),
        (true, "nonsense", "http"),
        (false, "https", "http"),
    ] {
        let config = format!(
            r#"
            server.trusted_proxies = [{}]
            listeners.http.address = "127.0.0.1:0"
            upstreams.origin.endpoints = ["{}"]
            [routes.all]
            upstream = "origin"
            upstream_host = "inside.test"
            cookies = {{ secure = "auto" }}
            response_headers = {{ set = {{ X-Scheme = "{{scheme}}" }} }}
            [routes.spelled]
            host = "bare.test"
            upstream = "origin"
            www = "add"
            "#,
            if trusted { r#""127.0.0.1""# } else { "" },
            origin.address()
        );
        let palisade = Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config);
        let ask = |host| {
            let fields = [("Host", host), ("X-Forwarded-Proto", told)];
            Client::connect(palisade.address("http")).request("GET", "/", &fields, b"")
        };
        let answer = ask("shop.test");
        let secure = if scheme == "https" { "a=b; Secure" } else { "a=b" };
        assert_eq!(answer.header("X-Scheme"), Some(scheme), "{trusted} {told}");
        assert_eq!(answer.header("Set-Cookie"), Some(secure), "{trusted} {told}");
        assert_eq!(answer.header("Location"), Some(format!("{scheme}://shop.test/there").as_str()));
        assert_eq!(ask("bare.test").header("Location"), Some(format!("{scheme}://www.bare.test/").as_str()));
    }
}
