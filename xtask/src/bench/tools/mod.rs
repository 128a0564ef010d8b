//! Programs that make load or count, and how what they print is read. Each file is one program.

pub mod callgrind;
pub mod calls;
pub mod curl;
pub mod h2load;
pub mod wrk;
