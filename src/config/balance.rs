//! `balance`, `hash_on` and `sticky` of an upstream.

use std::sync::OnceLock;

use super::diagnostic::{Diagnostic, Place};
use super::fields::{Fields, Text, Zero};
use super::pattern;
use super::values::{Parsed, shown, wrong};
use crate::upstream::Balance;
use crate::upstream::balance::Bound;
use crate::upstream::pin::HashOn;
use crate::upstream::sticky::{Mistake, SameSite, Secret, StickyOptions};

const SOURCES: [&str; 3] = ["header", "cookie", "query"];

/// The check of shapes has refused every other word.
pub fn lower(fields: &Fields<'_>) -> Balance {
    let on = hash_source(fields, "hash_on");
    let bound = fields.integer::<u16>("hash_bound").and_then(|percent| hash_bound(fields, percent));
    let balance = match fields.text("balance").map(|text| text.value) {
        Some("least_connections") => Balance::LeastConnections,
        Some("random") => Balance::Random,
        Some("p2c") => Balance::TwoChoices,
        Some("least_time") => Balance::LeastTime,
        Some("ip_hash") => Balance::Hash(HashOn::ClientIp, bound.unwrap_or(Bound::None)),
        Some("consistent_hash") => {
            Balance::Hash(on.clone().unwrap_or(HashOn::ClientIp), bound.unwrap_or_default())
        }
        _ => Balance::RoundRobin,
    };
    let word = fields.text("balance").map_or("round_robin", |text| text.value);
    match (word, fields.key("hash_on")) {
        ("consistent_hash", None) => {
            let place = fields.key("balance").unwrap_or(fields.place);
            let hint = "add hash_on = \"client_ip\", \"path\", { cookie = \"session\" }, { header = \"X-User\" } or \
                        { query = \"user\" }";
            let message = "`consistent_hash` needs to know what to hash";
            fields.problems.add(Diagnostic::error(place, message).hint(hint));
        }
        ("consistent_hash", Some(_)) | (_, None) => {}
        (_, Some(place)) => useless(fields, place, "hash_on", word, "add balance = \"consistent_hash\""),
    }
    if let (Some(place), false) = (fields.key("hash_bound"), matches!(balance, Balance::Hash(..))) {
        let hint = "it is about `consistent_hash` and `ip_hash`; leave it out";
        useless(fields, place, "hash_bound", word, hint);
    }
    balance
}

/// A share below what is fair cannot be: the servers together could not take all requests.
fn hash_bound(fields: &Fields<'_>, percent: u16) -> Option<Bound> {
    match percent {
        0 => Some(Bound::None),
        1..=99 => {
            let message =
                format!("{percent} % of the fair share is too little: the servers could not take all keys");
            let hint = "write 125 for a quarter more than fair, at least 100, or 0 for no bound";
            let place = fields.key("hash_bound").unwrap_or(fields.place);
            fields.problems.add(Diagnostic::error(place, message).hint(hint));
            None
        }
        percent => Some(Bound::Percent(percent)),
    }
}

fn useless(fields: &Fields<'_>, place: &Place, name: &str, balance: &str, hint: &str) {
    let message = format!("`{name}` does nothing with `balance = \"{balance}\"`");
    fields.problems.add(Diagnostic::error(place, message).hint(hint));
}

/// A word, or a table that names a header, cookie or parameter.
pub fn hash_source(fields: &Fields<'_>, name: &str) -> Option<HashOn> {
    if let Some(text) = fields.text(name) {
        return fields.parsed(text, hash_word);
    }
    source_in(&fields.table(name)?)
}

/// The one of `header`, `cookie` and `query` that is there.
pub fn source_in(table: &Fields<'_>) -> Option<HashOn> {
    let given: Vec<&Place> = SOURCES.iter().filter_map(|name| table.key(name)).collect();
    if let [first, second, ..] = given.as_slice() {
        let diagnostic =
            Diagnostic::error(second, "only one thing is looked at").also(first, "the other one");
        table.problems.add(diagnostic.hint("keep one of `header`, `cookie` and `query`"));
    }
    if given.is_empty() {
        table.missing(&SOURCES, "name to look for", "write { cookie = \"session\" }");
    }
    if let Some(text) = table.text("header") {
        return table.parsed(text, header_name).map(HashOn::Header);
    }
    if let Some(text) = table.text("cookie") {
        return table.parsed(text, |text| some(text, "cookie")).map(HashOn::Cookie);
    }
    let text = table.text("query")?;
    table.parsed(text, |text| some(text, "parameter")).map(HashOn::Query)
}

