//! The examples of RFC 7541, read and written, and blocks that the RFC calls errors.

mod shared;

use http2::hpack::{Broken, Decoder, Encoder, FieldBlock};
use shared::naive::{Field, Kind, Naive};
use shared::{fields, hex};

/// A block and what it says.
type Block = (Vec<u8>, Vec<Field>);

/// The connections of the corpus: the size of the table, and the blocks.
fn connections() -> Vec<(usize, Vec<Block>)> {
    let mut connections: Vec<(usize, Vec<Block>)> = Vec::new();
    let lines = include_str!("rfc7541.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        if let Some(size) = line.strip_prefix("table ") {
            connections.push((size.parse().expect("a size"), Vec::new()));
            continue;
        }
        let (_, blocks) = connections.last_mut().expect("a table");
        if let Some(block) = line.strip_prefix("block ") {
            blocks.push((hex(block), Vec::new()));
            continue;
        }
        let colon = 1 + line[1..].find(": ").expect("a field");
        let (_, fields) = blocks.last_mut().expect("a block");
        fields.push((line[..colon].into(), line[colon + 2..].into()));
    }
    assert_eq!(connections.len(), 8);
    connections
}

#[test]
fn blocks_of_the_rfc_say_what_it_says() {
    for (size, blocks) in connections() {
        let (mut decoder, mut naive, mut into) = (Decoder::new(size), Naive::new(size), FieldBlock::new());
        for (block, expected) in blocks {
            assert_eq!(decoder.decode(&block, 1 << 16, &mut into), Ok(()));
            assert_eq!(fields(&into), expected);
            assert_eq!(into.size(), shared::weight(&expected));
            let naive: Vec<_> =
                naive.decode(&block).expect("whole").into_iter().map(|(_, field)| field).collect();
            assert_eq!(naive, expected);
        }
    }
}

#[test]
fn fields_of_the_rfc_are_written_so_that_they_are_read() {
    for (size, blocks) in connections() {
        let (mut encoder, mut naive, mut out) = (Encoder::new(), Naive::new(4096), Vec::new());
        encoder.set_max_table_size(size as u32);
        // Twice, as nothing is learned at the first sight.
        for (_, expected) in blocks.iter().chain(&blocks) {
            out.clear();
            encoder.begin(&mut out);
            for (name, value) in expected {
                encoder.field(name, value, &mut out);
            }
            let read: Vec<_> =
                naive.decode(&out).expect("whole").into_iter().map(|(_, field)| field).collect();
            assert_eq!(&read, expected);
        }
    }
}

/// The strings of C.4 and C.6 in Huffman code, as they are in our blocks.
#[test]
fn strings_are_written_as_in_the_rfc() {
    for (text, code) in [
        ("www.example.com", "8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"),
        ("no-cache", "86 a8eb 1064 9cbf"),
        ("private", "85 aec3 771a 4b"),
        ("Mon, 21 Oct 2013 20:13:21 GMT", "96 d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff"),
        ("https://www.example.com", "91 9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3"),
        ("gzip", "83 9bd9 ab"),
    ] {
        let mut out = Vec::new();
        Encoder::new().field(b"via", text.as_bytes(), &mut out);
        assert_eq!(out, [hex("0f2d"), hex(code)].concat(), "{text}");
    }
    // Huffman code would be longer, or as long.
    for text in ["<>{}", "\0\0", "X"] {
        let mut out = Vec::new();
        Encoder::new().field(b"via", text.as_bytes(), &mut out);
        assert_eq!(out, [&hex("0f2d"), &[text.len() as u8][..], text.as_bytes()].concat(), "{text}");
    }
}

#[test]
fn errors_of_the_rfc_are_errors() {
    for (block, why) in [
        ("80", "index 0"),
        ("be", "no entry yet"),
        ("ff 80 80 80 80 80 80 01", "an integer too long"),
        ("ff ff ff ff ff 7f", "an index without end"),
        ("7f 00", "a name without an index"),
        ("7e 00", "a name that is not there"),
        ("04", "no value"),
        ("04 05 61", "a value that is longer than the block"),
        ("04 7f ff ff ff ff 7f", "and one that is longer than memory"),
        ("00 01", "no name"),
        ("3f e2 1f", "a table larger than announced"),
        ("82 20", "a change of size behind a field"),
        ("20 20 20", "three changes of size"),
        ("3f", "a size cut off"),
        ("04 81 00", "padding of zeros"),
        ("04 82 1f ff", "padding of more than seven bits"),
        ("04 84 ff ff ff ff", "an end of string"),
    ] {
        let mut into = FieldBlock::new();
        assert_eq!(Decoder::new(4096).decode(&hex(block), 1 << 16, &mut into), Err(Broken), "{why}");
        assert!(Naive::new(4096).decode(&hex(block)).is_none(), "{why}");
    }
    for block in ["", "20", "20 3f e1 1f", "3f e1 1f", "04 00", "00 00 00", "04 80"] {
        let mut into = FieldBlock::new();
        assert_eq!(Decoder::new(4096).decode(&hex(block), 1 << 16, &mut into), Ok(()), "{block}");
    }
}

