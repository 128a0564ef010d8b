//! What is known of one request beside the request itself.

use http1::ResponseHead;
use regex::bytes::Captures;

use super::{Client, Protocol, Request, Response};

/// Who asks and which way the request takes.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'e> {
    pub client: &'e Client,
    pub protocol: Protocol,
    /// Name of the route; empty when none was found.
    pub route: &'e str,
    /// The endpoint that was asked last: only once there is an answer.
    pub endpoint: Option<&'e EndpointName>,
}

/// How an endpoint is called by people.
#[derive(Debug, Clone)]
pub struct EndpointName {
    pub upstream: String,
    /// Its address as configured.
    pub label: String,
    /// Its member of a log line.
    pub log_member: Vec<u8>,
}

/// All that a template can tell.
#[derive(Debug, Clone, Copy)]
pub struct Values<'v, 'c> {
    pub exchange: Exchange<'v>,
    pub request: &'v Request<'c>,
    /// Only once there is an answer.
    pub response: Option<&'v ResponseHead>,
    /// What a regex matched, for a text that stands in its place.
    pub groups: Option<&'v Captures<'v>>,
    /// What a page says to whoever sees it.
    pub message: &'static str,
}

impl<'v, 'c> Values<'v, 'c> {
    pub fn of_request(exchange: Exchange<'v>, request: &'v Request<'c>) -> Values<'v, 'c> {
        Values { exchange, request, response: None, groups: None, message: "" }
    }

    pub fn of_answer(
        exchange: Exchange<'v>,
        request: &'v Request<'c>,
        response: &'v Response<'_>,
    ) -> Values<'v, 'c> {
        Values { exchange, request, response: Some(&response.head), groups: None, message: "" }
    }
}