fn hash_word(text: &str) -> Parsed<HashOn> {
    match text {
        "client_ip" => Ok(HashOn::ClientIp),
        "path" => Ok(HashOn::Path),
        _ => {
            let message = format!("{} is nothing to hash", shown(text));
            let hint = match text {
                "ip" | "source" | "source_ip" | "remote_addr" | "$remote_addr" | "client" => {
                    "write \"client_ip\"".to_owned()
                }
                "uri" | "$uri" | "url" | "$request_uri" => "write \"path\"".to_owned(),
                _ => format!("write \"client_ip\", \"path\", or a table: {{ header = \"{text}\" }}"),
            };
            Err(wrong(message, hint))
        }
    }
}

fn header_name(text: &str) -> Parsed<String> {
    if !pattern::is_token(text) {
        return Err(wrong(format!("{} is not the name of a header field", shown(text)), "write \"X-User\""));
    }
    Ok(text.to_ascii_lowercase())
}

fn some(text: &str, what: &str) -> Parsed<String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() && !b";=&".contains(&byte)) {
        return Err(wrong(format!("{} is not the name of a {what}", shown(text)), "write \"session\""));
    }
    Ok(text.to_owned())
}

/// `sticky`, which is a table or the name of the cookie alone.
pub fn lower_sticky(fields: &Fields<'_>) -> Option<StickyOptions> {
    fields.entry("sticky")?;
    let defaults = |name: &str| StickyOptions {
        name: name.to_owned(),
        secrets: vec![process_secret()],
        ttl: None,
        secure: false,
        same_site: SameSite::Lax,
        path: "/".to_owned(),
    };
    if let Some(text) = fields.text("sticky") {
        let options = defaults(text.value);
        return sound(fields, text.place, options);
    }
    let table = fields.table("sticky")?;
    let Some(cookie) = table.text("cookie") else {
        if table.key("cookie").is_none() {
            table.missing(&["cookie"], "`cookie`", "write { cookie = \"palisade\" }");
        }
        return None;
    };
    let mut options = defaults(cookie.value);
    let secrets: Vec<Text<'_>> = table.text("secret").into_iter().chain(table.texts("secret")).collect();
    if table.key("secret").is_some() {
        options.secrets = secrets.iter().map(|text| Secret::new(text.value)).collect();
    }
    options.ttl = table.duration("ttl", Zero::Refused);
    options.secure = table.boolean("secure").unwrap_or(false);
    options.same_site = match table.text("same_site").map(|text| text.value) {
        Some("strict") => SameSite::Strict,
        Some("none") => SameSite::None,
        _ => SameSite::Lax,
    };
    if let Some(path) = table.text("path") {
        options.path = path.value.to_owned();
    }
    sound(&table, cookie.place, options)
}

fn sound(fields: &Fields<'_>, cookie: &Place, options: StickyOptions) -> Option<StickyOptions> {
    let mistakes = options.mistakes();
    for mistake in &mistakes {
        let (key, message, hint) = told(*mistake);
        // `sticky` may be the name alone, which has no such keys.
        let place = if fields.place == cookie || key == "cookie" { None } else { fields.key(key) };
        fields.problems.add(Diagnostic::error(place.unwrap_or(cookie), message).hint(hint));
    }
    mistakes.is_empty().then_some(options)
}

fn told(mistake: Mistake) -> (&'static str, &'static str, &'static str) {
    match mistake {
        Mistake::Name => {
            ("cookie", "this is not the name of a cookie", "write \"palisade\": letters, digits, - and _")
        }
        Mistake::Path => ("path", "this is not the path of a cookie", "write \"/\""),
        Mistake::NoSecret => ("secret", "`secret` is empty", "leave it out, and one is made at each start"),
        Mistake::ShortSecret => (
            "secret",
            "a secret has at least 16 bytes",
            "make one with `openssl rand -hex 32`, and keep it in ${ENV}",
        ),
        Mistake::Ttl => ("ttl", "`ttl` is less than a second", "write \"1h\""),
        Mistake::NeedsSecure => {
            ("same_site", "browsers drop this cookie unless it is `secure`", "add secure = true")
        }
        Mistake::NeedsRootPath => ("path", "a cookie named `__Host-...` has the path \"/\"", "write \"/\""),
    }
}

/// Made once per process: cookies outlive a reload, not a restart.
fn process_secret() -> Secret {
    static SECRET: OnceLock<[u8; 32]> = OnceLock::new();
    let made = SECRET.get_or_init(|| {
        let mut bytes = [0; 32];
        let mut filled = 0;
        while filled < bytes.len() {
            filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())
                .expect("the system gives random bytes");
        }
        bytes
    });
    Secret::new(made.as_slice())
}
