//! Messages without a protocol: who asks, what is asked, what is answered, and why there is no answer.

pub mod accept_encoding;
mod body;
mod client;
pub mod client_certificate;
pub mod convert;
mod failure;
mod file;
pub mod grpc;
mod interim;
mod outgoing;
pub mod pages;
mod recycled;
mod request;
mod request_id;
mod response;
mod secured;
pub mod websocket;

pub use body::{Body, BodyStream, Far, Upgraded};
pub use client::{Client, Http2, Protocol, network};
pub use client_certificate::ClientCertificate;
pub use failure::{Blame, Failure};
pub use file::{FileBody, StoredFile, failure_of};
pub use interim::Interim;
pub use outgoing::{Outgoing, OutgoingError};
pub use recycled::{Recycle, Recycled};
pub use request::{Request, Upgrade};
pub use request_id::RequestId;
pub use response::Response;
pub use secured::{PolicyMark, Secured};
