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
