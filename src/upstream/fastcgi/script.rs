//! Which script a path leads to. The files lie with the FastCGI server, so nothing here asks a disk: the path alone
//! decides, and only what ends as a script does is ever named as one.

use crate::message::{Failure, Request, Template};

/// `[upstreams.NAME.fastcgi]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The folder of the scripts as the server sees it, without a slash at its end: empty for `/`.
    pub root: String,
    /// The script of a path that ends in a slash.
    pub index: Option<String>,
    /// How the name of a script ends; at least one.
    pub split: Vec<String>,
    /// The script of each path that holds none, with its slash.
    pub front: Option<String>,
    /// A path may go on behind the script. Off, for rules about paths see another one than the script then.
    pub path_info: bool,
    /// Connections serve more than one request.
    pub keep_connections: bool,
    /// Beside what every request tells, and in place of it.
    pub params: Vec<(String, Template)>,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// `SCRIPT_NAME`: decoded, with its slash.
    pub name: Vec<u8>,
    /// `PATH_INFO`: what the path holds behind it, decoded; empty, or with its slash.
    pub info: Vec<u8>,
}

impl Script {
    /// `SCRIPT_FILENAME`
    pub fn file(&self, root: &str) -> Vec<u8> {
        [root.as_bytes(), &self.name].concat()
    }
}

impl Application {
    /// What no server is asked for: the connection to it can be spared.
    #[cold]
    pub fn admit(&self, request: &Request<'_>) -> Result<Script, Failure> {
        // There is no such thing here.
        if request.upgrade.is_some() {
            return Err(Failure::BadUpgrade);
        }
        self.script(request.head.path()).ok_or(Failure::NoScript)
    }

    /// The script of a canonical path; `None` when there is none. The first segment that ends as a script does is it,
    /// as in nginx's usual `^(.+?\.php)(/.*)$`; what is behind it is for the script, where that is wanted.
    pub fn script(&self, path: &[u8]) -> Option<Script> {
        let path = decoded(path)?;
        let mut start = 1;
        for segment in path.get(1..)?.split(|byte| *byte == b'/') {
            let end = start + segment.len();
            if self.is_script(segment) {
                let (name, info) = path.split_at(end);
                if !info.is_empty() && !self.path_info {
                    return None;
                }
                return Some(Script { name: name.to_vec(), info: info.to_vec() });
            }
            start = end + 1;
        }
        let name = match (&self.index, &self.front) {
            (Some(index), _) if path.ends_with(b"/") => [&path, index.as_bytes()].concat(),
            (_, Some(front)) => front.clone().into_bytes(),
            _ => return None,
        };
        Some(Script { name, info: Vec::new() })
    }

    /// Also one whose whole name is the ending has none.
    fn is_script(&self, segment: &[u8]) -> bool {
        self.split.iter().any(|end| segment.len() > end.len() && segment.ends_with(end.as_bytes()))
    }
}

