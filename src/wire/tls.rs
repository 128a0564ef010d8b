//! A TLS session without its socket: records go in and out as bytes, plain text on the other side. Has no memory
//! for records while none are on their way, so that an idle connection costs little more than its keys.

use std::io;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{
    ClientConfig, CommonState, Error, HandshakeKind, ProtocolVersion, ServerConfig, SupportedCipherSuite,
};
use tokio::io::ReadBuf;

use super::Buffer;

/// Plain text that one call seals at most: seven records, which fit into a large buffer.
const MOST_SEALED: usize = 7 << 14;
/// What a record adds to its plain text at most: head, nonce or content type, and tag.
const RECORD_OVERHEAD: usize = 5 + 8 + 16 + 1;
/// Bytes that fit into a small buffer as one record.
const FITS_SMALL: usize = (16 << 10) - RECORD_OVERHEAD;

/// One end of a TLS connection.
pub struct Session {
    side: Side,
    /// Records that were received and not opened yet.
    incoming: Buffer,
    /// Plain text for which the reader had no room, and how much of it was taken since: of one record.
    opened: Vec<u8>,
    taken: usize,
    /// Records to be sent.
    outgoing: Buffer,
    established: bool,
    /// The peer said that it sends nothing more.
    peer_closed: bool,
    /// We said so, or shall not, since our last message is not whole.
    closed: bool,
    /// Of no more use but to send an alert.
    failed: bool,
}

enum Side {
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

/// What one step of the session came to.
enum Step {
    Again,
    /// So many bytes were put into the reader's room.
    Opened,
    /// So many bytes of plain text were sealed.
    Sealed(usize),
    /// Nothing left to do before more records come.
    Rest {
        established: bool,
    },
    PeerClosed,
}

impl Session {
    /// `received` are the first bytes that came from the client.
    pub fn server(config: Arc<ServerConfig>, received: Buffer) -> Result<Session, Error> {
        let connection = UnbufferedServerConnection::new(config)?;
        Ok(Session::new(Side::Server(Box::new(connection)), received))
    }

    /// To the server that shows a certificate for `name`.
    pub fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Session, Error> {
        let connection = UnbufferedClientConnection::new(config, name)?;
        Ok(Session::new(Side::Client(Box::new(connection)), Buffer::new()))
    }

    fn new(side: Side, incoming: Buffer) -> Session {
        Session {
            side,
            incoming,
            opened: Vec::new(),
            taken: 0,
            outgoing: Buffer::new(),
            established: false,
            peer_closed: false,
            closed: false,
            failed: false,
        }
    }

    /// The handshake is over; plain text may go both ways.
    pub fn is_established(&self) -> bool {
        self.established
    }

    /// The peer has said that nothing more comes. Without this an end of the stream is one that was cut.
    pub fn is_peer_closed(&self) -> bool {
        self.peer_closed && self.opened.is_empty()
    }

    /// Plain text is here that was not taken yet.
    pub fn has_plain(&self) -> bool {
        !self.opened.is_empty()
    }

    /// Something is here that [`Session::open`] can go on with.
    pub fn has_input(&self) -> bool {
        self.has_plain() || !self.incoming.is_empty()
    }

    /// Room for received records. Empty when a peer sends a message that is longer than any should be.
    pub fn room(&mut self) -> &mut [u8] {
        if self.incoming.is_full() {
            self.incoming.enlarge();
        }
        self.incoming.room()
    }

    /// So many bytes were received into [`Session::room`].
    pub fn received(&mut self, count: usize) {
        self.incoming.filled(count);
    }

    /// No record is expected for a while.
    pub fn rest(&mut self) {
        self.incoming.release_when_empty();
    }

    /// Opens what was received, as far as `into` has room, and answers what the protocol wants answered. After
    /// an error there may be an alert to send.
    pub fn open(&mut self, into: &mut ReadBuf<'_>) -> Result<(), Error> {
        if !self.opened.is_empty() {
            self.take_opened(into);
        }
        // What is opened beyond the room is kept, so it must be no more than one record.
        while self.opened.is_empty() && !self.incoming.is_empty() {
            match self.step(into, &[])? {
                Step::Again => {}
                Step::Opened if into.remaining() > 0 => {}
                Step::Opened | Step::Sealed(_) => break,
                Step::PeerClosed => self.peer_closed = true,
                Step::Rest { established } => {
                    self.established |= established;
                    break;
                }
            }
        }
        Ok(())
    }

