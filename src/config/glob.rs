//! File names with `*` and `?`, for `include`.

use std::io;
use std::path::{Component, Path, PathBuf};

pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Files that match, sorted by path. `*` and `?` stay inside one part of the path and, as in a shell, do
/// not match a leading dot. A folder that is not there has no files.
pub fn matching(folder: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let mut paths = vec![folder.to_path_buf()];
    for part in Path::new(pattern).components() {
        let name = part.as_os_str().to_string_lossy();
        if matches!(part, Component::Normal(_)) && is_pattern(&name) {
            let mut found = Vec::new();
            for path in &paths {
                found.extend(entries_like(path, &name)?);
            }
            paths = found;
        } else {
            paths.iter_mut().for_each(|path| path.push(part));
        }
    }
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

fn entries_like(folder: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = match std::fs::read_dir(here) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        if !text.starts_with('.') && name_matches(pattern.as_bytes(), text.as_bytes()) {
            found.push(folder.join(name));
        }
    }
    Ok(found)
}

/// Steps back to the last `*` only, so no pattern takes more than (pattern x name) steps.
fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b) if *b == b'?' || *b == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::name_matches;

    #[test]
    fn names() {
        for (pattern, name, expected) in [
            ("*.toml", "a.toml", true),
            ("*.toml", "a.toml.bak", false),
            ("a?.toml", "ab.toml", true),
            ("a?.toml", "a.toml", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("*", "", true),
        ] {
            assert_eq!(name_matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
