//! Frames as words, and words as frames: from the RFC's pictures, not by the code that is tested.

/// One frame as bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields that are written out, none of them indexed.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            bytes.push(text.len() as u8);
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

pub const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a")];

/// `headers 1 end`: words for a frame of the client.
pub fn of_client(words: &str) -> Vec<u8> {
    let words: Vec<&str> = words.split(' ').collect();
    let has = |word: &str| words.contains(&word);
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u32>().ok()).unwrap_or(0);
    let behind = |word: &str| {
        let at = words.iter().position(|other| *other == word)?;
        words.get(at + 1)?.parse::<u32>().ok()
    };
    let end = u8::from(has("end"));
    let padding = behind("pad").map_or(0, |length| length as usize);
    let padded = |payload: &[u8]| match behind("pad") {
        Some(length) => [&[length as u8][..], payload, &vec![0; padding]].concat(),
        None => payload.to_vec(),
    };
    let flags = end | if padding > 0 { 8 } else { 0 } | if has("open") { 0 } else { 4 };
    let on = |dependency: u32| [&dependency.to_be_bytes()[..], &[15]].concat();
    match words[0] {
        "preface" => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        "settings" if has("ack") => frame(4, 1, 0, &[]),
        "settings" => {
            let pairs = words[1..].iter().filter_map(|word| word.split_once('='));
            let bytes = pairs.flat_map(|(id, value)| {
                let id = id.parse::<u16>().expect("an id").to_be_bytes();
                [&id[..], &value.parse::<u32>().expect("a value").to_be_bytes()].concat()
            });
            frame(4, 0, 0, &bytes.collect::<Vec<u8>>())
        }
        "headers" => match behind("on") {
            Some(dependency) => {
                let payload = [on(dependency), block(&GET)].concat();
                frame(1, flags | 0x20, number(1), &payload)
            }
            None => frame(1, flags, number(1), &padded(&block(&GET))),
        },
        "trailers" => frame(1, flags, number(1), &block(&[("x", "y")])),
        // So many of 119 bytes, which are 155 each where they are weighed.
        "many" => {
            let value = "v".repeat(119);
            frame(
                1,
                flags,
                number(1),
                &block(
                    &GET.iter()
                        .copied()
                        .chain(vec![("name", &value[..]); number(2) as usize])
                        .collect::<Vec<_>>(),
                ),
            )
        }
        "many-trailers" => {
            let value = "v".repeat(119);
            frame(1, flags, number(1), &block(&vec![("name", &value[..]); number(2) as usize]))
        }
        "pseudo" => frame(1, flags, number(1), &block(&[(":path", "/")])),
        "broken" => frame(1, flags, number(1), &[0x80]),
        "continuation" => frame(9, flags & 4, number(1), &block(&[("x", "y")])),
        "data" => frame(0, flags & 9, number(1), &padded(&vec![b'd'; number(2) as usize])),
        "priority" => frame(2, 0, number(1), &on(behind("on").unwrap_or(0))),
        "rst" => frame(3, 0, number(1), &8u32.to_be_bytes()),
        "badpriority" => frame(2, 0, number(1), &[0, 0]),
        "push" => frame(5, 4, number(1), &[0; 4]),
        "ping" => {
            frame(6, u8::from(has("ack")), number(1), if has("farewell") { b"farewell" } else { &[7; 8] })
        }
        "goaway" => frame(7, 0, number(1), &[0; 8]),
        "window" => frame(8, 0, number(1), &number(2).to_be_bytes()),
        "unknown" => frame(77, 255, number(1), &[1, 2, 3]),
        "raw" => words[1..].iter().flat_map(|part| hex(part)).collect(),
        other => panic!("no frame {other}"),
    }
}

/// A frame of the server in words, and the bytes behind it.
pub fn of_server(bytes: &[u8]) -> (String, &[u8]) {
    let (head, rest) = bytes.split_at(9);
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let (payload, rest) = rest.split_at(length);
    let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().expect("four bytes"));
    let end = |bit: u8, word: &'static str| if head[4] & bit != 0 { word } else { "" };
    let words = match head[3] {
        0 => format!("DATA {stream} {length}{}", end(1, " end")),
        1 => format!(
            "HEADERS {stream} {length}{}{}",
            end(1, " end"),
            if head[4] & 4 == 0 { " open" } else { "" }
        ),
        3 => format!("RST_STREAM {stream} {}", reason(number(0))),
        4 if head[4] == 1 => "SETTINGS ack".into(),
        4 => {
            let values = payload.chunks(6).map(|entry| {
                let id = u16::from_be_bytes([entry[0], entry[1]]);
                format!(" {id}={}", u32::from_be_bytes(entry[2..].try_into().expect("four bytes")))
            });
            format!("SETTINGS{}", values.collect::<String>())
        }
        6 => format!("PING{}", end(1, " ack")),
        7 => format!("GOAWAY {} {}", number(0), reason(number(4))),
        8 => format!("WINDOW_UPDATE {stream} {}", number(0)),
        9 => format!("CONTINUATION {stream} {length}{}", if head[4] & 4 == 0 { " open" } else { "" }),
        other => panic!("a frame of kind {other}"),
    };
    (words, rest)
}

pub fn reason(code: u32) -> &'static str {
    match code {
        0 => "NO_ERROR",
        1 => "PROTOCOL_ERROR",
        2 => "INTERNAL_ERROR",
        3 => "FLOW_CONTROL_ERROR",
        5 => "STREAM_CLOSED",
        6 => "FRAME_SIZE_ERROR",
        7 => "REFUSED_STREAM",
        8 => "CANCEL",
        9 => "COMPRESSION_ERROR",
        11 => "ENHANCE_YOUR_CALM",
        _ => panic!("code {code}"),
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("text"));
    digits.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}
