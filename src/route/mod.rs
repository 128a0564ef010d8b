//! Which route, and what answers.

mod options;

pub use options::{
    BodyMode, FixedAnswer, HeaderCondition, HostPattern, PathPattern, QueryCondition, RedirectOptions,
    Rewrite, RouteMatch, RouteOptions, TargetOptions, Timeouts, ValuePattern,
};
