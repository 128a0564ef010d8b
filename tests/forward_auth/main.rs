//! `forward_auth`: another server is asked whether a request may go on. Seen from the client, from that server and
//! from the origin behind.

mod answers;
mod failures;
mod identity;
mod question;
mod scope;
mod stage;
