//! Bodies: nothing, bytes, or a stream that is read as fast as it is written on.

use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http1::{BodyLength, Fields};

use super::{Failure, FileBody};
use crate::wire::{Buffer, Socket};

/// A body on its way; `'a` is what a stream borrows from: the connection that reads it.
#[derive(Default)]
pub enum Body<'a> {
    #[default]
    Empty,
    /// Known when the proxy was built or made for this answer.
    Text(std::borrow::Cow<'static, [u8]>),
    /// Complete, in the buffer it was received in.
    Received(Buffer),
    Stream(Box<dyn BodyStream + 'a>),
    /// Answers only: a file, or a part of one. As a stream it is read like any other.
    File(Box<FileBody>),
    /// Answers only: the origin switched protocols, and this is its connection.
    Upgraded(Box<Upgraded>),
}

/// A body that arrives piece by piece.
pub trait BodyStream {
    /// Body bytes that are there, waiting for some when there are none; empty at the end. They stay until
    /// they are consumed.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>>;

    /// Forgets the first `count` bytes that `poll_data` gave.
    fn consume(&mut self, count: usize);

    /// How the sender framed it.
    fn length(&self) -> BodyLength;

    /// Trailer fields that may be passed on; after the end.
    fn trailers(&mut self) -> Option<Fields>;
}

/// What an origin speaks the new protocol on.
pub enum Far {
    /// A connection behind its 101, and what the origin sent behind its head.
    Socket(Socket, Buffer),
    /// A stream of HTTP/2 behind its 200.
    Stream(RecvStream, SendStream<Bytes>),
}

/// The origin has switched protocols.
pub struct Upgraded {
    pub far: Far,
    /// Dropped when the tunnel ends: the pool's place for this connection.
    pub held: Box<dyn std::any::Any>,
}

impl Body<'_> {
    /// How the end of it is found.
    pub fn length(&self) -> BodyLength {
        match self {
            Body::Empty | Body::Upgraded(_) => BodyLength::NONE,
            Body::Text(text) => BodyLength::Exact(text.len() as u64),
            Body::Received(buffer) => BodyLength::Exact(buffer.len() as u64),
            Body::Stream(stream) => stream.length(),
            Body::File(file) => file.length(),
        }
    }
}

impl std::fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({:?})", self.length())
    }
}
