//! Host names and the patterns that cover them. Requests bring names in lower case, without port and
//! trailing dot; patterns are brought to the same form here.

use super::options::HostPattern;

/// How exactly a route names a host; more is more specific.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HostRank {
    /// The route names no host.
    Any,
    /// Bytes behind the `*.`; of two wildcards that cover a name the longer has more labels.
    Wildcard(usize),
    Exact,
}

/// Longest name that DNS knows (RFC 1035 section 2.3.4). A longer one takes routes without hosts only,
/// which bounds the work for a hostile name.
pub(super) const MAX_NAME: usize = 253;

/// The most specific of a route's hosts that covers the name; `None` when none does.
pub(super) fn best_cover(patterns: &[HostPattern], name: &[u8]) -> Option<HostRank> {
    if patterns.is_empty() {
        return Some(HostRank::Any);
    }
    patterns.iter().filter_map(|pattern| cover(pattern, name)).max()
}

fn cover(pattern: &HostPattern, name: &[u8]) -> Option<HostRank> {
    if name.len() > MAX_NAME {
        return None;
    }
    match pattern {
        HostPattern::Exact(exact) => (normalise(exact).as_bytes() == name).then_some(HostRank::Exact),
        HostPattern::Wildcard(parent) => {
            let parent = normalise(parent);
            let front = name.strip_suffix(parent.as_bytes())?.strip_suffix(b".")?;
            (!front.is_empty()).then_some(HostRank::Wildcard(parent.len()))
        }
    }
}

/// Lower case, no trailing dot.
pub(super) fn normalise(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