/// The path without escapes; `None` for one that no file could be named by. A canonical path has no encoded slash
/// and no dot segments, so that decoding makes none; were there any, nothing would be named by them.
fn decoded(path: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'%', [high, low, behind @ ..]) => {
                let digit = |byte: &u8| (*byte as char).to_digit(16);
                let byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
                if matches!(byte, b'/' | b'\\') {
                    return None;
                }
                out.push(byte);
                rest = behind;
            }
            (b'%', _) => return None,
            (byte, behind) => {
                out.push(*byte);
                rest = behind;
            }
        }
    }
    let is_sound = out.first() == Some(&b'/')
        && !out.iter().any(u8::is_ascii_control)
        && !out.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b".."));
    is_sound.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(split: &[&str], index: Option<&str>, front: Option<&str>) -> Application {
        Application {
            root: "/srv/www".to_owned(),
            index: index.map(str::to_owned),
            split: split.iter().map(|end| (*end).to_owned()).collect(),
            front: front.map(str::to_owned),
            path_info: true,
            keep_connections: false,
            params: Vec::new(),
        }
    }

    /// `/index.php/admin` is no way around what holds for `/admin`.
    #[test]
    fn nothing_follows_a_script_unless_that_is_wanted() {
        let front = application(&[".php"], None, Some("/index.php"));
        let strict = Application { path_info: false, ..front.clone() };
        for path in ["/index.php/admin", "/index.php/", "/a.php/b.php", "/a.php/x/"] {
            assert!(found(&front, path).is_some() && found(&strict, path).is_none(), "{path}");
        }
        for path in ["/index.php", "/a/b.php", "/admin", "/"] {
            assert_eq!(found(&strict, path), found(&front, path), "{path}");
        }
    }

    fn found(application: &Application, path: &str) -> Option<(String, String)> {
        let script = application.script(path.as_bytes())?;
        Some((String::from_utf8(script.name).unwrap(), String::from_utf8(script.info).unwrap()))
    }

    #[test]
    fn the_first_segment_that_ends_as_a_script_is_it() {
        let plain = application(&[".php"], Some("index.php"), None);
        for (path, name, info) in [
            ("/index.php", "/index.php", ""),
            ("/a/b.php", "/a/b.php", ""),
            ("/a/b.php/", "/a/b.php", "/"),
            ("/a/b.php/c/d", "/a/b.php", "/c/d"),
            ("/a.php/b.php", "/a.php", "/b.php"),
            ("/a.php/b.php/c", "/a.php", "/b.php/c"),
            ("/upload/evil.jpg/x.php", "/upload/evil.jpg/x.php", ""),
            ("/with%20space.php/in%3Ffo", "/with space.php", "/in?fo"),
            ("/", "/index.php", ""),
            ("/a/", "/a/index.php", ""),
            ("/.php/", "/.php/index.php", ""),
            ("/%C3%A4.php", "/ä.php", ""),
        ] {
            assert_eq!(found(&plain, path), Some((name.to_owned(), info.to_owned())), "{path}");
        }
    }

    #[test]
    fn what_does_not_end_as_a_script_never_becomes_one() {
        let plain = application(&[".php"], Some("index.php"), None);
        for path in [
            "/a",
            "/a.php5",
            "/a.phps",
            "/a.PHP",
            "/.php",
            "/a.php%20",
            "/a.php;x=1",
            "/a.php.",
            "/php",
            "*",
            "",
            "/a.jpg",
            "/a.php%00.jpg",
            "/a%00.php",
            "/a%0A.php",
            "/a.php/%0Ab",
            "/a%2F..%2Fb.php",
            "/../b.php",
            "/a/./b.php",
            "/%2E%2E/b.php",
            "/a.php/%2E%2E/b",
            "/a%5Cb.php",
            "/a%",
            "/a%2.php",
            "/a%zz.php",
            "a.php",
        ] {
            assert_eq!(found(&plain, path), None, "{path}");
        }
    }

    #[test]
    fn a_front_takes_what_holds_no_script() {
        let front = application(&[".php"], None, Some("/index.php"));
        for (path, name, info) in [
            ("/", "/index.php", ""),
            ("/news/2026/", "/index.php", ""),
            ("/news/2026", "/index.php", ""),
            ("/a.jpg", "/index.php", ""),
            ("/admin.php/x", "/admin.php", "/x"),
        ] {
            assert_eq!(found(&front, path), Some((name.to_owned(), info.to_owned())), "{path}");
        }
        assert_eq!(found(&front, "/a%00"), None);
        let both = application(&[".php"], Some("index.php"), Some("/front.php"));
        assert_eq!(found(&both, "/admin/").unwrap().0, "/admin/index.php");
        assert_eq!(found(&both, "/admin").unwrap().0, "/front.php");
    }

    #[test]
    fn several_endings_are_looked_for_in_the_order_of_the_path() {
        let many = application(&[".php", ".phar"], None, None);
        assert_eq!(found(&many, "/a.phar/b.php"), Some(("/a.phar".to_owned(), "/b.php".to_owned())));
    }
}
