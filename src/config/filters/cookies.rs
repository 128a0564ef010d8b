//! `cookies`.

use super::{Switched, switched};
use crate::config::diagnostic::Diagnostic;
use crate::config::fields::{Fields, Text};
use crate::config::host;
use crate::config::values::{Parsed, shown, wrong};
use crate::filter::{Cookies, SameSite, Secure};

pub fn lower(fields: &Fields<'_>) -> Option<Switched<Cookies>> {
    let place = fields.key("cookies")?;
    switched(fields, "cookies", |table| {
        let Some(table) = table else {
            let hint = "write cookies = { secure = true, same_site = \"lax\" }";
            let message = "`cookies = true` does not say what to change";
            fields.problems.add(Diagnostic::error(place, message).hint(hint));
            return None;
        };
        let cookies = Cookies {
            domain: pairs(table, "domain", domain, |to| {
                if to.is_empty() { Ok(String::new()) } else { domain(to) }
            }),
            path: pairs(table, "path", path, path),
            secure: secure(table),
            http_only: table.boolean("http_only"),
            same_site: table.text("same_site").map(|text| match text.value {
                "strict" => SameSite::Strict,
                "none" => SameSite::None,
                _ => SameSite::Lax,
            }),
        };
        if cookies.same_site == Some(SameSite::None) && cookies.secure.is_none() {
            let message = "browsers refuse cookies with SameSite=None that are not Secure";
            let diagnostic = Diagnostic::warning(table.key("same_site").unwrap_or(table.place), message);
            table.problems.add(diagnostic.hint("add secure = true"));
        }
        Some(cookies)
    })
}

fn secure(table: &Fields<'_>) -> Option<Secure> {
    let entry = table.entry("secure")?;
    match (entry.node.as_boolean(), entry.node.as_text()) {
        (Some(true), _) => Some(Secure::Always),
        (Some(false), _) => Some(Secure::Never),
        (_, Some("auto")) => Some(Secure::Auto),
        _ => None,
    }
}

/// A map from what is there to what shall be.
fn pairs(
    table: &Fields<'_>,
    key: &str,
    from: fn(&str) -> Parsed<String>,
    to: fn(&str) -> Parsed<String>,
) -> Vec<(String, String)> {
    let pair = |entry: &crate::config::tree::Entry| {
        let from = table.parsed(Text { value: &entry.key, place: &entry.place }, from);
        let to = table.parsed(Text { value: entry.node.as_text()?, place: &entry.node.place }, to);
        Some((from?, to?))
    };
    table.entries(key).iter().filter_map(pair).collect()
}

fn domain(text: &str) -> Parsed<String> {
    let bare = text.strip_prefix('.').unwrap_or(text);
    host::name(bare)
        .map_err(|why| wrong(format!("{} is not a domain: {why}", shown(text)), "write \"example.com\""))
}

fn path(text: &str) -> Parsed<String> {
    let sound = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
    if sound {
        Ok(text.to_owned())
    } else {
        Err(wrong(format!("{} is not the path of a cookie", shown(text)), "write \"/app\""))
    }
}
