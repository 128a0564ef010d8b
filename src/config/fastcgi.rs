//! `[upstreams.NAME.fastcgi]`: where scripts are, which path leads to which, and what they are told.

use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::fields::{Fields, Text};
use super::template;
use super::tree::Entry;
use super::values::{Parsed, shown, wrong};
use crate::message::{Moment, Template};
use crate::upstream::Protocol;
use crate::upstream::fastcgi::Application;

/// `None` for servers that speak HTTP, and when something is wrong, which was reported.
pub fn lower(fields: &Fields<'_>, protocol: Protocol) -> Option<Arc<Application>> {
    let table = fields.table("fastcgi");
    if protocol != Protocol::FastCgi {
        // Of a protocol that is misspelt it was said.
        let written = fields.text("protocol").map_or("http1", |text| text.value);
        if let (Some(place), "http1" | "http2" | "auto") = (fields.key("fastcgi"), written) {
            let message = "`fastcgi` is for servers that speak FastCGI";
            let hint = "add `protocol = \"fastcgi\"` to the upstream";
            fields.problems.add(Diagnostic::error(place, message).hint(hint));
        }
        return None;
    }
    refuse_tls(fields);
    let Some(table) = table else {
        if let (None, Some(protocol)) = (fields.key("fastcgi"), fields.text("protocol")) {
            let message = "`protocol = \"fastcgi\"` without a word on where the scripts are";
            let hint = "add `fastcgi = { root = \"/srv/www\" }`, the folder as the FastCGI server sees it";
            fields.problems.add(Diagnostic::error(protocol.place, message).hint(hint));
        }
        return None;
    };
    let root = root(&table);
    let split = split(&table);
    let front = table.text("front").and_then(|text| front(&table, text, &split));
    let index = match table.text("index") {
        Some(text) => table.parsed(text, |name| script_name(name, &split)),
        // A front takes all paths, those that end in a slash too.
        None if table.key("front").is_some() => None,
        None => Some("index.php".to_owned()),
    };
    if index.is_some() && table.key("index").is_none() && !ends_as_script("index.php", &split) {
        let message = "`index` is missing";
        let hint = "`index.php`, which it is else, does not end as `split` says; write index = \"index.cgi\"";
        table.problems.add(Diagnostic::error(table.place, message).hint(hint));
    }
    let path_info = table.boolean("path_info").unwrap_or(false);
    let keep_connections = table.boolean("keep_connections").unwrap_or(false);
    if let (true, Some(place)) = (keep_connections, table.key("keep_connections"))
        && fields.table("pool").is_none_or(|pool| pool.key("max_connections").is_none())
    {
        let message = "`keep_connections` needs a limit of connections that suits the servers";
        let hint = "a process of php-fpm serves one connection at a time, idle or not: add \
                    `pool = { max_connections = 4 }`, fewer than its `pm.max_children`";
        table.problems.add(Diagnostic::error(place, message).hint(hint));
    }
    let params = table.entries("params").iter().filter_map(|entry| param(&table, entry)).collect();
    Some(Arc::new(Application { root: root?, index, split, front, path_info, keep_connections, params }))
}

fn refuse_tls(fields: &Fields<'_>) {
    let Some(place) = fields.key("tls") else { return };
    if fields.boolean("tls") != Some(false) {
        let message = "`tls` cannot stand beside `protocol = \"fastcgi\"`";
        let hint = "FastCGI has no TLS; use a Unix socket, or a network that you trust";
        fields.problems.add(Diagnostic::error(place, message).hint(hint));
    }
}

/// Without a slash at its end.
fn root(table: &Fields<'_>) -> Option<String> {
    if table.key("root").is_none() {
        let hint = "write root = \"/srv/www\", the folder of the scripts as the FastCGI server sees it";
        table.missing(&["root"], "`root`", hint);
    }
    table.parsed(table.text("root")?, |text| {
        if !text.starts_with('/') {
            let hint = "the FastCGI server, and maybe another machine, has to find it: write it from the root, \
                        \"/srv/www\"";
            return Err(wrong(format!("{} is not a whole path", shown(text)), hint));
        }
        let is_odd = text.chars().any(char::is_control) || text.split('/').any(|part| matches!(part, "." | ".."));
        if is_odd {
            return Err(wrong(format!("{} is not a folder's path", shown(text)), "write it without `.` and `..`"));
        }
        Ok(text.trim_end_matches('/').to_owned())
    })
}

