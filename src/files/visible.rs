//! Which names are there for clients at all.

use super::path::Below;

/// Names that are as good as not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Visible {
    /// Names that begin with a dot are shown.
    pub hidden: bool,
    /// Patterns of names that are not shown: `*` stands for any characters, `?` for one.
    pub hide: Vec<String>,
}

impl Visible {
    /// Whether every segment of a name may be seen. `.well-known` at the root always may (RFC 8615).
    pub fn shows(&self, name: &Below) -> bool {
        name.segments().enumerate().all(|(place, segment)| self.shows_segment(place == 0, segment))
    }

    /// The same of one segment, which lies in the root or not.
    pub fn shows_segment(&self, in_root: bool, segment: &[u8]) -> bool {
        let dotted = segment.first() == Some(&b'.') && !(in_root && segment == b".well-known");
        (self.hidden || !dotted) && !self.hide.iter().any(|pattern| fits(pattern.as_bytes(), segment))
    }
}

/// Only the last star is tried again: no more than (pattern x name) steps.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while let Some(byte) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                n = from + 1;
            }
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(visible: &Visible, path: &str) -> bool {
        visible.shows(&Below::decode(path.as_bytes()).unwrap())
    }

    #[test]
    fn names_with_a_dot_in_front_are_hidden() {
        let (usual, open) = (Visible::default(), Visible { hidden: true, ..Visible::default() });
        for (path, shown) in [
            ("/", true),
            ("/a/b.c", true),
            ("/.git/config", false),
            ("/a/.htpasswd", false),
            ("/.env", false),
            ("/...", false),
            ("/.well-known/security.txt", true),
            ("/.well-known/.secret", false),
            ("/a/.well-known/x", false),
            ("/.well-knownx", false),
        ] {
            assert_eq!(shows(&usual, path), shown, "{path}");
            assert!(shows(&open, path), "{path}");
        }
    }

    #[test]
    fn patterns_hide_whole_names() {
        let hide = ["*.bak", "node_modules", "secret?.txt", "a*b*c"].map(str::to_owned).to_vec();
        let visible = Visible { hidden: false, hide };
        for (path, shown) in [
            ("/x.bak", false),
            ("/.bak", false),
            ("/x.bak/y", false),
            ("/x.bak2", true),
            ("/a/node_modules/b", false),
            ("/node_modules2", true),
            ("/secret1.txt", false),
            ("/secret.txt", true),
            ("/secret12.txt", true),
            ("/abc", false),
            ("/aXbYbZc", false),
            ("/abcd", true),
        ] {
            assert_eq!(shows(&visible, path), shown, "{path}");
        }
        let long = "a".repeat(255);
        assert!(!fits(b"*a*a*a*a*a*a*b", long.as_bytes()), "in a moment");
    }
}
