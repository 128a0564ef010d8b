//! Nobody gets through but those who work on it.

use std::net::IpAddr;
use std::time::Duration;

use http1::Name;
use ipnet::IpNet;

use super::Decision;
use crate::message::{Exchange, Request, Response, SharedText, pages};

/// `maintenance = { allow = ["10.0.0.0/8"], retry_after = "10m" }`
#[derive(Debug, Clone)]
pub struct Maintenance {
    /// Clients that are served as ever.
    pub allow: Vec<IpNet>,
    /// When clients should ask again.
    pub retry_after: Duration,
    /// In place of the proxy's own page.
    pub page: Option<MaintenancePage>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenancePage {
    pub body: SharedText,
    pub content_type: String,
}

impl Maintenance {
    pub fn decide(&self, exchange: Exchange<'_>, request: &Request<'_>) -> Decision<'static> {
        if self.lets_in(exchange.client.address) {
            return Decision::Pass;
        }
        let mut response = match &self.page {
            Some(page) => {
                let mut response = Response::of(503, page.content_type.as_bytes(), page.body.body());
                response.head.fields.push(Name::CacheControl, b"Cache-Control", b"no-store");
                response
            }
            None => pages::page(503, &request.head, &request.id),
        };
        let seconds = self.retry_after.as_secs().to_string();
        response.head.fields.push(Name::Other, b"Retry-After", seconds.as_bytes());
        Decision::Answer(response)
    }

    fn lets_in(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.allow.iter().any(|network| network.contains(&client))
    }
}
