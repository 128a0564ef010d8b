//! The one order in which a request meets the filters of its route. An answer meets them from the end.

use std::sync::Arc;

use super::auth::ForwardAuthOptions;
use super::headers::MOST_TOGETHER;
use super::{
    Compress, CompressOptions, CompressionLimits, Cookies, Cors, Decompress, Filter, HeaderEdits, JsonEdits,
    LocationRewrite, Maintenance, RedirectRule, Replace, Rewrite, Spelling,
};

/// What a route asks of filters.
#[derive(Debug, Clone, Default)]
pub struct FilterOptions {
    /// Answers are compressed for clients that take that.
    pub compress: Option<CompressOptions>,
    /// Answers are decompressed for clients that do not take what they are coded in.
    pub decompress: bool,
    pub response_headers: Vec<HeaderEdits>,
    pub cors: Option<Cors>,
    pub maintenance: Option<Maintenance>,
    pub spelling: Spelling,
    pub redirects: Vec<RedirectRule>,
    /// Not a filter: it waits for another server, between those before it and those behind.
    pub forward_auth: Option<Arc<ForwardAuthOptions>>,
    pub cookies: Option<Cookies>,
    /// What happens to the path on its way to the target.
    pub rewrite: Rewrite,
    pub request_headers: Vec<HeaderEdits>,
    /// Text in answers.
    pub replace: Option<Replace>,
    pub response_json: Option<Arc<JsonEdits>>,
    /// Not a filter: it waits for the body of the request, behind all filters.
    pub request_json: Option<Arc<JsonEdits>>,
    /// Calls of gRPC-Web are translated.
    pub grpc_web: bool,
    /// Redirects of the upstream; not a filter, as nearly no answer has one.
    pub location: Option<LocationRewrite>,
}

/// The filters of a route in their order.
#[derive(Debug)]
pub struct Chain {
    /// Nobody is asked before these.
    pub open: Vec<Filter>,
    /// These see only requests that may go on.
    pub guarded: Vec<Filter>,
}

/// `limits` are those of `[server]`.
pub fn chain(options: &FilterOptions, limits: CompressionLimits) -> Chain {
    let compress = options.compress.clone().map(|options| Compress { options, limits });
    let edits = |edits: &[HeaderEdits]| (!edits.is_empty()).then(|| edits.to_vec());
    let FilterOptions { spelling, redirects, rewrite, .. } = options;
    let coding = [
        // What other filters answer, and what they make of an answer, is compressed too.
        compress.map(Filter::Compress),
        options.decompress.then_some(Filter::Decompress(Decompress { memory: limits.memory })),
    ];
    // The answer meets them from the end.
    let together = options.response_headers.chunks(MOST_TOGETHER).rev();
    let response_headers = together.map(|edits| Filter::ResponseHeaders(edits.to_vec()));
    let open = [
        // A page of another origin may see also that there is maintenance.
        options.cors.clone().map(Filter::Cors),
        options.maintenance.clone().map(Filter::Maintenance),
        (*spelling != Spelling::default()).then_some(Filter::Spelling(*spelling)),
        (!redirects.is_empty()).then(|| Filter::Redirects(redirects.clone())),
    ];
    let guarded = [
        options.cookies.clone().map(Filter::Cookies),
        (!rewrite.is_nothing()).then(|| Filter::Rewrite(rewrite.clone())),
        edits(&options.request_headers).map(Filter::RequestHeaders),
        options.replace.clone().map(Filter::Replace),
        options.response_json.clone().map(Filter::ResponseJson),
        options.grpc_web.then_some(Filter::GrpcWeb),
    ];
    let open = coding.into_iter().flatten().chain(response_headers).chain(open.into_iter().flatten());
    Chain { open: open.collect(), guarded: guarded.into_iter().flatten().collect() }
}
