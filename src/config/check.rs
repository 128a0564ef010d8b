//! From `ConfigFile` to `Config`: every section in turn, then what only several of them together show.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Place, Problems, Severity};
use super::fields::Fields;
use super::file::ConfigFile;
use super::filters;
use super::keys::{self, Section};
use super::listeners::{self, Listener};
use super::origin_tls::SystemRoots;
use super::settings::Settings;
use super::shadow;
use super::split;
use super::suggest;
use super::tree::{Entry, Table, Value};
use super::{
    AdminOptions, Config, certificates, dns, error_pages, grpc, routes, server, settings, shape, tls,
    upstreams,
};
use crate::certificates::Material;
use crate::filter::auth::Identity;
use crate::listen::ListenAddress;
use crate::message::PathPattern;
use crate::observe::AccessLogOptions;
use crate::route::RouteOptions;
use crate::upstream::{DnsOptions, UpstreamOptions};

/// Reports all mistakes; the value is worth something only if there are none.
pub fn lower(file: &ConfigFile, problems: &Problems) -> Config {
    let root = &file.root;
    shape::check(root, problems);
    let server =
        single(root, "server", problems).map_or_else(server::default_server, |f| server::lower_server(&f));
    let dns = single(root, "dns", problems).map_or_else(DnsOptions::default, |f| dns::lower(&f));
    let admin = admin(root, problems);
    let log = single(root, "log", problems).map_or_else(AccessLogOptions::default, |f| server::lower_log(&f));
    let mut material = Material::default();
    for (entry, fields) in each(root, "certificates", problems) {
        certificates::lower(&entry.key, &fields, &mut material);
    }
    let listeners = lower_listeners(root, &admin, &mut material, problems);
    for place in listeners.iter().filter_map(|listener| listener.proxies) {
        if server.trusted_proxies.is_empty() {
            let message = "`proxy_protocol` without `trusted_proxies`: nobody could connect";
            let hint = "name those that speak it: `trusted_proxies = [\"10.0.0.0/8\"]` in `[server]`";
            problems.add(Diagnostic::error(place, message).hint(hint));
        }
    }
    let upstreams = lower_upstreams(root, server.workers, problems);
    let defaults = single(root, "defaults", problems).map_or_else(Settings::default, |f| settings::lower(&f));
    let routes = lower_routes(root, &defaults, &mut material, problems);
    check_auth(root, &routes, problems);
    let pages = each(root, "error_pages", problems);
    let pages = pages.filter_map(|(entry, fields)| error_pages::lower(&entry.key, &entry.place, &fields));
    let error_pages = error_pages::without_twins(pages.collect(), problems);
    check_tls(root, &listeners, &routes, problems);
    for (entry, fields) in each(root, "routes", problems) {
        grpc::check(&fields, &entry.place, &routes, &upstreams);
    }
    for (section, hint) in [
        ("listeners", "add `[listeners.http]` with `address = \":80\"`"),
        ("routes", "add `[routes.all]` with `upstream = \"NAME\"`"),
    ] {
        if named(root, section).is_empty() && !is_misspelt(root, section) {
            let mut diagnostic = Diagnostic::everywhere(
                Severity::Error,
                format!("`{}` has no {section}", file.start.source.name),
            );
            diagnostic.hint = Some(hint.to_string());
            problems.add(diagnostic);
        }
    }
    warn_unused(root, problems);
    let listeners = listeners.into_iter().map(|listener| listener.options).collect();
    let routes = routes.into_iter().map(|(route, _)| route).collect();
    let unrouted = defaults.complete(&Settings::default(), &PathPattern::Any).filters.response_headers;
    Config { listeners, material, upstreams, routes, unrouted, error_pages, dns, server, admin, log }
}

pub fn admin(root: &Table, problems: &Problems) -> AdminOptions {
    single(root, "admin", problems).map_or_else(AdminOptions::default, |fields| server::lower_admin(&fields))
}

/// A section with names that has none, or is not a table: that was reported, or is as good as absent.
fn named<'a>(root: &'a Table, section: &str) -> Vec<&'a Entry> {
    match root.get(section).map(|entry| &entry.node.value) {
        Some(Value::Table(table)) => {
            table.entries.iter().filter(|entry| matches!(entry.node.value, Value::Table(_))).collect()
        }
        _ => Vec::new(),
    }
}

/// Some other mistake already tells why the section is not there.
fn is_misspelt(root: &Table, section: &str) -> bool {
    let reported = root.get(section).is_some_and(|entry| match &entry.node.value {
        Value::Table(table) => !table.entries.is_empty(),
        _ => true,
    });
    let leads_here = |entry: &Entry| {
        let hint = suggest::section_hint(&entry.key);
        keys::section(&entry.key).is_none() && !hint.starts_with("known") && hint.contains(section)
    };
    reported || root.entries.iter().any(leads_here)
}

fn single<'a>(root: &'a Table, name: &str, problems: &'a Problems) -> Option<Fields<'a>> {
    let entry = root.get(name)?;
    let Value::Table(table) = &entry.node.value else { return None };
    Some(Fields::new(name, keys::section(name)?.keys, table, &entry.place, problems))
}

