//! Files: read them, follow `include`, merge their tables into one.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Place, Problems, Severity, Source};
use super::environment::Environment;
use super::glob;
use super::keys;
use super::tree::{self, Entry, Node, Table, Value};

/// The configuration as the user wrote it, from all files; may be wrong.
pub struct ConfigFile {
    pub root: Table,
    /// The start of the first file, for mistakes that belong to no line.
    pub start: Place,
    pub files: Vec<PathBuf>,
}

const MAX_FILE: u64 = 16 << 20;
/// A file included by a file included by a file ...
const MAX_DEPTH: usize = 16;

/// `None` when the first file cannot be read or is not TOML; that was reported then.
pub fn read(path: &Path, environment: Environment<'_>, problems: &Problems) -> Option<ConfigFile> {
    let mut reader = Reader { environment, problems, files: Vec::new(), included: Vec::new() };
    let text = match read_text(path) {
        Ok(text) => text,
        Err(Unreadable { why, hint }) => {
            let message = format!("cannot read `{}`: {why}", path.display());
            problems.add(Diagnostic::everywhere(Severity::Error, message).maybe_hint(hint));
            return None;
        }
    };
    let source = Source::new(path.display().to_string(), text, 0);
    reader.files.push(path.to_path_buf());
    let root = reader.file(&source, path, &mut vec![canonical(path)])?;
    Some(ConfigFile { root, start: Place::new(&source, 0..0), files: reader.files })
}

/// A text that is no file: nothing can be included from it.
pub fn read_str(
    name: &str,
    text: &str,
    environment: Environment<'_>,
    problems: &Problems,
) -> Option<ConfigFile> {
    let source = Source::new(name, text, 0);
    let root = tree::parse(&source, environment, problems)?;
    if let Some(include) = root.get("include") {
        problems.add(Diagnostic::error(&include.place, "`include` works only in a file"));
    }
    Some(ConfigFile { root, start: Place::new(&source, 0..0), files: Vec::new() })
}

struct Reader<'a> {
    environment: Environment<'a>,
    problems: &'a Problems,
    files: Vec<PathBuf>,
    /// Every included file, and the string that included it.
    included: Vec<(PathBuf, Place)>,
}

impl Reader<'_> {
    fn file(&mut self, source: &Arc<Source>, path: &Path, stack: &mut Vec<PathBuf>) -> Option<Table> {
        let mut root = tree::parse(source, self.environment, self.problems)?;
        for (pattern, place) in include_patterns(&root) {
            for included in self.matching(path, &pattern, &place) {
                if let Some(table) = self.include(&included, &place, stack) {
                    merge(&mut root, table, self.problems);
                }
            }
        }
        Some(root)
    }

    /// Files that an `include` names, sorted.
    fn matching(&self, from: &Path, pattern: &str, place: &Place) -> Vec<PathBuf> {
        let folder = from.parent().unwrap_or(Path::new(""));
        if !glob::is_pattern(pattern) {
            return vec![folder.join(pattern)];
        }
        glob::matching(folder, pattern).unwrap_or_else(|error| {
            let message = format!("cannot read the folders of `{pattern}`: {error}");
            self.problems.add(Diagnostic::error(place, message));
            Vec::new()
        })
    }

    fn include(&mut self, path: &Path, place: &Place, stack: &mut Vec<PathBuf>) -> Option<Table> {
        let identity = canonical(path);
        if let Err(diagnostic) = self.may_include(path, &identity, place, stack) {
            self.problems.add(diagnostic);
            return None;
        }
        let text = match read_text(path) {
            Ok(text) => text,
            Err(Unreadable { why, hint }) => {
                let message = format!("cannot include `{}`: {why}", path.display());
                self.problems.add(Diagnostic::error(place, message).maybe_hint(hint));
                return None;
            }
        };
        self.files.push(path.to_path_buf());
        self.included.push((identity.clone(), place.clone()));
        let source = Source::new(path.display().to_string(), text, self.files.len());
        stack.push(identity);
        let table = self.file(&source, path, stack);
        stack.pop();
        table
    }

    fn may_include(
        &self,
        path: &Path,
        identity: &Path,
        place: &Place,
        stack: &[PathBuf],
    ) -> Result<(), Diagnostic> {
        let path = path.display();
        if stack.last().is_some_and(|current| current == identity) {
            return Err(Diagnostic::error(place, format!("`{path}` includes itself"))
                .hint("keep included files in a folder of their own: include = [\"conf.d/*.toml\"]"));
        }
        if stack.iter().any(|outer| outer == identity) {
            let chain: Vec<String> = stack.iter().map(|file| format!("`{}`", short_name(file))).collect();
            return Err(Diagnostic::error(place, format!("`{path}` is included in a circle")).hint(format!(
                "the way here: {} -> `{}`",
                chain.join(" -> "),
                short_name(identity)
            )));
        }
        if let Some((_, first)) = self.included.iter().find(|(other, _)| other == identity) {
            return Err(Diagnostic::error(place, format!("`{path}` is included twice"))
                .also(first, "first included here"));
        }
        if stack.len() >= MAX_DEPTH {
            return Err(Diagnostic::error(
                place,
                format!("`{path}` is included more than {MAX_DEPTH} files deep"),
            ));
        }
        Ok(())
    }
}

