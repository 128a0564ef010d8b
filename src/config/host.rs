//! Host names: of patterns, of endpoints, and towards upstreams.

use std::net::{IpAddr, Ipv6Addr};

use super::values::{Parsed, shown, wrong};
use crate::route::HostPattern;

/// "example.com", "*.example.com", "192.0.2.1", "[::1]".
pub fn pattern(text: &str) -> Parsed<HostPattern> {
    let not = || format!("{} is not a host", shown(text));
    if text.is_empty() || text == "*" {
        return Err(wrong(not(), "leave `host` out: the route then takes every host"));
    }
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', ':']).next().unwrap_or(rest);
        return Err(wrong(not(), format!("write only the host: \"{host}\"")));
    }
    if let Some((host, _)) = text.split_once('/') {
        return Err(wrong(not(), format!("write only the host, \"{host}\"; for the path there is `path`")));
    }
    if let Some(ip) = ip_literal(text) {
        return ip.map(HostPattern::Exact).map_err(|hint| wrong(not(), hint));
    }
    if let Some((host, port)) = text.rsplit_once(':') {
        let hint = format!("hosts match on every port: write \"{host}\"");
        return Err(wrong(format!("the host `{text}` has the port {port}"), hint));
    }
    let (base, wildcard) = match text.strip_prefix("*.") {
        Some(base) => (base, true),
        None => (text, false),
    };
    if base.contains('*') {
        return Err(wrong(not(), wildcard_hint(text)));
    }
    let name = name(base).map_err(|why| wrong(not(), why))?;
    Ok(if wildcard { HostPattern::Wildcard(name) } else { HostPattern::Exact(name) })
}

/// What is sent as `Host`: a name or an address, maybe with a port.
pub fn upstream_host(text: &str) -> Parsed<String> {
    let not = || format!("{} is not a host", shown(text));
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or(rest);
        return Err(wrong(not(), format!("write only the host: \"{host}\"")));
    }
    let port_at = text.rfind(':').filter(|at| !text[*at..].contains(']'));
    let (host, port) = text.split_at(port_at.unwrap_or(text.len()));
    if !port.is_empty() && port[1..].parse::<u16>().is_err() {
        return Err(wrong(not(), "a port is a number, 1 to 65535"));
    }
    let host = match ip_literal(host) {
        Some(ip) => ip.map_err(|hint| wrong(not(), hint))?,
        None => name(host).map_err(|why| wrong(not(), why))?,
    };
    Ok(host + port)
}

/// A DNS name in lower case without its last dot; the error is a hint.
pub fn name(text: &str) -> Result<String, String> {
    let lower = text.to_lowercase();
    let lower = lower.strip_suffix('.').unwrap_or(&lower);
    if lower.is_empty() {
        return Err("the name is empty".to_string());
    }
    if lower.len() > 253 {
        return Err("a host name has at most 253 characters".to_string());
    }
    if !lower.is_ascii() {
        return Err(match to_ascii(lower) {
            Some(ascii) => format!("write international names as clients send them: \"{ascii}\""),
            None => "write international names in their \"xn--\" form".to_string(),
        });
    }
    for label in lower.split('.') {
        check_label(label)?;
    }
    Ok(lower.to_string())
}

fn check_label(label: &str) -> Result<(), String> {
    if label.is_empty() {
        return Err("two dots stand together, or one at the start".to_string());
    }
    if label.len() > 63 {
        return Err("a part between dots has at most 63 characters".to_string());
    }
    if let Some(bad) = label.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')) {
        return Err(match bad {
            ' ' => "a host name cannot have spaces".to_string(),
            bad => format!("a host name cannot have `{}`", bad.escape_debug()),
        });
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(format!("`{label}` cannot begin or end with `-`"));
    }
    Ok(())
}

