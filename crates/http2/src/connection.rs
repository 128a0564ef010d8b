//! A connection from the side of the server, without its socket: whoever has that brings the bytes that came, takes
//! those that are to go, and serves the requests that begin. It is shared by all who serve its streams, and lent to
//! one of them at a time.

use std::cell::RefCell;
use std::task::Poll;

use crate::frame::{self, Reason};
use crate::input::{Input, Taken};
use crate::output::{Output, Sent};
use crate::settings::{DEFAULT_WINDOW, Limits};
use crate::stream::Stream;
use crate::table::{Broken, Key, Table};

/// The server's side of one connection.
pub struct Connection {
    pub(crate) state: RefCell<State>,
}

/// All that is known of it: what came (`input`, `head`, `body`), what goes (`output`), and the streams.
pub(crate) struct State {
    pub input: Input,
    pub output: Output,
    pub streams: Table,
}

impl Connection {
    /// A connection whose client has said nothing yet; our settings are the first that is to be sent.
    pub fn new(limits: Limits) -> Connection {
        let mut output = Output::new(&limits);
        frame::settings(output.frames(), &limits.announced());
        if limits.window > DEFAULT_WINDOW {
            frame::window_update(output.frames(), 0, limits.window - DEFAULT_WINDOW);
        }
        let state = State { input: Input::new(limits), output, streams: Table::default() };
        Connection { state: RefCell::new(state) }
    }

    /// Takes one frame from the beginning of `bytes`, or what there is of it. An error ends the connection: it is to
    /// be told by [`Connection::go_away`].
    pub fn take(&self, bytes: &[u8]) -> Result<Taken, Reason> {
        self.state.borrow_mut().take(bytes)
    }

    /// The stream of a request, for whoever serves it.
    pub fn stream(&self, key: Key) -> Stream<'_> {
        Stream::new(self, key)
    }

    /// Streams that are open, or being served.
    pub fn streams(&self) -> usize {
        self.state.borrow().streams.len()
    }

    /// A head has begun that is not complete.
    pub fn is_in_head(&self) -> bool {
        self.state.borrow().input.is_in_head()
    }

    /// The client said that it asks for nothing more.
    pub fn is_left(&self) -> bool {
        self.state.borrow().input.is_left
    }

    /// Bytes that are to be sent.
    pub fn pending(&self) -> usize {
        self.state.borrow().output.pending().len()
    }

    /// Lends what is to be sent to `write`, which gives how much of it is gone.
    pub fn poll_output<E>(
        &self,
        write: impl FnOnce(&[u8]) -> Poll<Result<usize, E>>,
    ) -> Poll<Result<usize, E>> {
        let State { output, streams, .. } = &mut *self.state.borrow_mut();
        let polled = write(output.pending());
        if let Poll::Ready(Ok(count)) = polled {
            output.advance(count, streams);
        }
        polled
    }

    /// What was sent since this was asked last.
    pub fn take_sent(&self) -> Sent {
        std::mem::take(&mut self.state.borrow_mut().output.sent)
    }

    /// Tells the client that nothing new is to be asked. What it asks until it has heard of it is still answered
    /// (RFC 9113 section 6.8).
    pub fn announce_end(&self) {
        self.state.borrow_mut().announce_end();
    }

    /// Tells the client that the connection ends, and why; nothing new is answered.
    pub fn go_away(&self, reason: Reason) {
        self.state.borrow_mut().go_away(reason);
    }

    /// Whoever serves a stream learns that its client is gone.
    pub fn break_off(&self) {
        for entry in self.state.borrow_mut().streams.each() {
            entry.break_off(Broken::Gone);
        }
    }

    /// Gives memory back that waits for more to do, while nothing is to be done.
    pub fn rest(&self) {
        let State { input, output, streams } = &mut *self.state.borrow_mut();
        input.rest();
        output.rest();
        streams.rest();
    }

    /// Gives memory back that is more than usual.
    pub fn settle(&self) {
        self.state.borrow_mut().output.settle();
    }
}
