//! What a user sets about a route: its match, its target, its limits.

use ipnet::IpNet;

use super::ClientCertificateMatch;
use crate::certificates::HostTlsOptions;
use crate::files::FilesOptions;
use crate::filter::{FilterOptions, Redirect};
use crate::merge::MergeOptions;
use crate::message::{HeaderCondition, PathPattern, QueryCondition, SharedText};
use crate::upstream::mirror::MirrorOptions;
use crate::upstream::split::SplitOptions;
use crate::upstream::{BodyMode, RetryOptions, Timeouts};

/// One `[routes.NAME]`, checked and complete (`[defaults]` already applied).
#[derive(Debug, Clone)]
pub struct RouteOptions {
    pub name: String,
    pub matches: RouteMatch,
    /// What is asked of clients of the route's hosts before they send a request.
    pub tls: HostTlsOptions,
    pub target: TargetOptions,
    pub filters: FilterOptions,
    /// `Host` towards the upstream; the client's when `None`.
    pub upstream_host: Option<String>,
    /// Also send the `Forwarded` field (RFC 7239).
    pub forwarded: bool,
    /// Tell the upstream what the client's certificate says.
    pub forward_client_certificate: bool,
    pub timeouts: Timeouts,
    pub retry: RetryOptions,
    pub mirror: Option<MirrorOptions>,
    pub fallback: Option<FallbackOptions>,
    pub request_body: BodyMode,
    /// Largest request body in bytes; more is a 413.
    pub max_body_size: u64,
}

/// Everything that must hold for a request to take a route; what is empty holds always.
#[derive(Debug, Clone, Default)]
pub struct RouteMatch {
    pub hosts: Vec<HostPattern>,
    pub path: PathPattern,
    /// Upper-case method names as written by the user; methods are case-sensitive (RFC 9110 section 9.1).
    pub methods: Vec<String>,
    pub headers: Vec<HeaderCondition>,
    pub query: Vec<QueryCondition>,
    pub clients: Vec<IpNet>,
    pub client_certificate: Option<ClientCertificateMatch>,
}

/// Host names are kept in lower case, without port and trailing dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    Exact(String),
    /// `*.example.com` is kept as `example.com`; it covers one or more labels in front.
    Wildcard(String),
}

/// What answers.
#[derive(Debug, Clone)]
pub enum TargetOptions {
    /// Name of an upstream that exists.
    Upstream(String),
    Split(SplitOptions),
    Merge(MergeOptions),
    Redirect(Redirect),
    Fixed(FixedAnswer),
    Files(Box<FilesOptions>),
}

/// What answers when the upstream has nobody left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FallbackOptions {
    /// Name of another upstream that exists.
    Upstream(String),
    Page(FixedAnswer),
}

/// `respond = { status = 403, body = "no", content_type = "text/plain" }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedAnswer {
    /// 200 to 599.
    pub status: u16,
    pub body: SharedText,
    pub content_type: String,
}