/// An IP address as a host, in the form clients send; `Err` is the hint for IPv6 without brackets.
fn ip_literal(text: &str) -> Option<Result<String, String>> {
    if let Some(inside) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inside.parse::<Ipv6Addr>().ok().map(|ip| Ok(format!("[{ip}]")));
    }
    match text.parse::<IpAddr>().ok()? {
        IpAddr::V4(ip) => Some(Ok(ip.to_string())),
        IpAddr::V6(ip) => Some(Err(format!("put brackets around IPv6: \"[{ip}]\""))),
    }
}

fn wildcard_hint(text: &str) -> String {
    let rest = text.trim_start_matches('*').trim_start_matches('.');
    match rest.contains('*') || rest.is_empty() {
        true => "`*` can only be the whole first part: \"*.example.com\"".to_string(),
        false => format!("`*` can only be the whole first part: \"*.{rest}\""),
    }
}

/// Every label in the form of RFC 3492 with its "xn--"; only for hints, so without IDNA's tables.
fn to_ascii(name: &str) -> Option<String> {
    let labels: Option<Vec<String>> = name
        .split('.')
        .map(|label| {
            if label.is_ascii() { Some(label.to_string()) } else { Some(format!("xn--{}", punycode(label)?)) }
        })
        .collect();
    Some(labels?.join("."))
}

/// RFC 3492 section 6.3.
fn punycode(label: &str) -> Option<String> {
    let input: Vec<u32> = label.chars().map(u32::from).collect();
    let mut out: String = label.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(out.len()).ok()?;
    let mut handled = basic;
    if basic > 0 {
        out.push('-');
    }
    let (mut n, mut delta, mut bias) = (128u32, 0u32, 72u32);
    while (handled as usize) < input.len() {
        let next = input.iter().copied().filter(|c| *c >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(handled + 1)?)?;
        n = next;
        for c in &input {
            if *c < n {
                delta = delta.checked_add(1)?;
            }
            if *c == n {
                push_variable(&mut out, delta, bias)?;
                bias = adapt(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(out)
}

fn push_variable(out: &mut String, delta: u32, bias: u32) -> Option<()> {
    let mut q = delta;
    for k in (36u32..).step_by(36) {
        let t = k.saturating_sub(bias).clamp(1, 26);
        if q < t {
            break;
        }
        out.push(char::from_digit(t + (q - t) % (36 - t), 36).map(rotate)?);
        q = (q - t) / (36 - t);
    }
    out.push(char::from_digit(q, 36).map(rotate)?);
    Some(())
}

/// `char::from_digit` counts 0-9a-z, punycode a-z0-9.
fn rotate(c: char) -> char {
    let value = c.to_digit(36).unwrap_or(0) as u8;
    char::from(if value < 26 { b'a' + value } else { b'0' + value - 26 })
}

fn adapt(delta: u32, count: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / count;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert_eq!(pattern("Example.COM."), Ok(HostPattern::Exact("example.com".to_string())));
        assert_eq!(pattern("*.example.com"), Ok(HostPattern::Wildcard("example.com".to_string())));
        assert_eq!(pattern("192.0.2.1"), Ok(HostPattern::Exact("192.0.2.1".to_string())));
        assert_eq!(pattern("[::1]"), Ok(HostPattern::Exact("[::1]".to_string())));
        for text in
            ["", "*", "*.", "a.*.com", "*a.com", "a.com:80", "http://a.com", "a.com/x", "::1", "a..b", "a b"]
        {
            assert!(pattern(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_towards_upstreams() {
        for text in ["app.internal", "app.internal:8080", "[::1]:80", "10.0.0.1"] {
            assert_eq!(upstream_host(text), Ok(text.to_string()));
        }
        for text in ["", "http://a", "a:b", "a b", "a\r\nb", "::1"] {
            assert!(upstream_host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn international_names_get_their_sent_form() {
        assert_eq!(to_ascii("münchen.example").as_deref(), Some("xn--mnchen-3ya.example"));
        assert_eq!(to_ascii("例え.jp").as_deref(), Some("xn--r8jz45g.jp"));
        assert_eq!(to_ascii("пример.рф").as_deref(), Some("xn--e1afmkfd.xn--p1ai"));
    }
}
