//! Templates in the configuration: what is wrong with one is told with the part and what would be right.

use super::diagnostic::Diagnostic;
use super::fields::{Fields, Text};
use super::suggest::closest;
use crate::message::{Moment, Template, TemplateError, Variable};

/// A template for `moment`; `None` when it is wrong, which was reported.
pub fn lower(fields: &Fields<'_>, text: Text<'_>, moment: Moment) -> Option<Template> {
    match Template::compile(text.value, moment) {
        Ok(template) => {
            // A page may have scripts, where a dollar means many things.
            if moment != Moment::Page
                && let Some((written, name)) = foreign(text.value)
            {
                let message = format!("unknown variable `{written}`");
                let place = text.place.part(&written);
                fields.problems.add(Diagnostic::error(&place, message).hint(hint(&name)));
                return None;
            }
            Some(template)
        }
        Err(error) => {
            fields.problems.add(told(&error, text, moment));
            None
        }
    }
}

/// The same for a text that stands for what a regex matched; its groups were checked.
pub fn lower_with_groups(fields: &Fields<'_>, text: Text<'_>) -> Option<Template> {
    Template::compile_with_groups(text.value, Moment::Request)
        .map_err(|error| fields.problems.add(told(&error, text, Moment::Request)))
        .ok()
}

/// What is wrong with the text of a page, which may stand in a file of its own: the line in it, message and hint.
pub fn page(text: &str) -> Result<Template, (usize, String, String)> {
    Template::compile(text, Moment::Page).map_err(|error| {
        let (message, hint) = of_page(&error);
        // No variable goes on in the next line.
        let is_wrong = |line: &str| Template::compile(line, Moment::Page).is_err();
        (text.lines().take_while(|line| !is_wrong(line)).count() + 1, message, hint)
    })
}

fn of_page(error: &TemplateError) -> (String, String) {
    match error {
        TemplateError::Unknown(name) => (format!("unknown variable `{{{{{name}}}}}`"), page_hint(name)),
        TemplateError::BadFieldName(name) => {
            (format!("`{name}` is not the name of a header"), "write it as `{{header.X-Version}}`".to_owned())
        }
        TemplateError::LoneBrace(_) | TemplateError::NeedsAnswer(_) => (
            "`{{` without its `}}`".to_owned(),
            "two braces stand around a variable: `{{status}}`".to_owned(),
        ),
    }
}

/// As [`hint`], with the braces that a page has.
fn page_hint(name: &str) -> String {
    match closest(name, ["reason", "message"]) {
        Some(ours) => format!("did you mean `{{{{{ours}}}}}`?"),
        None => hint(name).replace('{', "{{").replace('}', "}}"),
    }
}

fn told(error: &TemplateError, text: Text<'_>, moment: Moment) -> Diagnostic {
    if moment == Moment::Page {
        let (message, hint) = of_page(error);
        return Diagnostic::error(text.place, message).hint(hint);
    }
    match error {
        TemplateError::LoneBrace(brace) => {
            let place = text.place.part(&brace.to_string());
            Diagnostic::error(&place, "a brace without its partner")
                .hint("`{` and `}` stand around a variable; the character itself is written twice: `{{`")
        }
        TemplateError::Unknown(name) => {
            let place = text.place.part(&format!("{{{name}}}"));
            Diagnostic::error(&place, format!("unknown variable `{{{name}}}`")).hint(hint(name))
        }
        TemplateError::NeedsAnswer(name) => {
            let place = text.place.part(&format!("{{{name}}}"));
            Diagnostic::error(&place, format!("`{{{name}}}` is not known before there is an answer"))
                .hint("it can stand where answers are changed, as in `response_headers`")
        }
        TemplateError::BadFieldName(name) => {
            Diagnostic::error(text.place, format!("`{name}` is not the name of a header"))
                .hint("write it as `{header.X-Version}`")
        }
    }
}

/// `$host` is a variable elsewhere. A dollar before anything else is a dollar.
fn foreign(text: &str) -> Option<(String, String)> {
    let (_, after) = text.split_once('$')?;
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = &after[..after.find(|c| !word(c)).unwrap_or(after.len())];
    let known = Variable::names().any(|plain| plain == name) || hint_of(name).is_some();
    (known && !name.is_empty()).then(|| (format!("${name}"), name.to_owned()))
}

