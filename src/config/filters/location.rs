//! `rewrite_location`.

use crate::config::fields::Fields;
use crate::filter::LocationRewrite;

/// Which redirects of an upstream are changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    None,
    /// Those that name the upstream.
    #[default]
    Absolute,
    /// Also those that name no host, for the sake of a prefix that was taken off.
    All,
}

pub fn lower(fields: &Fields<'_>) -> Option<Scope> {
    let entry = fields.entry("rewrite_location")?;
    match (entry.node.as_boolean(), entry.node.as_text()) {
        (Some(true), _) => Some(Scope::Absolute),
        (Some(false), _) => Some(Scope::None),
        (_, Some("all")) => Some(Scope::All),
        _ => None,
    }
}

impl Scope {
    pub fn rewrite(self, upstream_host: Option<&str>, prefix: Option<&str>) -> Option<LocationRewrite> {
        (self != Scope::None).then(|| LocationRewrite {
            upstream_host: upstream_host.map(str::to_owned),
            prefix: prefix.map(str::to_owned),
            relative: self == Scope::All,
        })
    }
}
