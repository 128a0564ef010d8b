//! Windows: RFC 9113 §5.2 and §6.9.

use std::time::{Duration, Instant};

use super::{Case, Failure, Probe, Verdict};
use crate::http2::{Frame, error, setting};

const MOST: u32 = (1 << 31) - 1;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("9113 6.9", "WINDOW_UPDATE by 0 is an error of the connection", |probe| {
            probe.send(&[Frame::window_update(0, 0)]);
            probe.connection_error(&[error::PROTOCOL_ERROR])
        }),
        Case::new("9113 6.9", "by 0 on a stream it resets that", |probe| {
            let stream = probe.post();
            probe.send(&[Frame::window_update(stream, 0)]);
            probe.stream_error(stream, &[error::PROTOCOL_ERROR])
        }),
        Case::new("9113 6.9", "the reserved bit of the increment is ignored", |probe| {
            probe.send(&[Frame::window_update(0, 1 | 1 << 31)]);
            probe.alive()
        }),
        Case::new("9113 6.9.1", "a window of 1 lets 1 byte through", |probe| {
            probe.again(&[(setting::INITIAL_WINDOW_SIZE, 1)]);
            probe.client.hold_windows();
            let stream = probe.get();
            received(probe, stream, 1)?;
            probe.send(&[Frame::window_update(stream, 2)]);
            received(probe, stream, 3)?;
            probe.send(&[Frame::window_update(stream, 65_535)]);
            probe.answered(stream)
        }),
        Case::new("9113 6.9.1", "a full window of the connection is an error", |probe| {
            probe.send(&[Frame::window_update(0, MOST), Frame::window_update(0, MOST)]);
            probe.connection_error(&[error::FLOW_CONTROL_ERROR])
        }),
        Case::new("9113 6.9.1", "a full window of a stream resets that", |probe| {
            let stream = probe.post();
            probe.send(&[Frame::window_update(stream, MOST), Frame::window_update(stream, MOST)]);
            probe.stream_error(stream, &[error::FLOW_CONTROL_ERROR])
        }),
        Case::new("9113 6.9.1", "a server has windows given back for what it took", |probe| {
            let stream = probe.post();
            probe.client.send_body(stream, &vec![b'a'; 300_000]);
            probe.answered(stream)?;
            probe.alive()
        }),
        Case::new("9113 6.9.1", "for padding too", |probe| {
            let stream = probe.post();
            let frame = Frame::padded_data(stream, b"x", 255, false);
            let cost = frame.payload.len() as i64;
            let mut sent = 0;
            while sent < 200_000 {
                let end = Instant::now() + Duration::from_secs(2);
                while probe.client.window(stream) < cost {
                    probe.pings()?;
                    if Instant::now() > end {
                        return probe.broken(&format!("no window after {sent} bytes, most of them padding"));
                    }
                }
                probe.client.spend(stream, cost);
                probe.send(std::slice::from_ref(&frame));
                sent += cost;
            }
            probe.send(&[Frame::data(stream, "", true)]);
            probe.answered(stream)
        }),
        Case::new("9113 6.9.1", "more DATA than the window allows is an error", |probe| {
            let window = probe.client.window(1);
            if window > 4 << 20 {
                return Err(Failure::NotApplicable("a window of more than 4 MiB"));
            }
            let stream = probe.post();
            // A server that gives windows back while this comes never sees them overrun.
            let frames: Vec<Frame> =
                (0..=window / 16_384).map(|_| Frame::data(stream, vec![0; 16_384], false)).collect();
            probe.send(&frames);
            match probe.stream_error(stream, &[error::FLOW_CONTROL_ERROR]) {
                Err(_) if probe.client.window(stream) > window => Ok(()),
                verdict => verdict,
            }
        }),
        Case::new("9113 6.9.2", "a new initial window counts for streams that are open", |probe| {
            probe.again(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
            probe.client.hold_windows();
            let stream = probe.get();
            received(probe, stream, 0)?;
            probe.send(&[Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 2)])]);
            received(probe, stream, 2)?;
            probe.send(&[Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 65_535)])]);
            probe.answered(stream)
        }),
        Case::new("9113 6.9.2", "a window may be below 0", |probe| {
            probe.again(&[(setting::INITIAL_WINDOW_SIZE, 3)]);
            probe.client.hold_windows();
            let stream = probe.get();
            received(probe, stream, 3)?;
            // 3 bytes are out: now it is -2, then 0, then 1.
            probe.send(&[
                Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1)]),
                Frame::window_update(stream, 2),
            ]);
            received(probe, stream, 3)?;
            probe.send(&[Frame::window_update(stream, 1)]);
            received(probe, stream, 4)
        }),
        Case::new("9113 6.9.2", "an initial window that fills a stream's is an error", |probe| {
            let stream = probe.post();
            probe.send(&[
                Frame::window_update(stream, MOST - 65_535),
                Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 65_536)]),
            ]);
            probe.connection_error(&[error::FLOW_CONTROL_ERROR])
        }),
        Case::new("9113 6.9.2", "a window of 0 holds no head back", |probe| {
            probe.again(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
            let stream = probe.get();
            let end = Instant::now() + Duration::from_secs(2);
            while probe.client.status(stream).is_none() && Instant::now() < end {
                probe.pings()?;
            }
            match probe.client.status(stream) {
                Some(200) => Ok(()),
                other => probe.broken(&format!("the status {other:?}")),
            }
        }),
    ]
}

/// Exactly so many bytes of the body come, and no more until something changes.
fn received(probe: &mut Probe<'_>, stream: u32, count: usize) -> Verdict {
    let end = Instant::now() + Duration::from_secs(2);
    while (probe.client.received(stream) < count || probe.client.status(stream).is_none())
        && Instant::now() < end
    {
        probe.pings()?;
    }
    // What was on its way comes before this.
    probe.pings()?;
    match probe.client.received(stream) {
        bytes if bytes == count => Ok(()),
        bytes => probe.broken(&format!("{bytes} bytes in a window of {count}")),
    }
}
