//! What filters a route has, by its own keys and those of `[defaults]`. One file each.

mod compress;
mod cookies;
mod cors;
mod forward_auth;
mod headers;
mod json_edits;
mod location;
mod maintenance;
mod redirects;
mod replace;
mod rewrite;
mod security;

pub use compress::lower_limits as compression_limits;
pub use forward_auth::{asked as asked_upstream, check as check_forward_auth};
pub use redirects::target as redirect_target;
pub use rewrite::{check_strip_prefix, covers};

use super::fields::Fields;
use super::tree::Value;
use std::sync::Arc;

use crate::filter::auth::ForwardAuthOptions;
use crate::filter::{
    Cookies, Cors, FilterOptions, HeaderEdits, JsonEdits, Maintenance, RedirectRule, Replace, Spelling,
};
use crate::message::PathPattern;

/// As written in one place; what is absent comes from `[defaults]`, then from us.
#[derive(Default, Clone)]
pub struct Written {
    security_headers: Option<Switched<Vec<HeaderEdits>>>,
    response_headers: Option<headers::Written>,
    request_headers: Option<headers::Written>,
    cors: Option<Switched<Cors>>,
    maintenance: Option<Switched<Maintenance>>,
    trailing_slash: Option<redirects::Slash>,
    www: Option<redirects::Prefix>,
    redirects: Option<Vec<RedirectRule>>,
    forward_auth: Option<Switched<Arc<ForwardAuthOptions>>>,
    cookies: Option<Switched<Cookies>>,
    rewrite: rewrite::Written,
    location: Option<location::Scope>,
    replace: Option<Switched<Replace>>,
    request_json: Option<Switched<Arc<JsonEdits>>>,
    response_json: Option<Switched<Arc<JsonEdits>>>,
    grpc_web: Option<bool>,
    compress: compress::Written,
    decompress: Option<bool>,
}

/// `false`, or options.
pub type Switched<T> = Option<T>;

pub fn lower(fields: &Fields<'_>) -> Written {
    Written {
        security_headers: security::lower(fields),
        response_headers: headers::lower(fields, "response_headers"),
        request_headers: headers::lower(fields, "request_headers"),
        cors: cors::lower(fields),
        maintenance: maintenance::lower(fields),
        trailing_slash: redirects::trailing_slash(fields),
        www: redirects::www(fields),
        redirects: redirects::rules(fields),
        forward_auth: forward_auth::lower(fields),
        cookies: cookies::lower(fields),
        rewrite: rewrite::lower(fields),
        location: location::lower(fields),
        replace: replace::lower(fields),
        request_json: json_edits::lower(fields, "request_json"),
        response_json: json_edits::lower(fields, "response_json"),
        grpc_web: fields.boolean("grpc_web"),
        compress: compress::lower(fields),
        decompress: fields.boolean("decompress"),
    }
}

impl Written {
    /// These win over `defaults`; `path` and `upstream_host` are the route's.
    pub fn complete(
        self,
        defaults: &Written,
        path: &PathPattern,
        upstream_host: Option<&str>,
    ) -> FilterOptions {
        let security = self.security_headers.or_else(|| defaults.security_headers.clone()).flatten();
        // Before what the route says itself, so that it has the last word.
        let mut response_headers = security.unwrap_or_default();
        response_headers.extend(headers::merge(&defaults.response_headers, self.response_headers));
        let rewrite = self.rewrite.complete(&defaults.rewrite, path);
        let scope = self.location.or(defaults.location).unwrap_or_default();
        FilterOptions {
            compress: self.compress.complete(&defaults.compress),
            decompress: self.decompress.or(defaults.decompress).unwrap_or(false),
            response_headers,
            cors: self.cors.or_else(|| defaults.cors.clone()).flatten(),
            maintenance: self.maintenance.or_else(|| defaults.maintenance.clone()).flatten(),
            spelling: Spelling {
                slash: self.trailing_slash.or(defaults.trailing_slash).and_then(|slash| slash.0),
                www: self.www.or(defaults.www).and_then(|www| www.0),
            },
            redirects: self.redirects.or_else(|| defaults.redirects.clone()).unwrap_or_default(),
            forward_auth: self.forward_auth.or_else(|| defaults.forward_auth.clone()).flatten(),
            cookies: self.cookies.or_else(|| defaults.cookies.clone()).flatten(),
            location: scope.rewrite(upstream_host, rewrite.strip_prefix.as_deref()),
            rewrite,
            request_headers: headers::merge(&defaults.request_headers, self.request_headers),
            replace: self.replace.or_else(|| defaults.replace.clone()).flatten(),
            request_json: self.request_json.or_else(|| defaults.request_json.clone()).flatten(),
            response_json: self.response_json.or_else(|| defaults.response_json.clone()).flatten(),
            grpc_web: self.grpc_web.or(defaults.grpc_web).unwrap_or(false),
        }
    }
}

/// The value of a key that is a boolean or a table: `lower` gets the table, or nothing for `true`. `None` when the
/// key is not there.
fn switched<T>(
    fields: &Fields<'_>,
    key: &str,
    lower: impl FnOnce(Option<&Fields<'_>>) -> Option<T>,
) -> Option<Switched<T>> {
    let entry = fields.entry(key)?;
    match (&entry.node.value, entry.node.as_boolean()) {
        (Value::Table(_), _) => Some(lower(Some(&fields.table_in(key, &entry.node)?))),
        (_, Some(true)) => Some(lower(None)),
        _ => Some(None),
    }
}