fn each<'a>(
    root: &'a Table,
    section: &'static str,
    problems: &'a Problems,
) -> impl Iterator<Item = (&'a Entry, Fields<'a>)> {
    let keys = keys::section(section).map_or(&[][..], |section: &Section| section.keys);
    named(root, section).into_iter().filter_map(move |entry| {
        let Value::Table(table) = &entry.node.value else { return None };
        Some((entry, Fields::new(format!("{section}.NAME"), keys, table, &entry.place, problems)))
    })
}

fn lower_listeners<'a>(
    root: &'a Table,
    admin: &AdminOptions,
    material: &mut Material,
    problems: &'a Problems,
) -> Vec<Listener<'a>> {
    let mut all: Vec<Listener<'_>> = Vec::new();
    for (entry, fields) in each(root, "listeners", problems) {
        all.extend(listeners::lower(&entry.key, &fields, material));
    }
    for diagnostic in listeners::conflicts(&all) {
        problems.add(diagnostic);
    }
    if let Some(address) = admin.address.filter(|address| address.port() != 0) {
        for listener in all.iter().filter(|l| l.options.address == ListenAddress::Tcp(address)) {
            let message =
                format!("the listener `{}` and `[admin]` have the same address", listener.options.name);
            problems.add(Diagnostic::error(listener.place, message).hint("give `[admin]` a port of its own"));
        }
    }
    all
}

fn lower_upstreams(root: &Table, workers: usize, problems: &Problems) -> Vec<Arc<UpstreamOptions>> {
    let lowered = each(root, "upstreams", problems);
    let system = SystemRoots::default();
    lowered
        .filter_map(|(entry, fields)| upstreams::lower(&entry.key, &fields, workers, &system))
        .map(Arc::new)
        .collect()
}

fn lower_routes<'a>(
    root: &'a Table,
    defaults: &Settings,
    material: &mut Material,
    problems: &'a Problems,
) -> Vec<(RouteOptions, &'a Place)> {
    let upstreams: BTreeSet<&str> = named(root, "upstreams").iter().map(|entry| entry.key.as_str()).collect();
    let mut lowered: Vec<(RouteOptions, &'a Place)> = Vec::new();
    for (entry, fields) in each(root, "routes", problems) {
        let route = routes::lower(&entry.key, &fields, defaults, &upstreams, material);
        lowered.extend(route.map(|route| (route, &entry.place)));
    }
    // A wrong host or path reads as "any", so comparing would accuse the innocent.
    if !problems.has_errors() {
        shadow::check(&lowered, problems);
    }
    lowered
}

/// Who is asked whether requests may go on, and that nobody believes before what only they can say.
fn check_auth(root: &Table, lowered: &[(RouteOptions, &Place)], problems: &Problems) {
    let upstreams: BTreeSet<&str> = named(root, "upstreams").iter().map(|entry| entry.key.as_str()).collect();
    let routes = each(root, "routes", problems).map(|(_, fields)| fields);
    for fields in routes.chain(single(root, "defaults", problems)) {
        filters::check_forward_auth(&fields, &upstreams);
    }
    let asked = lowered.iter().filter_map(|(route, _)| route.filters.forward_auth.as_ref());
    let identities: Vec<&Identity> = asked.map(|options| &*options.identity).collect();
    for (entry, fields) in each(root, "routes", problems) {
        let Some((route, _)) = lowered.iter().find(|(route, _)| route.name == entry.key) else { continue };
        let is_claim = |name: &str| identities.iter().any(|identity| identity.is_claimed_by(name.as_bytes()));
        let claim = route.matches.headers.iter().find(|condition| is_claim(&condition.name));
        if let (Some(condition), Some(place)) = (claim, fields.key("headers")) {
            let message = format!("this would believe what a client says of `{}`", condition.name);
            let hint = "a route is chosen before `forward_auth` says who it is: let the upstream look at it";
            problems.add(Diagnostic::error(place, message).hint(hint));
        }
    }
}

fn check_tls(
    root: &Table,
    listeners: &[Listener<'_>],
    routes: &[(RouteOptions, &Place)],
    problems: &Problems,
) {
    let listeners: Vec<_> = listeners.iter().map(|listener| (&listener.options, listener.place)).collect();
    let certificates = named(root, "certificates");
    let has_certificates = !certificates.is_empty() || is_misspelt(root, "certificates");
    let first = certificates.first().map(|entry| &entry.place);
    tls::check(&listeners, routes, first, has_certificates, problems);
}

fn warn_unused(root: &Table, problems: &Problems) {
    // With a misspelt reference it may be this one that is meant.
    if problems.has_errors() {
        return;
    }
    let routes = each(root, "routes", problems);
    let mut used: BTreeSet<String> = routes.flat_map(|(_, fields)| split::named(&fields)).collect();
    let routes = each(root, "routes", problems).map(|(_, fields)| fields);
    let asking = routes.chain(single(root, "defaults", problems));
    used.extend(asking.filter_map(|fields| filters::asked_upstream(&fields)));
    for upstream in named(root, "upstreams").iter().filter(|upstream| !used.contains(&upstream.key)) {
        let message = format!("no route uses the upstream `{}`", upstream.key);
        let hint = format!("add a route with `upstream = \"{}\"`, or remove it", upstream.key);
        problems.add(Diagnostic::warning(&upstream.place, message).hint(hint));
    }
}
