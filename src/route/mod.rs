//! Which route, and what answers.

mod client_certificate;
mod condition;
mod explain;
mod host;
mod options;
pub use crate::message::path;
mod path_index;
pub mod table;

pub use client_certificate::{ClientCertificateMatch, Glob};
pub use condition::Asker;
pub use explain::{Explanation, Step};
pub use options::{FallbackOptions, FixedAnswer, HostPattern, RouteMatch, RouteOptions, TargetOptions};
pub use path::{Canonical, PathError};
pub use table::Table;