/// A text or a list of them.
fn split(table: &Fields<'_>) -> Vec<String> {
    let Some(entry) = table.entry("split") else { return vec![".php".to_owned()] };
    let texts = table.text("split").map_or_else(|| table.texts("split"), |text| vec![text]);
    if texts.is_empty() {
        let message = "`split` is empty: no path would ever lead to a script";
        table.problems.add(Diagnostic::error(&entry.node.place, message).hint("write split = \".php\""));
    }
    texts.into_iter().filter_map(|text| table.parsed(text, ending)).collect()
}

fn ending(text: &str) -> Parsed<String> {
    let name = text.trim_start_matches('.');
    let is_name = !name.is_empty() && !text.contains('/') && !text.chars().any(char::is_control);
    match is_name {
        true if text.starts_with('.') => Ok(text.to_owned()),
        true => Err(wrong(
            format!("{} does not begin with a dot", shown(text)),
            format!("write \".{name}\": any name that happens to end so would be a script"),
        )),
        false => Err(wrong(format!("{} is not the ending of a name", shown(text)), "write \".php\"")),
    }
}

/// Of endings that are all wrong, which was said, any will do.
fn ends_as_script(name: &str, split: &[String]) -> bool {
    split.is_empty() || split.iter().any(|end| name.len() > end.len() && name.ends_with(end.as_str()))
}

/// Of a script in any folder.
fn script_name(text: &str, split: &[String]) -> Parsed<String> {
    if text.contains('/') || text.chars().any(char::is_control) {
        return Err(wrong(format!("{} is not the name of a file", shown(text)), "write \"index.php\""));
    }
    if !ends_as_script(text, split) {
        return Err(no_script(text, split));
    }
    Ok(text.to_owned())
}

fn front(table: &Fields<'_>, text: Text<'_>, split: &[String]) -> Option<String> {
    table.parsed(text, |text| {
        let Some(path) = text.strip_prefix('/') else {
            let hint = format!("it stands below `root`: write \"/{text}\"");
            return Err(wrong(format!("{} does not begin with a slash", shown(text)), hint));
        };
        let is_odd = path.split('/').any(|part| matches!(part, "" | "." | ".."));
        if is_odd || text.contains(['?', '#', '%']) || text.chars().any(char::is_control) {
            return Err(wrong(
                format!("{} is not the path of a script", shown(text)),
                "write \"/index.php\"",
            ));
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        if !ends_as_script(name, split) {
            return Err(no_script(text, split));
        }
        Ok(text.to_owned())
    })
}

fn no_script(text: &str, split: &[String]) -> super::values::Wrong {
    let endings = split.iter().map(|end| format!("`{end}`")).collect::<Vec<_>>().join(" or ");
    wrong(
        format!("{} does not end in {endings}", shown(text)),
        "nothing else is ever called as a script; add the ending to `split`",
    )
}

fn param(table: &Fields<'_>, entry: &Entry) -> Option<(String, Template)> {
    let value = entry.node.as_text()?;
    let name = entry.key.as_str();
    let is_name = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name {
        let message = format!("{} is not the name of a variable", shown(name));
        let hint = "write a name such as APP_ENV: letters, digits and `_`";
        table.problems.add(Diagnostic::error(&entry.place, message).hint(hint));
        return None;
    }
    if let Some(hint) = reserved(name) {
        let message = format!("`{name}` is the proxy's own");
        table.problems.add(Diagnostic::error(&entry.place, message).hint(hint));
        return None;
    }
    if value.contains('\0') {
        table.problems.add(Diagnostic::error(&entry.node.place, "a variable has no NUL in it"));
        return None;
    }
    let text = Text { value, place: &entry.node.place };
    Some((name.to_owned(), template::lower(table, text, Moment::Request)?))
}

/// What follows from the request, and what to do instead.
fn reserved(name: &str) -> Option<&'static str> {
    match name {
        "SCRIPT_FILENAME" | "SCRIPT_NAME" | "PATH_INFO" | "PATH_TRANSLATED" | "DOCUMENT_URI" => {
            Some("it follows from the path; `root`, `index`, `split` and `front` say how")
        }
        "REQUEST_METHOD" | "REQUEST_URI" | "QUERY_STRING" => {
            Some("it follows from the request; `rewrite` in a route changes path and query")
        }
        "CONTENT_LENGTH" | "CONTENT_TYPE" => Some("it follows from the body"),
        "GATEWAY_INTERFACE" => Some("it is always CGI/1.1"),
        name if name.starts_with("HTTP_") => {
            Some("it is a header: write `request_headers = { set = { X-Name = \"...\" } }` in the route")
        }
        _ => None,
    }
}
