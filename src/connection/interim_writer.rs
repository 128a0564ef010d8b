//! Interim answers as bytes for the client.

use std::task::{Context, Poll};

use ::http1::connection::is_nominated;
use ::http1::fields::{Field, write_line};
use ::http1::{ConnectionOptions, Name, ResponseHead, Version, encode};

use crate::message::Interim;
use crate::wire::Socket;

/// Appends what is there to `unsent`. HTTP/1.0 knows no interim answers (RFC 9110 section 15.2).
pub fn take(interim: &Interim, version: Version, unsent: &mut Vec<u8>) {
    for head in interim.drain() {
        if version == Version::Http11 {
            encode::status_line(unsent, &head);
            fields(&head).for_each(|field| write_line(unsent, field.name, field.value));
            unsent.extend_from_slice(b"\r\n");
        }
    }
}

/// The end-to-end fields of an interim answer.
pub fn fields(head: &ResponseHead) -> impl Iterator<Item = Field<'_>> {
    let nominations = ConnectionOptions::parse(&head.fields).is_ok_and(|options| options.nominations > 0);
    head.fields.iter().filter(move |field| {
        !field.known.is_hop_by_hop()
            && field.known != Name::ContentLength
            && !(nominations && is_nominated(&head.fields, field.known, field.name))
    })
}

/// Writes what the socket takes. An error shows again, and counts, when the final answer is written.
pub fn flush(socket: &Socket, unsent: &mut Vec<u8>, cx: &mut Context<'_>) {
    while !unsent.is_empty() {
        match socket.poll_write(cx, unsent) {
            Poll::Ready(Ok(count)) if count > 0 => drop(unsent.drain(..count)),
            _ => return,
        }
    }
    let _ = socket.poll_flush(cx);
}
