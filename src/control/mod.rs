//! The life of the process: start, reload, drain, stop.
