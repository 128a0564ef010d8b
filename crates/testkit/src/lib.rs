//! What the tests of Palisade use: raw clients and recording origins for HTTP/1 and HTTP/2, with and without TLS,
//! throw-away certificates, a scripted name server and a launcher of the real binary.
//!
//! Everything here is blocking sockets and threads, and parses HTTP/1, HTTP/2 and HPACK with its own strict code.
//! That is on purpose: a test that shared the runtime or the codecs of the proxy would share its mistakes. TLS is
//! the exception; see `tls.rs`.
//!
//! ```no_run
//! use testkit::{Client, Origin, Palisade};
//!
//! let origin = Origin::echo();
//! let palisade = Palisade::start(
//!     "target/debug/palisade",
//!     &format!(
//!         r#"
//!         listeners.http.address = "127.0.0.1:0"
//!         upstreams.origin.endpoints = ["{}"]
//!         routes.all.upstream = "origin"
//!         "#,
//!         origin.address()
//!     ),
//! );
//! let mut client = Client::connect(palisade.address("http"));
//! assert_eq!(client.get("/canary-7").text(), "7");
//! ```

mod address;
mod canary;
mod certificates;
mod client;
pub mod conformance;
pub mod dns;
mod door;
pub mod fastcgi;
pub mod http2;
mod metrics;
mod namespace;
mod origin;
#[cfg(test)]
mod others;
mod palisade;
mod parse;
mod process;
mod script;
mod stream;
mod temp;
mod tls;
mod wait;

pub use address::Address;
pub use canary::{canary, canary_on};
pub use certificates::{Authority, Certificate, CertificateFiles, Leaf, write_example_files};
pub use client::{Client, Response};
pub use dns::Dns;
pub use door::Door;
pub use fastcgi::{FastCgi, FastCgiRequest};
pub use http2::{
    Frame, GoAwayAt, H2Client, H2Failure, H2Origin, H2OriginOptions, H2Request, H2Response, H2Script, H2Step,
};
pub use metrics::Metrics;
pub use namespace::{own_disk, own_network};
pub use origin::{Behaviour, Origin, OriginConnection, RawFn, RecordedRequest, ScriptFn};
pub use palisade::{Launch, NotReady, Palisade};
pub use parse::Headers;
pub use script::{Script, Step, pattern};
pub use stream::Stream;
pub use temp::{TempDir, temp_dir};
pub use tls::{
    ClientCertificates, Handshake, TlsClient, TlsFacts, TlsServer, TlsStream, TlsVersion, tls_alert,
};
pub use wait::{SOON, poll_until, until_still};
