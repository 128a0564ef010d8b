//! Who is fit to serve: active checks, what real requests show, and what the operator says become a
//! standing of each endpoint; all standings of a group become the plan that workers pick from.

mod check;
mod grpc;
pub mod outlier;
mod over_fastcgi;
mod over_http2;
mod plan;
mod prober;
mod standing;

pub use check::{Checked, Health, HealthOptions, Initial, Probe};
pub use outlier::OutlierOptions;
pub use plan::{BACKUP, Candidate, PlanRules, plan};
pub use prober::check_endpoints;
pub use standing::{Ejected, Fitness, Operator, Standing};
