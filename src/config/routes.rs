//! `[routes.NAME]`: match, target and the rest put together.

use std::collections::BTreeSet;

use super::fields::Fields;
use super::filters;
use super::settings::{self, Settings};
use super::{matches, merge, split, targets, tls};
use crate::certificates::Material;
use crate::filter::FilterOptions;
use crate::route::{RouteOptions, TargetOptions};

/// `None` when the target is wrong; that was reported.
pub fn lower(
    name: &str,
    fields: &Fields<'_>,
    defaults: &Settings,
    upstreams: &BTreeSet<&str>,
    material: &mut Material,
) -> Option<RouteOptions> {
    let matches = matches::lower(fields);
    let tls = tls::lower_route(fields, material);
    let own = settings::lower(fields);
    filters::check_strip_prefix(fields, &matches.path);
    for target in ["redirect", "respond", "files"] {
        let forwards = ["upstream", "split"].iter().any(|name| fields.key(name).is_some());
        if fields.key(target).is_some() && !forwards {
            settings::refuse_without_upstream(fields, target);
        }
    }
    if fields.key("merge").is_some() && !["upstream", "split"].iter().any(|name| fields.key(name).is_some()) {
        settings::refuse_with_merge(fields);
    }
    split::check_alone(fields);
    merge::check_alone(fields);
    let (mirror, fallback) = (split::mirror(fields, upstreams), split::fallback(fields, upstreams));
    let target = targets::lower(fields, upstreams)?;
    let mut complete = own.complete(defaults, &matches.path);
    leave_bodies_alone(&mut complete.filters, &target);
    Some(RouteOptions {
        name: name.to_string(),
        matches,
        tls,
        target,
        filters: complete.filters,
        upstream_host: complete.upstream_host,
        forwarded: complete.forwarded,
        forward_client_certificate: complete.forward_client_certificate,
        timeouts: complete.timeouts,
        retry: complete.retry,
        mirror,
        fallback,
        request_body: complete.request_body,
        max_body_size: complete.max_body_size,
    })
}

/// What `[defaults]` says of bodies is about upstreams.
fn leave_bodies_alone(filters: &mut FilterOptions, target: &TargetOptions) {
    match target {
        TargetOptions::Upstream(_) | TargetOptions::Split(_) => {}
        TargetOptions::Merge(_) => filters.request_json = None,
        TargetOptions::Redirect(_) | TargetOptions::Fixed(_) | TargetOptions::Files(_) => {
            filters.request_json = None;
            filters.response_json = None;
            filters.replace = None;
        }
    }
}
