//! Header compression: RFC 7541.

use super::{Case, Probe, Verdict};
use crate::http2::{Block, Frame, encode, error, setting};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("7541 2.3.2", "fields that were remembered can be asked for again", |probe| {
            let block = good(probe).remembered("x-own", "value").remembered("x-second", "another");
            answered(probe, block)?;
            let block = good(probe).indexed(62).indexed(63);
            answered(probe, block)
        }),
        Case::new("7541 4.2", "a smaller table, told at the start of a block, forgets", |probe| {
            let block = good(probe).remembered("x-own", "value");
            answered(probe, block)?;
            let block = Block::new().table_size(0).raw(encode(&probe.head("GET")));
            answered(probe, block)?;
            let block = good(probe).indexed(62);
            refused(probe, block)
        }),
        Case::new("7541 4.2", "two changes of the size in one block are good", |probe| {
            let size = u64::from(probe.setting(setting::HEADER_TABLE_SIZE)).min(4096);
            let block = Block::new().table_size(0).table_size(size).raw(encode(&probe.head("GET")));
            answered(probe, block)
        }),
        Case::new("7541 4.2", "a change of the size behind a field is an error", |probe| {
            let block = good(probe).table_size(0);
            refused(probe, block)
        }),
        Case::new("7541 4.4", "a field larger than the table empties it", |probe| {
            let block = good(probe).remembered("x-own", "value");
            answered(probe, block)?;
            let size = probe.setting(setting::HEADER_TABLE_SIZE).min(1 << 14) as usize;
            let block = good(probe).remembered("x-large", "a".repeat(size));
            probe_only(probe, block)?;
            let block = good(probe).indexed(62);
            refused(probe, block)
        }),
        Case::new("7541 6.3", "a table larger than the settings allow is an error", |probe| {
            let size = u64::from(probe.setting(setting::HEADER_TABLE_SIZE));
            let block = Block::new().table_size(size + 1).raw(encode(&probe.head("GET")));
            refused(probe, block)
        }),
        Case::new("7541 5.2", "Huffman code is understood", |probe| {
            let mut block = Block::new();
            for (name, value) in probe.head("GET") {
                block = block.huffman(name, value);
            }
            answered(probe, block.huffman("x-own", "All: the ~ !@#$%^&*() letters"))
        }),
        Case::new("7541 6.2.3", "fields that must not be remembered are not", |probe| {
            let block = good(probe).never_remembered("authorization", "secret");
            answered(probe, block)?;
            let block = good(probe).indexed(62);
            refused(probe, block)
        }),
        Case::new("7541 2.2", "the table is right after a request that was malformed", |probe| {
            let (stream, block) = (probe.client.take_stream(), good(probe));
            let block = block.remembered("x-own", "value").field("connection", "close");
            probe.send(&[Frame::headers(stream, block, true)]);
            probe.malformed(stream)?;
            if probe.client.goaway().is_some() || probe.pings().is_err() {
                return Ok(());
            }
            let block = good(probe).indexed(62);
            answered(probe, block)
        }),
        Case::new("7541 2.2", "and after one that was reset at once", |probe| {
            let (stream, block) = (probe.client.take_stream(), good(probe).remembered("x-own", "value"));
            probe.send(&[Frame::headers(stream, block, true), Frame::reset(stream, error::CANCEL)]);
            let block = good(probe).indexed(62);
            answered(probe, block)
        }),
    ];
    type Make = fn(Block) -> Block;
    let broken: [(&str, &str, Make); 11] = [
        ("7541 2.3.3", "an index behind the end of the table", |block| block.indexed(70)),
        ("7541 2.3.3", "an index far behind it", |block| block.indexed(1 << 20)),
        ("7541 6.2.1", "a name of that kind", |block| block.integer(0x40, 6, 70).string(b"value")),
        ("7541 6.1", "the index 0", |block| block.indexed(0)),
        ("7541 5.1", "an integer that never ends", |block| block.raw([0xff; 12])),
        ("7541 5.1", "an integer that is cut", |block| block.raw([0xff])),
        ("7541 5.2", "a string that is longer than its block", |block| {
            block.raw([0x00, 0x01, b'x', 0x7f, 0x70])
        }),
        ("7541 5.2", "a whole byte of Huffman filling", |block| {
            block.integer(0, 4, 0).string(b"x").integer(0x80, 7, 2).raw([0x1f, 0xff])
        }),
        ("7541 5.2", "Huffman filling of zeros", |block| {
            block.integer(0, 4, 0).string(b"x").integer(0x80, 7, 1).raw([0x18])
        }),
        ("7541 5.2", "the end symbol inside a string", |block| {
            block.integer(0, 4, 0).string(b"x").integer(0x80, 7, 4).raw([0xff, 0xff, 0xff, 0xff])
        }),
        ("7541 5.2", "a Huffman code in a name that is cut", |block| {
            block.integer(0, 4, 0).integer(0x80, 7, 1).raw([0xfe]).string(b"x")
        }),
    ];
    for (section, words, make) in broken {
        cases.push(Case::new(section, format!("{words} is a COMPRESSION_ERROR"), move |probe| {
            let block = make(good(probe));
            refused(probe, block)
        }));
    }
    cases.push(Case::new("7541 6.2.2", "names of the static table can be used", |probe| {
        let mut block = Block::new();
        for (name, value) in probe.head("GET") {
            let at = match name.as_str() {
                ":authority" => 1,
                ":method" => 2,
                ":path" => 4,
                _ => 6,
            };
            block = block.integer(0, 4, at).string(value.as_bytes());
        }
        answered(probe, block.integer(0x10, 4, 58).string(b"judge").integer(0x40, 6, 32).string(b"a=b"))
    }));
    cases.push(Case::new("7541 6.1", "an index that means :status makes a request malformed", |probe| {
        let stream = probe.client.take_stream();
        let block = Block::new().indexed(8).raw(encode(&probe.head("GET")));
        probe.send(&[Frame::headers(stream, block, true)]);
        probe.malformed(stream)
    }));
    cases
}

fn good(probe: &Probe<'_>) -> Block {
    Block::new().raw(encode(&probe.head("GET")))
}

fn answered(probe: &mut Probe<'_>, block: Block) -> Verdict {
    let stream = probe.client.take_stream();
    probe.send(&[Frame::headers(stream, block, true)]);
    probe.answered(stream)
}

/// The block is taken in; whether the request is too large for the server does not matter.
fn probe_only(probe: &mut Probe<'_>, block: Block) -> Verdict {
    let stream = probe.client.take_stream();
    let bytes = Vec::from(block);
    let (first, rest) = bytes.split_at(bytes.len().min(10_000));
    probe.send(&[Frame::headers_begun(stream, first, true), Frame::continuation(stream, rest, true)]);
    probe.pings()
}

fn refused(probe: &mut Probe<'_>, block: Block) -> Verdict {
    let stream = probe.client.take_stream();
    probe.send(&[Frame::headers(stream, block, true)]);
    probe.connection_error(&[error::COMPRESSION_ERROR])
}
