//! What gRPC needs of a route: servers that speak HTTP/2.

use std::sync::Arc;

use super::diagnostic::{Diagnostic, Place, Problems};
use super::fields::Fields;
use crate::route::{RouteOptions, TargetOptions};
use crate::upstream::{Protocol, UpstreamOptions};

/// Whether all servers of a target can get calls.
pub fn reaches(target: &TargetOptions, upstreams: &[Arc<UpstreamOptions>]) -> bool {
    let speaks = |name: &str| {
        let mut named = upstreams.iter().filter(|upstream| upstream.name == name);
        named.any(|upstream| !matches!(upstream.protocol, Protocol::Http1 | Protocol::FastCgi))
    };
    match target {
        TargetOptions::Upstream(name) => speaks(name),
        TargetOptions::Split(split) => split.shares.iter().all(|(name, _)| speaks(name)),
        TargetOptions::Merge(_)
        | TargetOptions::Redirect(_)
        | TargetOptions::Fixed(_)
        | TargetOptions::Files(_) => false,
    }
}

/// `grpc_web` of a route. `[defaults]` is not held to it: there it means the routes that can have it.
pub fn check(
    fields: &Fields<'_>,
    place: &Place,
    routes: &[(RouteOptions, &Place)],
    upstreams: &[Arc<UpstreamOptions>],
) {
    let wanted = fields.entry("grpc_web").filter(|entry| entry.node.as_boolean() == Some(true));
    let route = routes.iter().find(|(_, known)| std::ptr::eq(*known, place)).map(|(route, _)| route);
    let (Some(entry), Some(route)) = (wanted, route) else { return };
    let known = |name: &str| upstreams.iter().any(|upstream| upstream.name == name);
    let complete = match &route.target {
        TargetOptions::Upstream(name) => known(name),
        TargetOptions::Split(split) => split.shares.iter().all(|(name, _)| known(name)),
        TargetOptions::Merge(_)
        | TargetOptions::Redirect(_)
        | TargetOptions::Fixed(_)
        | TargetOptions::Files(_) => false,
    };
    if complete && !reaches(&route.target, upstreams) {
        report(fields.problems, &entry.place);
    }
}

fn report(problems: &Problems, place: &Place) {
    let message = "`grpc_web` makes calls of gRPC, which need servers that speak HTTP/2";
    let hint = "add `protocol = \"http2\"` to the upstream";
    problems.add(Diagnostic::error(place, message).hint(hint));
}
