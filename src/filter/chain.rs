//! The one order in which a request meets the filters of its route. An answer meets them from the end.

use std::sync::Arc;

use super::{Filter, HeaderEdits, JsonEdits, Replace, Rewrite};

/// What a route asks of filters.
#[derive(Debug, Clone, Default)]
pub struct FilterOptions {
    pub response_headers: Vec<HeaderEdits>,
    /// What happens to the path on its way to the target.
    pub rewrite: Option<Rewrite>,
    pub request_headers: Vec<HeaderEdits>,
    /// Text in answers.
    pub replace: Option<Replace>,
    pub response_json: Option<Arc<JsonEdits>>,
    /// Not a filter: it waits for the body of the request, behind all filters.
    pub request_json: Option<Arc<JsonEdits>>,
    /// Calls of gRPC-Web are translated.
    pub grpc_web: bool,
}

/// The filters in their order.
pub fn chain(options: &FilterOptions) -> Vec<Filter> {
    let edits = |edits: &[HeaderEdits]| (!edits.is_empty()).then(|| edits.to_vec());
    let filters = [
        edits(&options.response_headers).map(Filter::ResponseHeaders),
        options.rewrite.clone().map(Filter::Rewrite),
        edits(&options.request_headers).map(Filter::RequestHeaders),
        options.replace.clone().map(Filter::Replace),
        options.response_json.clone().map(Filter::ResponseJson),
        options.grpc_web.then_some(Filter::GrpcWeb),
    ];
    filters.into_iter().flatten().collect()
}
