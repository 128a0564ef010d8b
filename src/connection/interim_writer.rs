//! Writes interim answers to the client while the final one is still to come.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use ::http1::connection::is_nominated;
use ::http1::{ConnectionOptions, Name, Version, encode};

use crate::message::Interim;
use crate::wire::{Scratch, Socket};

/// Polls `handling` to its end and sends what it leaves in `interim` meanwhile. What the socket did not
/// take yet goes in front of the final answer, in `unsent`.
pub async fn with_interim<T>(
    mut handling: Pin<&mut impl Future<Output = T>>,
    interim: &Interim,
    version: Version,
    socket: &Socket,
    unsent: &mut Scratch,
) -> T {
    poll_fn(|cx| {
        let polled = handling.as_mut().poll(cx);
        if !interim.is_empty() {
            take(interim, version, unsent);
        }
        if !unsent.is_empty() && polled.is_pending() {
            flush(socket, unsent, cx);
        }
        polled
    })
    .await
}

/// HTTP/1.0 knows no interim answers (RFC 9110 section 15.2).
fn take(interim: &Interim, version: Version, unsent: &mut Vec<u8>) {
    for head in interim.drain() {
        if version == Version::Http11 {
            encode::status_line(unsent, &head);
            let nominations =
                ConnectionOptions::parse(&head.fields).is_ok_and(|options| options.nominations > 0);
            head.fields.write_lines(unsent, |field| {
                !field.known.is_hop_by_hop()
                    && field.known != Name::ContentLength
                    && !(nominations && is_nominated(&head.fields, field.known, field.name))
            });
            unsent.extend_from_slice(b"\r\n");
        }
    }
}

/// An error shows again, and counts, when the final answer is written.
fn flush(socket: &Socket, unsent: &mut Vec<u8>, cx: &mut Context<'_>) {
    while !unsent.is_empty() {
        match socket.poll_write(cx, unsent) {
            Poll::Ready(Ok(count)) if count > 0 => drop(unsent.drain(..count)),
            _ => return,
        }
    }
}
