//! HTTP/1 codec: bytes in, messages out (RFC 9110, RFC 9112).
//!
//! Sans-IO: nothing here knows sockets, time or a runtime. Strict: what is ambiguous is rejected, never
//! repaired, and no byte that frames a message is ever copied from input to output; [`encode`] writes it
//! anew from what was understood.

pub mod authority;
pub mod body;
pub mod chunked;
pub mod connection;
pub mod encode;
pub mod error;
pub mod fields;
pub mod framing;
pub mod head;
pub mod method;
pub mod name;
pub mod scan;
pub mod target;

pub use body::{BodyReader, Decoded};
pub use chunked::ChunkedReader;
pub use connection::ConnectionOptions;
pub use error::{BodyError, HeadError};
pub use fields::{Field, Fields};
pub use framing::BodyLength;
pub use head::{RequestHead, ResponseHead, Version};
pub use method::Method;
pub use name::Name;
pub use scan::{HeadLimits, HeadScanner};
pub use target::TargetForm;
