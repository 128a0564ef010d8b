//! The import rule of `src/lib.rs`: a room uses rooms below it and the nouns; builders use everything;
//! nobody uses a builder; the codecs know nothing of sockets, runtime or time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const BUILDERS: [&str; 3] = ["cli", "config", "control"];
const NOUNS: [&str; 3] = ["message", "observe", "wire"];

#[test]
fn rooms_use_only_what_is_below_them() {
    let order = rooms_in_order();
    let place = |room: &str| order.iter().position(|known| known == room);
    let mut broken = Vec::new();
    for (file, room, used, line) in uses() {
        let from = place(&room).unwrap_or_else(|| panic!("src/lib.rs does not declare {room}"));
        let to = place(&used).unwrap_or_else(|| panic!("{file}: no room {used}"));
        let allowed = room == used
            || BUILDERS.contains(&room.as_str())
            || (NOUNS.contains(&used.as_str()))
            || (to > from && !BUILDERS.contains(&used.as_str()) && !NOUNS.contains(&room.as_str()));
        if !allowed {
            broken.push(format!("{file}: {room} may not use {used}: {line}"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_folder_is_a_declared_room() {
    let order = rooms_in_order();
    for entry in fs::read_dir(source()).expect("src").flatten() {
        let name = entry.path().file_stem().expect("a name").to_string_lossy().into_owned();
        if !OF_THE_BINARY.contains(&name.as_str()) && name != "lib" {
            assert!(order.contains(&name), "src/lib.rs does not declare {name}");
        }
    }
}

#[test]
fn codecs_know_no_runtime_socket_or_clock() {
    for codec in ["http1", "http2", "fastcgi"] {
        let files = rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crates").join(codec).join("src"));
        assert!(files.len() > 3, "{codec} has few files");
        for file in files {
            let text = fs::read_to_string(&file).expect("a source file");
            for word in ["tokio", "std::net::Tcp", "std::os", "Instant", "SystemTime", "std::io"] {
                assert!(!text.contains(word), "{} mentions {word}", file.display());
            }
        }
    }
}

#[test]
fn unsafe_code_is_announced_in_the_header() {
    for file in rust_files(&source()) {
        let text = fs::read_to_string(&file).expect("a source file");
        let header: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let has_unsafe = text.lines().any(|line| line.contains("unsafe {") || line.contains("unsafe impl"));
        assert!(!has_unsafe || header.contains("`unsafe`"), "{}: say so in the header", file.display());
    }
}

/// What is not part of the library.
const OF_THE_BINARY: &[&str] = &["main", "allocator"];

/// The rooms as `src/lib.rs` declares them.
fn rooms_in_order() -> Vec<String> {
    let lib = fs::read_to_string(source().join("lib.rs")).expect("src/lib.rs");
    let names = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// Every mention of another room outside of tests: file, its room, the used room, the line.
fn uses() -> Vec<(String, String, String, String)> {
    let mut found = Vec::new();
    for file in rust_files(&source()) {
        let relative = file.strip_prefix(source()).expect("below src").to_path_buf();
        let room = relative.iter().next().expect("a first part").to_string_lossy().replace(".rs", "");
        if OF_THE_BINARY.contains(&room.as_str()) || room == "lib" || relative.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for rest in line.split("crate::").skip(1) {
                // `::http1::...` and macros are not rooms.
                let used: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if !used.is_empty() && !line.contains("macro_rules") {
                    found.push((relative.display().to_string(), room.clone(), used, line.trim().to_owned()));
                }
            }
        }
    }
    assert!(found.len() > 50, "the test looks in the wrong place");
    let mut by_room: BTreeMap<&str, usize> = BTreeMap::new();
    found.iter().for_each(|(_, room, ..)| *by_room.entry(room).or_default() += 1);
    assert!(by_room.len() > 6, "only {by_room:?} use other rooms");
    found
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