    fn take_opened(&mut self, into: &mut ReadBuf<'_>) {
        let rest = self.opened.get(self.taken..).unwrap_or_default();
        let count = rest.len().min(into.remaining());
        into.put_slice(&rest[..count]);
        self.taken += count;
        if self.taken == self.opened.len() {
            (self.opened, self.taken) = (Vec::new(), 0);
        }
    }

    /// Goes on with the handshake; true when it is over. What there is to send may be its last part.
    pub fn shake_hands(&mut self) -> Result<bool, Error> {
        loop {
            match self.step(&mut ReadBuf::new(&mut []), &[])? {
                Step::Again | Step::Sealed(_) => {}
                // It came right behind the handshake, and is kept for the reader.
                Step::Opened => {
                    self.established = true;
                    return Ok(true);
                }
                Step::PeerClosed => self.peer_closed = true,
                Step::Rest { established } => {
                    self.established |= established;
                    return Ok(established);
                }
            }
        }
    }

    /// Seals the beginning of `plain`, to be sent; gives how much that is. Only when there is nothing else to
    /// send, so what waits to be sent is bounded.
    pub fn seal(&mut self, plain: &[u8]) -> Result<usize, Error> {
        let part = &plain[..plain.len().min(MOST_SEALED)];
        if part.len() > FITS_SMALL {
            self.outgoing.enlarge();
        }
        loop {
            match self.step(&mut ReadBuf::new(&mut []), part)? {
                Step::Again => {}
                Step::Sealed(count) => return Ok(count),
                // What has come must be opened first; one record at a time, and only what is here already.
                Step::Opened => {}
                Step::PeerClosed => self.peer_closed = true,
                Step::Rest { .. } => return Err(Error::HandshakeNotComplete),
            }
        }
    }

    /// Records to be sent.
    pub fn to_send(&self) -> &[u8] {
        self.outgoing.data()
    }

    /// So many bytes of them were sent.
    pub fn sent(&mut self, count: usize) {
        self.outgoing.consume(count);
        self.outgoing.release_when_empty();
    }

    /// Says that nothing more will be sent (RFC 8446 section 6.1). Once; not after [`Session::abandon`].
    pub fn close(&mut self) {
        if self.closed || !self.established {
            return;
        }
        self.closed = true;
        // What has come is kept for the reader, who may still want it.
        while let Ok(Step::Again | Step::Opened) = self.step(&mut ReadBuf::new(&mut []), &[]) {}
        let (records, outgoing) = (self.incoming.data_mut(), &mut self.outgoing);
        let said = match &mut self.side {
            Side::Server(connection) => say_close(connection.process_tls_records(records), outgoing),
            Side::Client(connection) => say_close(connection.process_tls_records(records), outgoing),
        };
        // A peer who is not told takes the end for one that was cut, which is the safe side.
        drop(said);
    }

    /// The message on its way will not be whole: the peer must not take its end for a clean one.
    pub fn abandon(&mut self) {
        self.closed = true;
    }

    /// After an error: the alert that says why, when there is one, becomes what is to be sent.
    pub fn fail(&mut self) {
        if !self.failed || self.closed {
            return;
        }
        self.closed = true;
        self.failed = false;
        // It comes behind whatever was not sent before, each in a step of its own.
        while self.facts().wants_write() && self.step(&mut ReadBuf::new(&mut []), &[]).is_ok() {}
        self.failed = true;
    }

    pub fn facts(&self) -> &CommonState {
        match &self.side {
            Side::Server(connection) => connection,
            Side::Client(connection) => connection,
        }
    }