#[test]
fn a_new_size_of_the_table_is_told_once_with_the_smallest_in_between() {
    let mut encoder = Encoder::new();
    let mut told = |sizes: &[u32]| {
        sizes.iter().for_each(|&size| encoder.set_max_table_size(size));
        let mut out = Vec::new();
        encoder.begin(&mut out);
        out
    };
    assert_eq!(told(&[]), []);
    assert_eq!(told(&[4096, u32::MAX]), [], "nothing new: never more than 4096 are used");
    assert_eq!(told(&[1000]), hex("3f c9 07"));
    assert_eq!(told(&[1000]), []);
    assert_eq!(told(&[u32::MAX, 2000]), hex("3f b1 0f"));
    assert_eq!(told(&[0, 4096, 100, 5000]), hex("20 3f e1 1f"));
    assert_eq!(told(&[100, 0]), hex("20"));
    assert_eq!(told(&[]), []);
}

/// How the fields of one block were written.
fn kinds(encoder: &mut Encoder, naive: &mut Naive, fields: &[(&str, &str)]) -> Vec<Kind> {
    let mut out = Vec::new();
    encoder.begin(&mut out);
    for (name, value) in fields {
        encoder.field(name.as_bytes(), value.as_bytes(), &mut out);
    }
    naive.decode(&out).expect("whole").into_iter().map(|(kind, _)| kind).collect()
}

#[test]
fn what_comes_again_is_learned_and_what_does_not_takes_no_place() {
    use Kind::{Indexed, WithIndexing, WithoutIndexing};
    let (mut encoder, mut naive) = (Encoder::new(), Naive::new(4096));
    for round in 0..2000 {
        let (id, length) = (format!("{round:032x}"), (round * 7919).to_string());
        let block = [
            ("Content-Type", "text/html"),
            ("content-length", &length),
            ("x-powered-by", "nobody"),
            ("x-request-id", &id),
            (":status", "302"),
        ];
        let expected = match round {
            0 => [WithoutIndexing; 5],
            1 => [WithIndexing, WithoutIndexing, WithIndexing, WithIndexing, WithIndexing],
            _ => [Indexed, WithoutIndexing, Indexed, WithoutIndexing, Indexed],
        };
        assert_eq!(kinds(&mut encoder, &mut naive, &block), expected, "{round}");
    }
    assert_eq!(naive.table.len(), 4, "the name of the request's id has an entry, with the first value");
    let order = [(":status", "302"), ("X-Powered-By", "nobody"), ("content-type", "text/html")];
    assert_eq!(kinds(&mut encoder, &mut naive, &order), [Indexed; 3], "wherever it is in the block");
}

#[test]
fn secrets_and_large_values_are_never_in_the_table() {
    let (mut encoder, mut naive) = (Encoder::new(), Naive::new(4096));
    assert_eq!(
        kinds(&mut encoder, &mut naive, &[("set-cookie", "")]),
        [Kind::Indexed],
        "nothing to keep secret"
    );
    let large = "x".repeat(257);
    let (long_name, longer_name) = ("N".repeat(64), "n".repeat(65));
    for round in 0..4 {
        let secrets = [("Set-Cookie", "a=b"), ("authorization", "Basic Og=="), ("Proxy-Authorization", "x")];
        assert_eq!(kinds(&mut encoder, &mut naive, &secrets), [Kind::NeverIndexed; 3]);
        let large = [("etag", large.as_str()), ("x-large", &large), (&longer_name, "1")];
        assert_eq!(kinds(&mut encoder, &mut naive, &large), [Kind::WithoutIndexing; 3]);
        assert_eq!(naive.table.len(), usize::from(round > 1));
        let just_small = [(long_name.as_str(), "1")];
        let kind = [Kind::WithoutIndexing, Kind::WithIndexing, Kind::Indexed, Kind::Indexed][round];
        assert_eq!(kinds(&mut encoder, &mut naive, &just_small), [kind]);
    }
}

#[test]
fn an_entry_takes_at_most_half_of_the_table() {
    let (mut encoder, mut naive) = (Encoder::new(), Naive::new(4096));
    encoder.set_max_table_size(100);
    let (fits, large) = ("v".repeat(50 - 32 - 4), "v".repeat(51 - 32 - 4));
    for kind in [Kind::WithoutIndexing, Kind::WithIndexing, Kind::Indexed, Kind::Indexed] {
        assert_eq!(kinds(&mut encoder, &mut naive, &[("etag", &fits)]), [kind]);
        assert_eq!(kinds(&mut encoder, &mut naive, &[("etag", &large)]), [Kind::WithoutIndexing]);
    }
}

#[test]
fn every_status_is_written_in_three_digits() {
    let (mut encoder, mut naive) = (Encoder::new(), Naive::new(4096));
    for status in (100..=999).chain(100..=999) {
        let mut out = Vec::new();
        encoder.begin(&mut out);
        encoder.status(status, &mut out);
        let read: Vec<_> = naive.decode(&out).expect("whole").into_iter().map(|(_, field)| field).collect();
        assert_eq!(read, [(b":status".to_vec(), status.to_string().into_bytes())]);
    }
}
