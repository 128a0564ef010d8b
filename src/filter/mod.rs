//! What stands between a route and its target: it may change a request, answer it, and change the answer on its
//! way back. The set is closed and its order fixed (`chain`); an answer meets the steps of those that met its
//! request, the last first.

pub mod auth;
mod call;
mod chain;
mod coding;
mod compress;
mod cookies;
mod cors;
mod decompress;
mod grpc_web;
mod headers;
mod json;
mod location;
mod maintenance;
mod redirect;
mod remade;
mod replace;
mod rewrite;
mod vary;
mod when;

pub use call::Call;
pub use chain::{Chain, FilterOptions, chain};
pub use coding::{Accepted, Coding};
pub use compress::{Compress, CompressOptions, CompressionLimits, Levels, Types};
pub use cookies::{Cookies, SameSite, Secure};
pub use cors::{Cors, OriginPattern, Origins, RequestFields};
pub use decompress::Decompress;
pub use headers::{HeaderEdits, NamePattern, ValueRewrite};
pub use json::{EACH, JsonEdits, JsonValue, MOST_STEPS, OnError, Operation, Pointer};
pub use location::LocationRewrite;
pub use maintenance::{Maintenance, MaintenancePage};
pub use redirect::{Redirect, RedirectRule, Spelling, TrailingSlash, Www};
pub use replace::{LONGEST_LINE, LineRule, Literals, Replace, Rules};
pub use rewrite::{Rewrite, RewriteRule, Rewritten};
pub use when::When;

use std::sync::Arc;

use http1::ResponseHead;

use crate::message::{Exchange, Failure, FieldName, Recycled, Request, Response};

/// One of those that a route has.
#[derive(Debug, Clone)]
pub enum Filter {
    Compress(Compress),
    Decompress(Decompress),
    /// At most [`headers::MOST_TOGETHER`].
    ResponseHeaders(Vec<HeaderEdits>),
    Cors(Cors),
    Maintenance(Maintenance),
    Spelling(Spelling),
    Redirects(Vec<RedirectRule>),
    Cookies(Cookies),
    Rewrite(Rewrite),
    RequestHeaders(Vec<HeaderEdits>),
    Replace(Replace),
    ResponseJson(Arc<JsonEdits>),
    GrpcWeb,
}

/// What a filter makes of a request.
#[derive(Debug)]
pub enum Decision<'p> {
    Pass,
    /// Something is still to be done to the answer.
    PassThen(ResponseStep<'p>),
    /// It goes no further. The steps of the filters before get this answer like any other.
    Answer(Response<'static>),
    Fail(Failure),
}

/// What a filter still has to do to the answer; `'p` is the proxy, which has the filter's options.
#[derive(Debug)]
pub enum ResponseStep<'p> {
    Compress(&'p Compress, compress::Asked),
    Decompress(&'p Decompress, decompress::Asked),
    Headers(&'p [HeaderEdits], headers::Allowed),
    Cors(&'p Cors, cors::Said),
    Cookies(&'p Cookies),
    Replace(&'p Replace),
    /// Reads the whole body: it is done by [`JsonEdits::edit_answer`].
    Json(&'p JsonEdits),
    GrpcWeb(grpc_web::Wanted),
    /// Fields of the answer that let the request pass.
    Auth(&'p [FieldName], Recycled<ResponseHead>),
}

impl Filter {
    /// Changes the request, and says how it goes on.
    pub fn on_request(&self, exchange: Exchange<'_>, request: &mut Request<'_>) -> Decision<'_> {
        match self {
            Filter::Compress(filter) => {
                Decision::PassThen(ResponseStep::Compress(filter, filter.ask(&mut request.head)))
            }
            Filter::Decompress(filter) => {
                Decision::PassThen(ResponseStep::Decompress(filter, Decompress::ask(&request.head)))
            }
            Filter::ResponseHeaders(edits) => {
                let allowed = headers::Allowed::by(edits, exchange, request);
                Decision::PassThen(ResponseStep::Headers(edits, allowed))
            }
            Filter::Cors(cors) => cors.on_request(request),
            Filter::Maintenance(maintenance) => maintenance.decide(exchange, request),
            Filter::Spelling(spelling) => redirect::to_spelling(*spelling, exchange.client, request),
            Filter::Redirects(rules) => redirect::by_rules(rules, exchange, request),
            Filter::Cookies(cookies) => Decision::PassThen(ResponseStep::Cookies(cookies)),
            Filter::Rewrite(rewrite) => rewrite.apply(exchange, request),
            Filter::RequestHeaders(edits) => {
                headers::edit_request(edits, exchange, request);
                Decision::Pass
            }
            Filter::Replace(replace) => {
                replace.ask(request);
                Decision::PassThen(ResponseStep::Replace(replace))
            }
            Filter::ResponseJson(edits) => {
                json::ask(request);
                Decision::PassThen(ResponseStep::Json(edits))
            }
            Filter::GrpcWeb => match grpc_web::translate(request) {
                Some(wanted) => Decision::PassThen(ResponseStep::GrpcWeb(wanted)),
                None => Decision::Pass,
            },
        }
    }
}

impl<'p> ResponseStep<'p> {
    /// The steps that make these changes, the last first.
    pub fn headers(
        edits: &'p [HeaderEdits],
        exchange: Exchange<'_>,
        request: &Request<'_>,
    ) -> impl Iterator<Item = ResponseStep<'p>> {
        let together = edits.chunks(headers::MOST_TOGETHER).rev();
        together
            .map(move |edits| ResponseStep::Headers(edits, headers::Allowed::by(edits, exchange, request)))
    }

    /// It waits for the body of the answer.
    pub fn waits(&self) -> bool {
        matches!(self, ResponseStep::Json(_))
    }

    /// Changes the answer, be it the target's or one that tells of a failure.
    pub fn on_response(self, exchange: Exchange<'_>, request: &Request<'_>, response: &mut Response<'_>) {
        match self {
            ResponseStep::Compress(filter, asked) => filter.answer(&asked, response),
            ResponseStep::Decompress(filter, asked) => filter.answer(&asked, response),
            ResponseStep::Headers(edits, allowed) => {
                headers::edit_answer(edits, allowed, exchange, request, response);
            }
            ResponseStep::Cors(cors, said) => cors.on_response(&said, response),
            ResponseStep::Cookies(cookies) => cookies.on_response(exchange.client, request, response),
            ResponseStep::Replace(replace) => replace.answer(exchange, request, response),
            ResponseStep::Json(_) => {}
            ResponseStep::GrpcWeb(wanted) => wanted.translate(response),
            ResponseStep::Auth(names, said) => auth::put(names, &said, response),
        }
    }
}