/// What to write instead of a variable that is not there.
fn hint(name: &str) -> String {
    if Variable::names().any(|plain| plain == name) {
        return format!("write `{{{name}}}`");
    }
    if let Some(hint) = hint_of(name) {
        return hint;
    }
    match closest(name, Variable::names()) {
        Some(ours) => format!("did you mean `{{{ours}}}`?"),
        None => format!(
            "there are {}, and with a name of yours {{header.X}}, {{cookie.X}}, {{query.X}} and {{response.X}}",
            Variable::names().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// What nginx, HAProxy, Caddy and others call the same.
fn hint_of(name: &str) -> Option<String> {
    let alias = ALIASES.iter().find(|(words, _)| words.contains(&name)).map(|(_, ours)| *ours);
    if let Some(ours) = alias {
        return Some(format!("write `{{{ours}}}`"));
    }
    let families = [
        ("http_", "header"),
        ("sent_http_", "response"),
        ("arg_", "query"),
        ("cookie_", "cookie"),
        ("http.request.header.", "header"),
        ("headers.", "header"),
        ("cookies.", "cookie"),
        ("args.", "query"),
    ];
    let (family, word) = families
        .iter()
        .find_map(|(start, family)| Some((*family, name.strip_prefix(start)?)))
        .filter(|(_, word)| !word.is_empty())?;
    let word = if matches!(family, "header" | "response") { word.replace('_', "-") } else { word.to_owned() };
    Some(format!("write `{{{family}.{word}}}`"))
}

const ALIASES: &[(&[&str], &str)] = &[
    (&["remote_addr", "remote_host", "remote_ip", "src", "ip", "client", "realip_remote_addr"], "client_ip"),
    (&["uri", "request_uri", "http.request.uri", "url"], "target"),
    (&["document_uri", "request_path"], "path"),
    (&["args", "query_string", "is_args"], "query"),
    (&["http_host", "server_name", "http.request.host", "hostname", "ssl_server_name", "sni"], "host"),
    (&["proto", "x_forwarded_proto", "https"], "scheme"),
    (&["request_method", "http.request.method"], "method"),
    (&["server_protocol", "version"], "protocol"),
    (&["time_iso8601", "time", "date"], "now.iso"),
    (&["msec", "timestamp"], "now.unix"),
    (&["upstream_addr", "endpoint", "backend"], "upstream"),
    (&["proxy_host", "upstream_name"], "upstream.name"),
    (&["ssl_protocol", "tls_version"], "tls.version"),
    (&["ssl_cipher", "tls_cipher"], "tls.cipher"),
    (&["ssl_client_s_dn"], "tls.client.subject"),
    (&["ssl_client_i_dn"], "tls.client.issuer"),
    (&["ssl_client_serial"], "tls.client.serial"),
    (&["ssl_client_fingerprint"], "tls.client.fingerprint"),
    (&["uuid", "id", "unique_id", "http.request.uuid"], "request_id"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_lead_to_ours() {
        for (name, expected) in [
            ("remote_addr", "write `{client_ip}`"),
            ("http_x_forwarded_for", "write `{header.x-forwarded-for}`"),
            ("arg_page", "write `{query.page}`"),
            ("cookie_session", "write `{cookie.session}`"),
            ("clientip", "did you mean `{client_ip}`?"),
        ] {
            assert_eq!(hint(name), expected);
        }
        assert!(hint("nothing_like_it").starts_with("there are {request_id}"));
    }

    #[test]
    fn the_line_of_a_mistake_in_a_page_is_told() {
        for (text, line) in [
            ("{{status}}\nstatsu\n{{statsu}}", 3),
            ("{{status}}\n\n{{ reason }}\n{{status}\n}}", 4),
            ("a\r\n{{header.a b}}", 2),
            ("{{", 1),
        ] {
            assert_eq!(page(text).map_err(|(line, ..)| line), Err(line), "{text:?}");
        }
    }

    #[test]
    fn every_alias_is_a_variable() {
        for (words, ours) in ALIASES {
            assert!(Variable::names().any(|name| name == *ours), "{ours}");
            assert!(words.iter().all(|word| Variable::names().all(|name| name != *word)), "{words:?}");
        }
    }

    #[test]
    fn a_dollar_is_a_dollar_unless_it_names_something() {
        assert_eq!(foreign("$remote_addr").map(|(written, _)| written).as_deref(), Some("$remote_addr"));
        assert_eq!(foreign("$host/x").map(|(_, name)| name).as_deref(), Some("host"));
        assert_eq!(foreign("costs $5"), None);
        assert_eq!(foreign("US$"), None);
    }
}
