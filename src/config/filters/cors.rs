//! `cors`.

use std::time::Duration;

use super::headers::field_name;
use super::{Switched, switched};
use crate::config::diagnostic::Diagnostic;
use crate::config::fields::{Fields, Text, Zero};
use crate::config::pattern;
use crate::config::values::{Parsed, shown, wrong};
use crate::filter::{Cors, OriginPattern, Origins, RequestFields};

/// Two hours: the most that Chromium keeps.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(7200);
const DEFAULT_METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

pub fn lower(fields: &Fields<'_>) -> Option<Switched<Cors>> {
    switched(fields, "cors", |table| match table {
        Some(table) => cors(table),
        None => Some(any()),
    })
}

/// Every page may ask, without cookies.
fn any() -> Cors {
    Cors {
        origins: Origins::Any,
        methods: DEFAULT_METHODS.map(str::to_owned).to_vec(),
        headers: RequestFields::Any,
        expose: Vec::new(),
        credentials: false,
        max_age: DEFAULT_MAX_AGE,
    }
}

fn cors(table: &Fields<'_>) -> Option<Cors> {
    let known = any();
    let methods = table.texts("methods").into_iter();
    let cors = Cors {
        origins: origins(table)?,
        methods: match table.key("methods") {
            Some(_) => methods.filter_map(|text| table.parsed(text, pattern::method)).collect(),
            None => known.methods,
        },
        headers: request_fields(table),
        expose: table
            .texts("expose")
            .into_iter()
            .filter_map(|text| field_name(table, text).map(|name| name.as_str().to_owned()))
            .collect(),
        credentials: table.boolean("credentials").unwrap_or(false),
        max_age: table.duration("max_age", Zero::Allowed).unwrap_or(known.max_age),
    };
    // A page of any site can be one without an origin: in a frame that is sandboxed.
    let nobody = OriginPattern::Exact("null".to_owned());
    let is_any = match &cors.origins {
        Origins::Any => true,
        Origins::These(patterns) => patterns.contains(&nobody),
    };
    if cors.credentials && is_any {
        let place = table.key("credentials").unwrap_or(table.place);
        let message = match cors.origins {
            Origins::Any => "with `credentials` every site could act in the name of your users",
            Origins::These(_) => {
                "every site can be `null`, and with `credentials` could act in the name of your users"
            }
        };
        let hint = "name the origins: origins = [\"https://app.example.com\"]";
        table.problems.add(Diagnostic::error(place, message).hint(hint));
    }
    Some(cors)
}

fn origins(table: &Fields<'_>) -> Option<Origins> {
    let texts = table.texts("origins");
    if table.key("origins").is_none() {
        return Some(Origins::Any);
    }
    if let Some(any) = texts.iter().find(|text| text.value == "*") {
        if texts.len() > 1 {
            let message = "`*` is every origin, so the others say nothing";
            table.problems.add(Diagnostic::error(any.place, message).hint("leave `*` or the others out"));
        }
        return Some(Origins::Any);
    }
    if texts.is_empty() {
        let place = table.key("origins")?;
        let diagnostic = Diagnostic::error(place, "`origins` is empty: no page could ask");
        table.problems.add(diagnostic.hint("write cors = false, or name the origins"));
        return None;
    }
    Some(Origins::These(texts.into_iter().filter_map(|text| table.parsed(text, origin)).collect()))
}

/// "https://app.example.com:8443", "https://*.example.com", "null".
fn origin(text: &str) -> Parsed<OriginPattern> {
    let lower = text.to_ascii_lowercase();
    if lower == "null" {
        return Ok(OriginPattern::Exact(lower));
    }
    let wrong_origin = |hint: String| Err(wrong(format!("{} is not an origin", shown(text)), hint));
    let Some((scheme, authority)) = lower.split_once("://") else {
        return wrong_origin(format!("write \"https://{lower}\""));
    };
    if let Some((bare, _)) = authority.split_once('/') {
        return wrong_origin(format!("an origin has no path: \"{scheme}://{bare}\""));
    }
    let is_word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
    };
    if let Some(behind) = authority.strip_prefix('*') {
        if behind.starts_with('.') && is_word(behind) && behind.len() > 1 {
            return Ok(OriginPattern::Wildcard { before: format!("{scheme}://"), behind: behind.to_owned() });
        }
        return wrong_origin("a star stands for labels: \"https://*.example.com\"".to_owned());
    }
    let default_port = match scheme {
        "https" => authority.ends_with(":443"),
        "http" => authority.ends_with(":80"),
        _ => false,
    };
    match authority.rsplit_once(':') {
        Some((bare, _)) if default_port => {
            wrong_origin(format!("browsers leave this port out: \"{scheme}://{bare}\""))
        }
        _ if is_word(authority) => Ok(OriginPattern::Exact(lower)),
        _ => wrong_origin("write \"https://app.example.com\"".to_owned()),
    }
}

fn request_fields(table: &Fields<'_>) -> RequestFields {
    let texts = table.texts("headers");
    if table.key("headers").is_none() || texts.iter().any(|text| text.value == "*") {
        return RequestFields::Any;
    }
    let name = |text: Text<'_>| {
        table.parsed(text, |written| {
            crate::message::FieldName::new(written).ok_or_else(|| {
                wrong(format!("{} is not the name of a header", shown(written)), "write \"X-Token\"")
            })
        })
    };
    RequestFields::These(texts.into_iter().filter_map(name).collect())
}