    fn step(&mut self, into: &mut ReadBuf<'_>, plain: &[u8]) -> Result<Step, Error> {
        if self.failed {
            return Err(Error::General("the session has failed before".to_owned()));
        }
        let Session { side, incoming, opened, outgoing, .. } = self;
        let records = incoming.data_mut();
        let (discard, outcome) = match side {
            Side::Server(connection) => {
                step(connection.process_tls_records(records), into, opened, outgoing, plain)
            }
            Side::Client(connection) => {
                step(connection.process_tls_records(records), into, opened, outgoing, plain)
            }
        };
        incoming.consume(discard);
        if outcome.is_err() {
            self.failed = true;
            // Where the next record would begin is not known.
            self.incoming = Buffer::new();
        }
        outcome
    }
}

/// Does what the session asks for; gives how many received bytes are used up.
fn step<D>(
    status: UnbufferedStatus<'_, '_, D>,
    into: &mut ReadBuf<'_>,
    opened: &mut Vec<u8>,
    outgoing: &mut Buffer,
    plain: &[u8],
) -> (usize, Result<Step, Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let outcome = match state {
        Err(error) => Err(error),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                None => break Ok(Step::Opened),
                Some(Err(error)) => break Err(error),
                Some(Ok(record)) => {
                    discard += record.discard;
                    let count = record.payload.len().min(into.remaining());
                    into.put_slice(&record.payload[..count]);
                    opened.extend_from_slice(&record.payload[count..]);
                }
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => append(outgoing, |room| {
            data.encode(room).map_err(|error| match error {
                EncodeError::InsufficientSize(size) => Some(size.required_size),
                EncodeError::AlreadyEncoded => None,
            })
        })
        .map(|_| Step::Again),
        // It is in our buffer, and leaves from there in its turn.
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Step::Again)
        }
        Ok(ConnectionState::WriteTraffic(mut traffic)) if !plain.is_empty() => append(outgoing, |room| {
            traffic.encrypt(plain, room).map_err(|error| match error {
                EncryptError::InsufficientSize(size) => Some(size.required_size),
                EncryptError::EncryptExhausted => None,
            })
        })
        .map(|_| Step::Sealed(plain.len())),
        Ok(ConnectionState::WriteTraffic(_)) => Ok(Step::Rest { established: true }),
        Ok(ConnectionState::BlockedHandshake) => Ok(Step::Rest { established: false }),
        Ok(ConnectionState::PeerClosed) => Ok(Step::PeerClosed),
        Ok(ConnectionState::Closed) => Ok(Step::Rest { established: true }),
        // Early data is never offered; whatever a later version adds is not understood here.
        Ok(_) => Err(Error::General("unexpected state of a TLS session".to_owned())),
    };
    (discard, outcome)
}

fn say_close<D>(status: UnbufferedStatus<'_, '_, D>, outgoing: &mut Buffer) -> Result<(), Error> {
    match status.state? {
        ConnectionState::WriteTraffic(mut traffic) => append(outgoing, |room| {
            traffic.queue_close_notify(room).map_err(|error| match error {
                EncryptError::InsufficientSize(size) => Some(size.required_size),
                EncryptError::EncryptExhausted => None,
            })
        }),
        _ => Ok(()),
    }
}

/// Lets `write` fill the room behind what is to be sent, in a larger buffer when it says that it needs more.
fn append(
    outgoing: &mut Buffer,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), Error> {
    let mut wrote = write(outgoing.room());
    if let Err(Some(_)) = wrote
        && outgoing.enlarge()
    {
        wrote = write(outgoing.room());
    }
    let count = wrote.map_err(|_| Error::General("too much to send at once".to_owned()))?;
    outgoing.filled(count);
    Ok(())
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = if self.established { "established" } else { "shaking hands" };
        write!(f, "Session({state})")
    }
}

/// What a handshake agreed on.
#[derive(Debug, Clone)]
pub struct Agreed {
    pub version: Option<ProtocolVersion>,
    pub cipher_suite: Option<SupportedCipherSuite>,
    /// The protocol that was chosen by ALPN.
    pub protocol: Option<Vec<u8>>,
    /// A session of before went on.
    pub resumed: bool,
    /// The peer's certificate.
    pub certificate: Option<CertificateDer<'static>>,
}

impl Agreed {
    pub fn of(session: &Session) -> Agreed {
        let facts = session.facts();
        Agreed {
            version: facts.protocol_version(),
            cipher_suite: facts.negotiated_cipher_suite(),
            protocol: facts.alpn_protocol().map(<[u8]>::to_vec),
            resumed: facts.handshake_kind() == Some(HandshakeKind::Resumed),
            certificate: facts.peer_certificates().and_then(<[_]>::first).cloned(),
        }
    }

    /// `TLSv1.3`; empty for none that is known here.
    pub fn version_name(&self) -> &'static str {
        match self.version {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "",
        }
    }

    /// `TLS13_AES_256_GCM_SHA384`
    pub fn cipher_name(&self) -> &'static str {
        self.cipher_suite.and_then(|suite| suite.suite().as_str()).unwrap_or_default()
    }
}

/// As an error of the socket.
pub fn to_io(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests;
