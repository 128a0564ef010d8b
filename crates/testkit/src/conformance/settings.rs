//! What the two sides tell each other: RFC 9113 §6.5.

use super::Case;
use crate::http2::{Frame, error, flag, kind, setting};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("9113 6.5", "SETTINGS may be empty and may come at any time", |probe| {
            let stream = probe.post();
            probe.send(&[Frame::settings(&[]), Frame::data(stream, "hello", true)]);
            probe.answered(stream)
        }),
        Case::new("9113 6.5.2", "a server does not allow itself to push", |probe| {
            match probe.client.setting(setting::ENABLE_PUSH) {
                None | Some(0) => Ok(()),
                Some(value) => probe.broken(&format!("ENABLE_PUSH {value}")),
            }
        }),
        Case::new("9113 6.5.2", "settings without a meaning are ignored", |probe| {
            probe.send(&[Frame::settings(&[(0xff00, 1), (0, u32::MAX)])]);
            probe.alive()
        }),
        Case::new("9113 6.5.2", "good values at their bounds are taken", |probe| {
            probe.send(&[Frame::settings(&[
                (setting::ENABLE_PUSH, 0),
                (setting::INITIAL_WINDOW_SIZE, (1 << 31) - 1),
                (setting::MAX_FRAME_SIZE, (1 << 24) - 1),
                (setting::HEADER_TABLE_SIZE, 0),
                (setting::MAX_HEADER_LIST_SIZE, u32::MAX),
            ])]);
            probe.alive()
        }),
        Case::new("9113 6.5.3", "SETTINGS are acknowledged, each once", |probe| {
            probe.send(&[
                Frame::settings(&[]),
                Frame::settings(&[(setting::ENABLE_PUSH, 0)]),
                Frame::ping([7; 8]),
            ]);
            let mut acknowledged = 0;
            while let Some(frame) = probe.client.frame() {
                match frame.kind {
                    kind::SETTINGS if frame.has(flag::ACK) && frame.payload.is_empty() => acknowledged += 1,
                    kind::PING if acknowledged == 2 => return Ok(()),
                    kind::PING => return probe.broken(&format!("{acknowledged} acknowledgements of 2")),
                    _ => {}
                }
            }
            probe.broken("the connection ended")
        }),
        Case::new("9113 6.5.3", "of a value that is repeated the last one counts", |probe| {
            probe.client.hold_windows();
            let window = setting::INITIAL_WINDOW_SIZE;
            probe.send(&[Frame::settings(&[(window, 100), (window, 1)])]);
            let stream = probe.get();
            probe.pings()?;
            probe.pings()?;
            match probe.client.received(stream) {
                0 | 1 => Ok(()),
                more => probe.broken(&format!("{more} bytes in a window of 1")),
            }
        }),
    ];
    for (name, id, value, code) in [
        ("ENABLE_PUSH 2", setting::ENABLE_PUSH, 2, error::PROTOCOL_ERROR),
        ("INITIAL_WINDOW_SIZE 2147483648", setting::INITIAL_WINDOW_SIZE, 1 << 31, error::FLOW_CONTROL_ERROR),
        ("MAX_FRAME_SIZE 16383", setting::MAX_FRAME_SIZE, 16_383, error::PROTOCOL_ERROR),
        ("MAX_FRAME_SIZE 16777216", setting::MAX_FRAME_SIZE, 1 << 24, error::PROTOCOL_ERROR),
    ] {
        cases.push(Case::new("9113 6.5.2", format!("{name} is an error"), move |probe| {
            probe.send(&[Frame::settings(&[(id, value)])]);
            probe.connection_error(&[code])
        }));
    }
    cases
}
