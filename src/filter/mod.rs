//! What stands between a route and its target: it may change a request, and the answer on its way back. The set is
//! closed and its order fixed; an answer meets the steps of those that met its request.

mod call;
mod grpc_web;

pub use call::Call;

use crate::message::{Request, Response};

/// One of those that a route has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    GrpcWeb,
}

/// What a filter still has to do to the answer.
#[derive(Debug)]
pub enum ResponseStep {
    GrpcWeb(grpc_web::Wanted),
}

impl Filter {
    /// Changes the request; gives what has to be done to its answer.
    pub fn on_request(self, request: &mut Request<'_>) -> Option<ResponseStep> {
        match self {
            Filter::GrpcWeb => grpc_web::translate(request).map(ResponseStep::GrpcWeb),
        }
    }
}

impl ResponseStep {
    /// Changes the answer, be it the target's or one that tells of a failure.
    pub fn on_response(self, response: &mut Response<'_>) {
        match self {
            ResponseStep::GrpcWeb(wanted) => wanted.translate(response),
        }
    }
}
