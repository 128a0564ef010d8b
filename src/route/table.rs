//! All routes of a configuration, ready to be looked up: most specific first.

use std::net::IpAddr;

use http1::RequestHead;

use super::explain::{self, Explanation};
use super::options::{RouteMatch, RouteOptions};

/// Finds the route of a request.
///
/// A request takes the route whose match is most specific: exact host before wildcard (a longer one before
/// a shorter one) before any host; then exact path before prefix (a longer one before a shorter one)
/// before regex before any path; then a route with methods before one without; then more header, query
/// and client conditions before fewer; then the lesser name. Two regexes are equally specific. Where a
/// more specific route does not match as a whole, the next one is tried, also one of a less specific host.
#[derive(Debug)]
pub struct Table {
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    name: String,
    matches: RouteMatch,
}

impl Table {
    /// Makes a table; [`Table::find`] gives indices into `routes`.
    pub fn build(routes: &[RouteOptions]) -> Table {
        let routes = routes
            .iter()
            .map(|options| Route { name: options.name.clone(), matches: options.matches.clone() });
        Table { routes: routes.collect() }
    }

    /// The route for a request; `None` when none matches. The path of `head` is canonical
    /// ([`super::path::canonicalise`]); `client` is the address that is believed.
    pub fn find(&self, head: &RequestHead, client: IpAddr) -> Option<usize> {
        self.explain(head, client).winner
    }

    /// Why [`Table::find`] gives what it gives; slow, for people.
    pub fn explain(&self, head: &RequestHead, client: IpAddr) -> Explanation {
        let routes: Vec<_> = self.routes.iter().map(|route| (route.name.as_str(), &route.matches)).collect();
        explain::explain(&routes, head, client)
    }
}
