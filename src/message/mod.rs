//! Messages without a protocol: who asks, what is asked, what is answered, and why there is no answer.

mod body;
mod client;
pub mod client_certificate;
mod collected;
pub mod convert;
pub mod error_pages;
mod escape;
mod exchange;
mod failure;
mod field_name;
pub mod grpc;
mod interim;
pub mod json;
mod media_range;
mod outgoing;
pub mod pages;
pub mod path;
mod recycled;
mod request;
mod request_id;
mod response;
mod secured;
mod status_set;
mod template;
pub mod websocket;

pub use body::{Body, BodyStream, Far, Upgraded};
pub use client::{Client, Http2, Protocol, network};
pub use client_certificate::ClientCertificate;
pub use collected::{Collected, Reading, Stop};
pub use escape::Escape;
pub use exchange::{EndpointName, Exchange, Values};
pub use failure::{Blame, Failure};
pub use field_name::{FieldName, push_checked};
pub use interim::Interim;
pub use media_range::MediaRange;
pub use outgoing::{Outgoing, OutgoingError};
pub use recycled::{Recycle, Recycled};
#[cfg(test)]
pub use request::staged;
pub use request::{Request, Upgrade};
pub use request_id::RequestId;
pub use response::Response;
pub use secured::{PolicyMark, Secured};
pub use status_set::StatusSet;
pub use template::{Moment, Template, TemplateError, Variable};
