//! The facts of one request, for log and metrics. Rooms write it; nobody decides from it.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::message::{Client, ClientCertificate, EndpointName, Failure, Protocol};

#[derive(Debug, Clone)]
pub struct Record {
    /// When the first byte of the head was there.
    pub started: Instant,
    /// When the head was complete; behind an auth service, when that let it pass.
    pub asked: Instant,
    pub protocol: Protocol,
    /// The client as decisions were made on it.
    pub client: Client,
    /// What the client has shown.
    pub certificate: Option<Rc<ClientCertificate>>,
    pub authentication: Authentication,
    /// Index of the route in the configuration that served it.
    pub route: Option<usize>,
    /// Which endpoint was asked last.
    pub endpoint: Option<Rc<EndpointName>>,
    /// Status sent to the client; 0 when none was. Of a failed call of gRPC, whose answer is always a 200, the
    /// one that another request would have got.
    pub status: u16,
    pub failure: Option<Failure>,
    /// From the choice of the endpoint to the head of its answer.
    pub upstream_time: Duration,
    /// Endpoints tried and resends.
    pub attempts: u16,
    /// Body bytes received from the client.
    pub received: u64,
    /// Bytes sent to the client, heads and framing included.
    pub sent: u64,
}

/// What an auth service said of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Authentication {
    /// Nothing: none was asked, or it gave no answer.
    #[default]
    NotAsked,
    Refused,
    /// With the user, when it named one.
    Passed(Option<Box<[u8]>>),
}

impl Record {
    pub fn new(started: Instant, client: Client) -> Record {
        Record {
            started,
            asked: started,
            protocol: Protocol::Http1,
            client,
            certificate: None,
            authentication: Authentication::NotAsked,
            route: None,
            endpoint: None,
            status: 0,
            failure: None,
            upstream_time: Duration::ZERO,
            attempts: 0,
            received: 0,
            sent: 0,
        }
    }

    /// An answer with this status goes to the client; a failure has said before what it stands for.
    pub fn answered(&mut self, status: u16) {
        if self.status == 0 {
            self.status = status;
        }
    }
}
