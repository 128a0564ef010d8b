//! `files` of a route: a folder, or a table about one. The folder is looked at, so that it is there later.

use std::io;
use std::path::{Path, PathBuf};

use super::certificates::file;
use super::diagnostic::Diagnostic;
use super::fields::{Fields, Text};
use super::targets::is_media_type;
use super::values::shown;
use crate::files::{FilesOptions, Symlinks, Types, Visible};
use crate::message::accept_encoding::Coding;

/// In the order in which they are preferred.
const CODINGS: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];
const INDEX: &str = "index.html";

pub fn lower(fields: &Fields<'_>) -> Option<FilesOptions> {
    let Some(table) = fields.table("files") else {
        let root = root(fields, "files")?;
        return Some(FilesOptions { root, index: vec![INDEX.to_owned()], ..FilesOptions::default() });
    };
    if table.key("root").is_none() {
        table.missing(&["root"], "`root`", "write { root = \"/srv/www\" }");
    }
    let index = match table.key("index") {
        Some(_) => table.texts("index").into_iter().filter_map(|text| file_name(&table, text)).collect(),
        None => vec![INDEX.to_owned()],
    };
    let (types, cache_control) = (types(&table), cache_control(&table));
    let try_files = table.texts("try_files").into_iter().filter_map(|text| template(&table, text)).collect();
    let hide = table.texts("hide").into_iter().filter_map(|text| file_name(&table, text)).collect();
    let fallback = table.text("spa_fallback").and_then(|text| below_root(&table, text));
    let root = root(&table, "root")?;
    if let (Some(path), Some(text)) = (&fallback, table.text("spa_fallback"))
        && !root.join(path.trim_start_matches('/')).is_file()
    {
        let message = format!("there is no file {} in the root", shown(path));
        table
            .problems
            .add(Diagnostic::warning(text.place, message).hint("until there is, the answer is 404"));
    }
    Some(FilesOptions {
        root,
        index,
        precompressed: precompressed(&table),
        browse: table.boolean("browse").unwrap_or(false),
        spa_fallback: fallback,
        try_files,
        visible: Visible { hidden: table.boolean("hidden").unwrap_or(false), hide },
        symlinks: match table.text("symlinks") {
            Some(Text { value: "never", .. }) => Symlinks::Never,
            Some(Text { value: "follow", .. }) => Symlinks::Follow,
            _ => Symlinks::Inside,
        },
        cache_control,
        types,
    })
}

/// A folder that is there and can be read.
fn root(fields: &Fields<'_>, name: &str) -> Option<PathBuf> {
    let path = file(fields, name)?;
    let text = fields.text(name)?;
    let wrong = |what: &str, hint: &str| {
        let message = format!("{} {what}", shown(text.value));
        fields.problems.add(Diagnostic::error(text.place, message).hint(hint));
    };
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            wrong("is not a folder", "name the folder that the files are in");
            return None;
        }
        Err(error) => {
            match error.kind() {
                io::ErrorKind::NotFound if Path::new(text.value).is_absolute() => {
                    wrong("is not there", "name the folder that the files are in");
                }
                io::ErrorKind::NotFound => {
                    wrong("is not there", "a path is relative to the file that it stands in");
                }
                io::ErrorKind::PermissionDenied => {
                    wrong("cannot be looked at", "this user may not go there");
                }
                _ => wrong(&format!("cannot be looked at: {error}"), "is the file system all right?"),
            }
            return None;
        }
    }
    if let Err(error) = std::fs::read_dir(&path) {
        wrong(&format!("cannot be read: {error}"), "this user needs the right to read it");
        return None;
    }
    Some(path)
}

fn file_name(fields: &Fields<'_>, text: Text<'_>) -> Option<String> {
    if text.value.is_empty() || text.value.contains(['/', '\0']) || matches!(text.value, "." | "..") {
        let message = format!("{} is not the name of a file", shown(text.value));
        fields.problems.add(Diagnostic::error(text.place, message).hint("names stand here, without folders"));
        return None;
    }
    Some(text.value.to_owned())
}

/// `/index.html`: a path as a request has it, without anything that is not canonical.
fn below_root(fields: &Fields<'_>, text: Text<'_>) -> Option<String> {
    let sound = text.value.strip_prefix('/').is_some_and(|rest| {
        let segments_are_names = rest.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        segments_are_names && !rest.contains(['%', '\\']) && rest.bytes().all(|byte| byte.is_ascii_graphic())
    });
    if !sound {
        let message = format!("{} is not a path below the root", shown(text.value));
        fields.problems.add(Diagnostic::error(text.place, message).hint("write \"/index.html\""));
        return None;
    }
    Some(text.value.to_owned())
}

fn template(fields: &Fields<'_>, text: Text<'_>) -> Option<String> {
    let rest = text.value.replace("{path}", "");
    let hint = if !text.value.starts_with("{path}") && !text.value.starts_with('/') {
        "begin with `{path}` or a slash: \"{path}.html\""
    } else if rest.contains(['{', '}', '$']) {
        "the one variable is {path}"
    } else if rest.contains('\0') || rest.split('/').any(|segment| matches!(segment, "." | "..")) {
        "it stays below the root"
    } else {
        return Some(text.value.to_owned());
    };
    let message = format!("{} is not a path to try", shown(text.value));
    fields.problems.add(Diagnostic::error(text.place, message).hint(hint));
    None
}

fn precompressed(fields: &Fields<'_>) -> Vec<Coding> {
    if fields.boolean("precompressed") == Some(true) {
        return CODINGS.to_vec();
    }
    let named = fields.texts("precompressed");
    let wanted =
        named.iter().filter_map(|text| CODINGS.into_iter().find(|coding| coding.token() == text.value));
    let mut codings: Vec<Coding> = Vec::new();
    wanted.for_each(|coding| {
        if !codings.contains(&coding) {
            codings.push(coding);
        }
    });
    codings
}

fn cache_control(fields: &Fields<'_>) -> Option<String> {
    let text = fields.text("cache_control")?;
    if text.value.is_empty() || !text.value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        let message = "`cache_control` holds what cannot stand in a field";
        fields.problems.add(Diagnostic::error(text.place, message).hint("write \"public, max-age=3600\""));
        return None;
    }
    Some(text.value.to_owned())
}

fn types(fields: &Fields<'_>) -> Types {
    let mut types = Types::default();
    for entry in fields.entries("types") {
        let extension = entry.key.strip_prefix('.').unwrap_or(&entry.key);
        if extension.is_empty() || extension.contains(['.', '/']) {
            let message = format!("{} is not the extension of a file", shown(&entry.key));
            let hint = "what counts stands behind the last dot: types = { \".foo\" = \"text/x-foo\" }";
            fields.problems.add(Diagnostic::error(&entry.place, message).hint(hint));
            continue;
        }
        let Some(media_type) = entry.node.as_text() else { continue };
        if !is_media_type(media_type) {
            let message = format!("{} is not a media type", shown(media_type));
            let hint = "write \"text/html; charset=utf-8\"";
            fields.problems.add(Diagnostic::error(&entry.node.place, message).hint(hint));
            continue;
        }
        types.own.insert(extension.to_ascii_lowercase(), media_type.to_owned());
    }
    types
}
