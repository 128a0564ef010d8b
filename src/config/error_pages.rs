//! `[error_pages.NAME]`: the files are read, so that nothing about them can be wrong later.

use std::io::Read;
use std::path::Path;

use super::certificates::file;
use super::diagnostic::{Diagnostic, Place, Problems};
use super::fields::{Fields, Text};
use super::health::statuses;
use super::host;
use super::targets::is_media_type;
use super::template;
use super::values::shown;
use crate::message::error_pages::{ErrorPage, PageHost};
use crate::message::{Moment, StatusSet, Template};
use crate::route::HostPattern;

const MAX_FILE: u64 = 1 << 20;
const DEFAULT_TYPE: &str = "text/html; charset=utf-8";

/// What the name of a file ends in, and what it has then.
const TYPES: &[(&str, &str)] = &[
    ("html", DEFAULT_TYPE),
    ("htm", DEFAULT_TYPE),
    ("json", "application/json"),
    ("txt", "text/plain; charset=utf-8"),
    ("xml", "application/xml"),
    ("svg", "image/svg+xml"),
];

/// A page with the place of its name.
pub type Written<'a> = (ErrorPage, &'a Place);

/// `None` when it is wrong, which was reported.
pub fn lower<'a>(name: &str, place: &'a Place, fields: &Fields<'_>) -> Option<Written<'a>> {
    let statuses = lower_statuses(fields);
    let body = match (fields.text("file"), fields.text("body")) {
        (Some(file), Some(body)) => {
            let diagnostic = Diagnostic::error(body.place, "a page has a `file` or a `body`");
            fields.problems.add(diagnostic.also(file.place, "the other one").hint("keep one of them"));
            None
        }
        (Some(text), None) => read(fields, text),
        (None, Some(text)) => template::lower(fields, text, Moment::Page),
        (None, None) => {
            if fields.key("file").is_none() && fields.key("body").is_none() {
                fields.missing(&["file", "body"], "text", "add `file = \"404.html\"`, or `body = \"...\"`");
            }
            None
        }
    };
    let content_type = match fields.text("content_type") {
        Some(text) if is_media_type(text.value) => text.value.to_owned(),
        Some(text) => {
            let message = format!("{} is not a media type", shown(text.value));
            let hint = "write \"text/html; charset=utf-8\"";
            fields.problems.add(Diagnostic::error(text.place, message).hint(hint));
            return None;
        }
        None => type_of(fields.text("file").map_or("", |text| text.value)).to_owned(),
    };
    let page = ErrorPage {
        name: name.to_owned(),
        hosts: fields
            .texts("hosts")
            .into_iter()
            .filter_map(|text| fields.parsed(text, host::pattern).map(page_host))
            .collect(),
        statuses: StatusSet(statuses?),
        body: body?,
        content_type,
        intercept: fields.boolean("intercept").unwrap_or(false),
        status: fields.integer("status"),
    };
    Some((page, place))
}

fn page_host(pattern: HostPattern) -> PageHost {
    match pattern {
        HostPattern::Exact(name) => PageHost { name, wildcard: false },
        HostPattern::Wildcard(name) => PageHost { name, wildcard: true },
    }
}

fn lower_statuses(fields: &Fields<'_>) -> Option<Vec<(u16, u16)>> {
    let texts = fields.texts("statuses");
    if texts.is_empty() {
        let named = fields.key("statuses").is_none();
        let hint = "add `statuses = [\"404\", \"5xx\"]`";
        if named {
            fields.missing(&["statuses"], "`statuses`", hint);
        } else {
            let place = fields.key("statuses").unwrap_or(fields.place);
            fields.problems.add(Diagnostic::error(place, "this page is for no status").hint(hint));
        }
        return None;
    }
    let lowered: Vec<_> = texts
        .iter()
        .filter_map(|text| {
            let range = fields.parsed(*text, statuses)?;
            if range.0 >= 400 {
                return Some(range);
            }
            let message = format!("{} is no failure", shown(text.value));
            let hint = "pages are for statuses from 400 on; for others there is `respond`";
            fields.problems.add(Diagnostic::error(text.place, message).hint(hint));
            None
        })
        .collect();
    (lowered.len() == texts.len()).then_some(lowered)
}

fn type_of(file: &str) -> &'static str {
    let ending = Path::new(file).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let known = TYPES.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known));
    known.map_or(DEFAULT_TYPE, |(_, content_type)| content_type)
}

fn read(fields: &Fields<'_>, text: Text<'_>) -> Option<Template> {
    let path = file(fields, "file")?;
    let wrong = |message: String, hint: &str| {
        fields.problems.add(Diagnostic::error(text.place, message).hint(hint));
    };
    let name = path.display();
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
            _ => error.to_string(),
        };
        wrong(format!("cannot read `{name}`: {why}"), "name a file, relative to this one");
        return None;
    }
    if bytes.len() as u64 > MAX_FILE {
        wrong(format!("`{name}` is larger than 1 MiB"), "a page is sent whole: keep it small");
        return None;
    }
    let Ok(page) = String::from_utf8(bytes) else {
        wrong(format!("`{name}` is not UTF-8"), "save it as UTF-8");
        return None;
    };
    let page = page.strip_prefix('\u{feff}').unwrap_or(&page);
    template::page(page)
        .map_err(|(line, message, hint)| wrong(format!("`{name}`, line {line}: {message}"), &hint))
        .ok()
}

/// Two pages of which one would never be seen are a mistake.
pub fn without_twins(pages: Vec<Written<'_>>, problems: &Problems) -> Vec<ErrorPage> {
    for (index, (page, place)) in pages.iter().enumerate() {
        let twin = pages.iter().take(index).find(|(other, _)| {
            let hosts = |page: &ErrorPage, other: &ErrorPage| {
                page.hosts.iter().any(|host| other.hosts.contains(host))
                    || (page.hosts.is_empty() && other.hosts.is_empty())
            };
            hosts(page, other)
                && page.content_type == other.content_type
                && page.statuses.0.iter().any(|range| other.statuses.0.contains(range))
        });
        if let Some((other, first)) = twin {
            let message = format!("`{}` and `{}` are for the same host and status", other.name, page.name);
            problems.add(Diagnostic::error(place, message).also(first, "first here"));
        }
    }
    pages.into_iter().map(|(page, _)| page).collect()
}
