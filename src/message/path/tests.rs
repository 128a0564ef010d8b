use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn canonical(path: &str) -> Result<String, PathError> {
    let mut out = b"stale".to_vec();
    match canonicalise(path.as_bytes(), &mut out)? {
        Canonical::Same => Ok(path.to_owned()),
        Canonical::Changed => Ok(String::from_utf8(out).unwrap()),
    }
}

#[test]
fn equal_paths_get_one_spelling() {
    for (received, expected) in [
        ("/", "/"),
        ("*", "*"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("/.well-known/x", "/.well-known/x"),
        ("/...", "/..."),
        ("/a.b..c", "/a.b..c"),
        ("/%61dmin", "/admin"),
        ("/%7euser/%41", "/~user/A"),
        ("/%e2%82%ac", "/%E2%82%AC"),
        ("/a%3bb", "/a%3Bb"),
        ("/a%20b", "/a%20b"),
        ("/a;b=1/c", "/a;b=1/c"),
        ("/%2561dmin", "/%2561dmin"),
        ("/%252e%252e/x", "/%252e%252e/x"),
        ("/a/../admin", "/admin"),
        ("/a/%2e%2e/admin", "/admin"),
        ("/a/.%2E/admin", "/admin"),
        ("/./admin", "/admin"),
        ("/%2e/admin", "/admin"),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/a/..", "/"),
        ("//admin", "/admin"),
        ("/a//b///", "/a/b/"),
        ("/a//../b", "/b"),
    ] {
        assert_eq!(canonical(received).as_deref(), Ok(expected), "{received}");
    }
}

#[test]
fn what_has_two_readings_is_refused() {
    for (received, error) in [
        ("", PathError::NotAbsolute),
        ("admin", PathError::NotAbsolute),
        ("*a", PathError::NotAbsolute),
        ("\\admin", PathError::NotAbsolute),
        ("/a/..%2fadmin", PathError::EncodedSlash),
        ("/admin%2F", PathError::EncodedSlash),
        ("/a\\..\\admin", PathError::Backslash),
        ("/a%5cadmin", PathError::Backslash),
        ("/admin%00.css", PathError::ControlByte),
        ("/a%0d%0aSet-Cookie:a=b", PathError::ControlByte),
        ("/a%7f", PathError::ControlByte),
        ("/a\r\n", PathError::ControlByte),
        ("/a b", PathError::BadByte),
        ("/p#/admin", PathError::BadByte),
        ("/p?x", PathError::BadByte),
        ("/ａdmin", PathError::BadByte),
        ("/%zz", PathError::BadEscape),
        ("/%4", PathError::BadEscape),
        ("/%u0061", PathError::BadEscape),
        ("/%c0%ae%c0%ae/x", PathError::OverlongEscape),
        ("/a%c0%af..", PathError::OverlongEscape),
        ("/a%e0%80%af", PathError::OverlongEscape),
        ("/..", PathError::AboveRoot),
        ("/a/../../b", PathError::AboveRoot),
        ("/a//../../b", PathError::AboveRoot),
        ("/a/..;/admin", PathError::DotParameter),
        ("/a/.;x/admin", PathError::DotParameter),
        ("/a/%2e%2e%3bx/admin", PathError::DotParameter),
    ] {
        assert_eq!(canonical(received), Err(error), "{received}");
    }
}

/// What a careless origin makes of a path: decodes everything once, takes `\` for `/`, cuts parameters and
/// what follows a NUL, merges slashes, resolves dots and stops at the root.
fn lenient(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match tail {
            [high, low, after @ ..]
                if *byte == b'%' && hex_value(*high).is_some() && hex_value(*low).is_some() =>
            {
                bytes.push(hex_value(*high).unwrap() << 4 | hex_value(*low).unwrap());
                rest = after;
            }
            _ => bytes.push(*byte),
        }
    }
    let text = String::from_utf8_lossy(&bytes).replace('\\', "/");
    let text = text.split(['\0', '?', '#']).next().unwrap();
    let mut segments = Vec::new();
    for segment in text.split('/') {
        match segment.split(';').next().unwrap() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    format!("/{}", segments.join("/"))
}

fn is_under_admin(path: &str) -> bool {
    path == "/admin" || path.starts_with("/admin/")
}

/// What the rules see: the canonical path without parameters.
fn is_denied(canonical: &str) -> bool {
    let bare = without_parameters(canonical.as_bytes());
    covers(b"/admin", bare.as_deref().unwrap_or(canonical.as_bytes()))
}

#[test]
fn nothing_that_an_origin_takes_for_admin_passes_a_rule_for_it() {
    let mut reached = 0;
    for path in [
        "/admin",
        "/admin/",
        "/admin/x",
        "/a/../admin",
        "/%61dmin",
        "/%61%64%6d%69%6E",
        "/admin%2f",
        "/admin%2Fx",
        "/%2fadmin",
        "//admin",
        "///admin//x",
        "/./admin",
        "/a/..%2fadmin",
        "/a/..%2fadmin/%2e%2e/admin",
        "/a/%2e%2e/admin",
        "/a/..;/admin",
        "/a/..;x=1/admin",
        "/a/%2e%2e;/admin",
        "/a/..%3b/admin",
        "/;/admin",
        "/;x=1/admin",
        "/.;/admin",
        "/%3b/admin/x",
        "/admin;x=1",
        "/admin;x=1/y",
        "/admin%3Bx",
        "/admin%3bx/y",
        "\\admin",
        "/\\admin",
        "/a\\..\\admin",
        "/a/..%5cadmin",
        "/admin%00.css",
        "/admin%5c",
        "/a//../admin",
        "/../admin",
        "/a/../../admin",
    ] {
        assert!(is_under_admin(&lenient(path)), "{path} does not test the rule");
        reached += usize::from(canonical(path).is_ok_and(|path| is_denied(&path)));
        assert!(canonical(path).is_err() || is_denied(&canonical(path).unwrap()), "{path}");
    }
    assert!(reached > 10, "too much is refused instead of understood");
    // Another resource for every origin that decodes once, and that does not fold case.
    for path in ["/%2561dmin", "/ADMIN", "/administrator", "/a/admin", "/admin.css", "/admin%20"] {
        assert!(canonical(path).is_ok_and(|path| !is_denied(&path)), "{path}");
        assert!(!is_under_admin(&lenient(path)), "{path}");
    }
}

#[test]
fn a_pattern_takes_the_form_of_the_paths_that_it_matches() {
    let form = |written: &str| pattern(written).map(|form| String::from_utf8(form).unwrap());
    assert_eq!(form("/%61dmin/caf%c3%a9").as_deref(), Ok("/admin/caf%C3%A9"));
    assert_eq!(form("/café au lait").as_deref(), Ok("/caf%C3%A9%20au%20lait"));
    assert_eq!(form("/a;b"), Err(PathError::PatternParameter));
    assert_eq!(form("api"), Err(PathError::NotAbsolute));
    assert_eq!(prefix("/api/").as_deref(), Ok(&b"/api"[..]));
    assert_eq!(prefix("/").as_deref(), Ok(&b""[..]));
}

#[test]
fn a_prefix_covers_whole_segments() {
    let covered = |prefix: &str, path: &str| covered_by(prefix.as_bytes(), path.as_bytes());
    assert_eq!(covered("/api", "/api"), Some(4));
    assert_eq!(covered("/api", "/api/x"), Some(4));
    assert_eq!(covered("/api", "/api;v=1/x"), Some(8));
    assert_eq!(covered("/api/v1", "/api%3Bx/;y/v1;z"), Some(16));
    assert_eq!(covered("/api", "/apis"), None);
    assert_eq!(covered("/api", "/api./x"), None);
    assert_eq!(covered("/api", "/ap"), None);
    assert_eq!(covered("/api/v1", "/api;x"), None);
    assert_eq!(covered("", "/x"), Some(0));
    assert_eq!(covered("", "*"), Some(0));
    assert_eq!(covered("/api", "*"), None);
}

/// Pieces that make the hard cases likely.
fn hostile_path() -> impl Strategy<Value = String> {
    let piece = select(
        &[
            "/", "/", "/", ".", "..", "a", "admin", ";", ";x=1", "%2e", "%2E", "%61", "%64min", "%25",
            "%2561", "%3b", "%3B", "%2f", "%5c", "\\", "%00", "%c3%A9", "%c0", "%ae", "~", "%7e", "%", "*",
            "?", "{",
        ][..],
    );
    vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_canonical_form_is_its_own(path in hostile_path()) {
        if let Ok(once) = canonical(&path) {
            let mut out = Vec::new();
            prop_assert_eq!(canonicalise(once.as_bytes(), &mut out), Ok(Canonical::Same), "{} of {}", once, path);
        }
    }

    #[test]
    fn the_quick_check_and_the_full_one_agree(path in hostile_path()) {
        let mut full = Vec::new();
        let resolved = resolve(&path.as_bytes()[1..], &mut full);
        if is_plain(path.as_bytes()) {
            prop_assert_eq!(resolved, Ok(()));
            prop_assert_eq!(full, path.into_bytes());
        }
    }

    #[test]
    fn rules_and_a_lenient_origin_see_the_same_path(path in hostile_path()) {
        if let Ok(canonical) = canonical(&path) {
            // The origin gets the canonical path, and must not end up where the rules did not look.
            prop_assert_eq!(is_under_admin(&lenient(&canonical)), is_denied(&canonical), "{} of {}", canonical, path);
            // Nor may the path mean something else than what the client sent, unless `..` takes away a
            // segment without a name: there the origins differ, and ours gets the canonical path anyway.
            let has_nameless = path.to_lowercase().replace("%3b", ";").contains("/;");
            prop_assert!(
                has_nameless || lenient(&canonical) == lenient(&path),
                "{} of {}",
                canonical,
                path
            );
        }
    }

    #[test]
    fn no_bytes_are_too_odd(path in vec(any::<u8>(), 0..40)) {
        let mut out = Vec::new();
        if canonicalise(&path, &mut out) == Ok(Canonical::Changed) {
            prop_assert!(out.iter().all(u8::is_ascii_graphic));
        }
    }
}
