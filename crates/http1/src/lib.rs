//! HTTP/1 codec: bytes in, messages out (RFC 9110, RFC 9112).
//!
//! Sans-IO: nothing here knows sockets, time or a runtime. Strict: what is ambiguous is rejected, never
//! repaired, and no byte that frames a message is ever copied from input to output; [`encode`] writes it
//! anew from what was understood.
//!
//! The way of a request, in the order in which its rules build on each other:
//!
//! ```
//! use http1::{BodyReader, ConnectionOptions, HeadLimits, HeadScanner, RequestHead, connection, encode, framing};
//!
//! # fn main() -> Result<(), http1::HeadError> {
//! let mut received = b"POST /a?b HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nokGET /next".to_vec();
//!
//! // Limits and line ends; the same scanner is fed again as the buffer grows.
//! let mut scanner = HeadScanner::default();
//! let end = scanner.find_end(&received, &HeadLimits::default())?.expect("a whole head");
//!
//! // Grammar, target and host. The head is used again for the next request.
//! let mut head = RequestHead::default();
//! head.parse(&received[..end])?;
//!
//! // Everything that decides how the bytes behind the head are read.
//! let length = framing::request_length(&head)?;
//! let options = ConnectionOptions::parse(&head.fields)?;
//! let expects_continue = head.expects_continue()?;
//! let upgrade = connection::requested_upgrade(&head, options, length)?;
//! assert!(!expects_continue && upgrade.is_none() && head.wants_keep_alive(options));
//!
//! // Written anew: hop-by-hop fields stay behind, and so do those that the sender nominated.
//! let mut out = Vec::new();
//! encode::request_line(&mut out, &head);
//! head.fields.write_lines(&mut out, |field| {
//!     let nominated = connection::is_nominated(&head.fields, field.known, field.name);
//!     !field.known.is_hop_by_hop() && field.known != http1::Name::ContentLength && !nominated
//! });
//! encode::framing(&mut out, length);
//! out.extend_from_slice(b"\r\n");
//! assert_eq!(out, b"POST /a?b HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\n");
//!
//! // The body is decoded in place; what follows it is the next request.
//! let mut body = BodyReader::new(length);
//! let decoded = body.decode(&mut received[end..]).expect("no chunks to break");
//! assert!(body.is_done());
//! assert_eq!(&received[end..end + decoded.data], b"ok");
//! assert_eq!(&received[end + decoded.consumed..], b"GET /next");
//! # Ok(())
//! # }
//! ```
//!
//! After any error the connection is of no more use: where the next message would begin is not known.
//!
//! What each rule means is shown by messages in `corpus/`. Tests, fuzz targets and whoever wants raw bytes
//! read them through `tests/shared/corpus.rs`, which explains the format.

pub mod assemble;
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

pub use assemble::RequestParts;
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
pub use target::{Scheme, TargetForm};