/// Only strings; the check of shapes reports the rest.
fn include_patterns(root: &Table) -> Vec<(String, Place)> {
    let Some(Entry { node: Node { value: Value::Array(items), .. }, .. }) = root.get("include") else {
        return Vec::new();
    };
    let pattern = |node: &Node| match &node.value {
        Value::Text(text) => Some((text.clone(), node.place.clone())),
        _ => None,
    };
    items.iter().filter_map(pattern).collect()
}

/// Adds the tables of an included file. Sections with names take more names, the others more keys; the
/// same name or key in two files is a mistake, whatever its value.
fn merge(root: &mut Table, added: Table, problems: &Problems) {
    for entry in added.entries {
        let Some(own) = root.entries.iter_mut().find(|own| own.key == entry.key) else {
            root.entries.push(entry);
            continue;
        };
        match (&mut own.node.value, entry.node.value) {
            // Already followed; kept so that their shape is checked.
            (Value::Array(own), Value::Array(added)) if entry.key == "include" => own.extend(added),
            (Value::Table(own), Value::Table(added)) => merge_section(&entry.key, own, added, problems),
            _ => problems.add(defined_twice(&format!("`{}`", entry.key), &own.place, &entry.place)),
        }
    }
}

fn merge_section(section: &str, own: &mut Table, added: Table, problems: &Problems) {
    let noun = keys::section(section).and_then(|section| section.noun);
    for entry in added.entries {
        match own.entries.iter().find(|own| own.key == entry.key) {
            None => own.entries.push(entry),
            Some(first) => {
                let what = match noun {
                    Some(noun) => format!("the {noun} `{}`", entry.key),
                    None => format!("`{}` of `[{section}]`", entry.key),
                };
                problems.add(defined_twice(&what, &first.place, &entry.place));
            }
        }
    }
}

fn defined_twice(what: &str, first: &Place, second: &Place) -> Diagnostic {
    Diagnostic::error(second, format!("{what} is defined twice")).also(first, "first defined here")
}

struct Unreadable {
    why: String,
    hint: Option<String>,
}

fn read_text(path: &Path) -> Result<String, Unreadable> {
    let because = |why: String, hint: Option<&str>| Unreadable { why, hint: hint.map(str::to_string) };
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => because("there is no such file".to_string(), None),
        std::io::ErrorKind::PermissionDenied => because("permission denied".to_string(), None),
        _ => because(error.to_string(), None),
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        return Err(because(
            "it is a folder".to_string(),
            Some("name the file in it, such as palisade.toml"),
        ));
    }
    // Not `metadata.len()`: a pipe such as /dev/stdin has none.
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(because("it is larger than 16 MiB".to_string(), None));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].iter().filter(|b| **b == b'\n').count() + 1;
        because(format!("line {line} is not UTF-8"), Some("save it as UTF-8"))
    })
}

fn canonical(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

fn short_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
