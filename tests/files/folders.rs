//! Folders: with a slash and without, with an index, and for applications that know their paths themselves.

use std::os::unix::fs::symlink;

use testkit::{Client, Palisade, temp_dir};

use crate::stage::{BINARY, Stage, write};

#[test]
fn a_folder_has_a_slash_and_an_index() {
    let stage = Stage::new(
        r#"index = ["index.htm", "index.html"]"#,
        &[
            ("index.html", "root"),
            ("a/index.htm", "first"),
            ("a/index.html", "second"),
            ("b/x.txt", "x"),
            ("c:d/index.html", "colon"),
            ("c d/index.html", "space"),
        ],
    );
    assert_eq!(stage.get("/").text(), "root");
    assert_eq!(stage.get("/").header("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(stage.get("/a/").text(), "first");
    assert_eq!(stage.get("/b/").status, 404);
    for (target, location) in [
        ("/a", "./a/"),
        ("/a?x=1&y=%20", "./a/?x=1&y=%20"),
        ("//a", "./a/"),
        ("/b/../a", "./a/"),
        ("/%61", "./%61/"),
        // With a colon in front of its first slash it would be read as a scheme.
        ("/c:d", "./c:d/"),
        ("/c%20d", "./c%20d/"),
        ("http://evil.test/a", "./a/"),
    ] {
        let answer = if target.starts_with("http") {
            stage.ask(target, &[("Host", "evil.test")])
        } else {
            stage.get(target)
        };
        assert_eq!((answer.status, answer.header("Location")), (308, Some(location)), "{target}");
    }
}

/// Nothing that a redirect says leads to another host.
#[test]
fn no_redirect_leads_away() {
    let stage = Stage::new("", &[("evil.test/index.html", "x"), ("a/evil.test/index.html", "x")]);
    for target in [
        "//evil.test",
        "///evil.test",
        "/a//evil.test",
        "/a/../evil.test",
        "/./evil.test",
        "/x/..//evil.test",
    ] {
        let answer = stage.get(target);
        assert_eq!(answer.status, 308, "{target}");
        assert_eq!(answer.header("Location"), Some("./evil.test/"), "{target}");
    }
    for target in ["/\\evil.test", "/%5cevil.test", "/evil.test%0d%0aX:y", "/%2fevil.test"] {
        assert_eq!(stage.get(target).status, 400, "{target}");
    }
}

#[test]
fn a_prefix_is_taken_off_and_the_client_hears_nothing_of_it() {
    let dir = temp_dir();
    write(&dir, "www/index.html", "root");
    write(&dir, "www/docs/index.html", "docs");
    write(&dir, "www/users/17/index.html", "user");
    let config = format!(
        r#"
        listeners.http.address = "127.0.0.1:0"
        routes.static = {{ path = "/static", strip_prefix = true, files = "{0}" }}
        routes.moved = {{ path = "/moved", strip_prefix = true, add_prefix = "/docs", files = "{0}" }}
        routes.users = {{ path = "/u", rewrite = {{ regex = "^/u/([0-9]+)", to = "/users/$1" }}, files = "{0}" }}
        routes.front = {{ path_exact = "/", rewrite = {{ regex = "^/$", to = "/docs" }}, files = "{0}" }}
        routes.deep = {{ path = "/deep", rewrite = {{ regex = "^/deep/?$", to = "/docs" }}, files = "{0}" }}
        routes.home = {{ path_exact = "/home", rewrite = {{ regex = "^/home$", to = "/" }}, files = "{0}" }}
        "#,
        dir.join("www").display()
    );
    let palisade = Palisade::start(BINARY, &config);
    let mut client = Client::connect(palisade.address("http"));
    for (target, answer) in [
        ("/static/", Ok("root")),
        ("/static", Err("./static/")),
        ("/static/docs/", Ok("docs")),
        ("/static/docs", Err("./docs/")),
        ("/static/.", Ok("root")),
        ("/static/docs/..", Ok("root")),
        ("/moved", Err("./moved/")),
        ("/moved/", Ok("docs")),
        ("/u/17/", Ok("user")),
        ("/u/17", Err("./17/")),
        ("/home", Ok("root")),
        // What the client asks for has a slash already: another one would be asked for again and again.
        ("/", Ok("docs")),
        ("/deep/", Ok("docs")),
        ("/deep", Err("./deep/")),
    ] {
        let got = client.get(target);
        match answer {
            Ok(text) => assert_eq!((got.status, got.text()), (200, text), "{target}"),
            Err(location) => {
                assert_eq!((got.status, got.header("Location")), (308, Some(location)), "{target}");
            }
        }
    }
}

#[test]
fn a_page_that_knows_its_paths_answers_browsers() {
    let stage = Stage::new(
        r#"spa_fallback = "/app.html", precompressed = true"#,
        &[("app.html", "app"), ("app.html.gz", "gz"), ("real/x.txt", "x")],
    );
    let html = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (target, accept, status) in [
        ("/users/17", Some(html), 200),
        ("/users/", Some(html), 200),
        ("/", Some(html), 200),
        ("/real/", Some(html), 200),
        ("/missing.png", Some("image/avif,image/webp,*/*"), 404),
        ("/api/users", Some("application/json"), 404),
        ("/users/17", None, 404),
        ("/.env", Some("*/*"), 404),
        ("/real/x.txt", Some(html), 200),
    ] {
        let fields: Vec<_> = accept.map(|accept| ("Accept", accept)).into_iter().collect();
        let answer = stage.ask(target, &fields);
        assert_eq!(answer.status, status, "{target} {accept:?}");
        if status == 200 && target != "/real/x.txt" {
            assert_eq!(answer.text(), "app", "{target}");
            assert_eq!(answer.header("Content-Type"), Some("text/html; charset=utf-8"));
            assert_eq!(answer.header("Vary"), Some("Accept, Accept-Encoding"), "{target}");
        }
    }
}

#[test]
fn other_names_are_tried_in_order() {
    let stage = Stage::new(
        r#"try_files = ["{path}.html", "/catch/all.txt"]"#,
        &[("about.html", "about"), ("catch/all.txt", "all"), (".x.html", "hidden"), ("a/b.html", "b")],
    );
    assert_eq!(stage.get("/about").text(), "about");
    assert_eq!(stage.get("/about").header("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(stage.get("/a/b").text(), "b");
    assert_eq!(stage.get("/missing").text(), "all");
    assert_eq!(stage.get("/about.html").text(), "about");
    assert_eq!(stage.get("/.x").status, 404, "what is hidden is not tried");
}

#[test]
fn links_are_followed_as_far_as_the_options_say() {
    let make = |options: &str| {
        let stage = Stage::with(options, "", |www| {
            write(www, "real/a.txt", "inside");
            write(www.parent().unwrap(), "secret.txt", "secret");
            symlink("real/a.txt", www.join("in.txt")).unwrap();
            symlink(www.join("real"), www.join("absolute")).unwrap();
            symlink("../secret.txt", www.join("out.txt")).unwrap();
            symlink("..", www.join("up")).unwrap();
        });
        let told = |target: &str| match stage.get(target) {
            answer if answer.status == 200 => answer.text().to_owned(),
            answer => answer.status.to_string(),
        };
        ["/in.txt", "/absolute/a.txt", "/out.txt", "/up/secret.txt"].map(told)
    };
    assert_eq!(make(""), ["inside", "inside", "404", "404"]);
    assert_eq!(make("symlinks = \"inside\""), ["inside", "inside", "404", "404"]);
    assert_eq!(make("symlinks = \"never\""), ["404", "404", "404", "404"]);
    assert_eq!(make("symlinks = \"follow\""), ["inside", "inside", "secret", "secret"]);
}
