use super::*;

fn filter() -> Compress {
    Compress {
        options: CompressOptions::default(),
        limits: CompressionLimits { guard: false, memory: 1 << 30 },
    }
}

/// Names and values.
type Lines<'l> = &'l [(&'l str, &'l str)];

fn request(method: Method, lines: Lines<'_>) -> RequestHead {
    let mut head = RequestHead::default();
    head.method = method;
    for (name, value) in lines {
        head.fields.push(Name::classify(name.as_bytes()), name.as_bytes(), value.as_bytes());
    }
    head
}

fn answer(status: u16, lines: Lines<'_>, body: Body<'static>) -> Response<'static> {
    let mut response = Response::empty(status);
    response.body = body;
    for (name, value) in lines {
        response.head.fields.push(Name::classify(name.as_bytes()), name.as_bytes(), value.as_bytes());
    }
    response
}

fn text(length: usize) -> Body<'static> {
    Body::Text(b"some text, ".iter().copied().cycle().take(length).collect::<Vec<_>>().into())
}

const GZIP: Lines<'_> = &[("Accept-Encoding", "gzip")];
const HTML: (&str, &str) = ("Content-Type", "text/html");

#[test]
fn which_answers_are_compressed() {
    use Verdict::{Compress as Yes, Depends, Leave};
    let yes = Yes(Coding::Gzip);
    let cases: &[(Lines<'_>, u16, Lines<'_>, usize, Verdict)] = &[
        (GZIP, 200, &[HTML], 2000, yes),
        (GZIP, 404, &[HTML], 2000, yes),
        (GZIP, 200, &[HTML], 1024, yes),
        (GZIP, 200, &[HTML], 1023, Leave),
        (GZIP, 200, &[HTML], 0, Leave),
        (GZIP, 200, &[("Content-Type", "image/png")], 2000, Leave),
        (GZIP, 200, &[], 2000, Leave),
        (&[], 200, &[HTML], 2000, Depends),
        (&[("Accept-Encoding", "gzip;q=0")], 200, &[HTML], 2000, Depends),
        (&[("Accept-Encoding", "gzip;q=nonsense")], 200, &[HTML], 2000, Depends),
        (&[GZIP[0], ("Cache-Control", "no-transform")], 200, &[HTML], 2000, Depends),
        (GZIP, 200, &[HTML, ("Cache-Control", "no-transform")], 2000, Leave),
        (GZIP, 200, &[HTML, ("Content-Encoding", "br")], 2000, Leave),
        (GZIP, 200, &[HTML, ("Content-Encoding", "identity")], 2000, yes),
        (GZIP, 206, &[HTML, ("Content-Range", "bytes 0-1999/5000")], 2000, Depends),
        (GZIP, 206, &[("Content-Type", "multipart/byteranges; boundary=x")], 2000, Leave),
        (GZIP, 416, &[HTML, ("Content-Range", "bytes */5000")], 2000, Depends),
        (GZIP, 204, &[HTML], 0, Leave),
        (GZIP, 205, &[HTML], 0, Leave),
        (GZIP, 304, &[], 0, Depends),
        (GZIP, 304, &[HTML], 0, Depends),
        (GZIP, 304, &[("Content-Type", "image/png")], 0, Leave),
        (GZIP, 200, &[("Content-Type", "application/grpc+json")], 2000, Leave),
    ];
    for (asks, status, tells, length, wanted) in cases {
        let asked = filter().ask(&mut request(Method::Get, asks));
        let got = filter().judge(&asked, &answer(*status, tells, text(*length)));
        assert_eq!(got, *wanted, "{asks:?} {status} {tells:?} {length}");
    }
}

#[test]
fn the_head_says_what_became_of_the_body() {
    let tells =
        [HTML, ("ETag", "\"a\""), ("Vary", "Origin"), ("Accept-Ranges", "bytes"), ("Content-MD5", "x")];
    for (method, body) in [(Method::Get, text(5000)), (Method::Head, Body::Empty)] {
        let asked = filter().ask(&mut request(method, GZIP));
        let mut response = answer(200, &tells, body);
        response.announced = (method == Method::Head).then_some(5000);
        filter().answer(&asked, &mut response);
        let fields = &response.head.fields;
        let told = |name: &'static [u8]| {
            fields
                .all_named(name)
                .map(|value| String::from_utf8_lossy(value).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(told(b"content-encoding"), ["gzip"], "{method:?}");
        assert_eq!(told(b"vary"), ["Origin, Accept-Encoding"]);
        assert_eq!(told(b"etag"), ["W/\"a\""]);
        assert_eq!((told(b"accept-ranges").len(), told(b"content-md5").len()), (0, 0));
        assert_eq!(response.announced, None);
        match response.body.length() {
            BodyLength::Exact(length) if method == Method::Get => assert!(length > 20 && length < 200),
            length => assert_eq!(length, BodyLength::NONE),
        }
    }
}

#[test]
fn what_would_not_shrink_stays() {
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let noise: Vec<u8> = (0..5000).map(|_| random()).collect();
    let asked = filter().ask(&mut request(Method::Get, GZIP));
    let mut response = answer(200, &[HTML, ("ETag", "\"a\"")], Body::Text(noise.into()));
    filter().answer(&asked, &mut response);
    assert_eq!(response.body.length(), BodyLength::Exact(5000));
    let fields = &response.head.fields;
    assert!(!fields.contains(Name::ContentEncoding));
    assert_eq!(fields.all_named(b"etag").next(), Some(&b"\"a\""[..]));
    assert_eq!(fields.all_named(b"vary").next(), Some(&b"Accept-Encoding"[..]));
}

#[test]
fn without_memory_it_stays_too() {
    let mut filter = filter();
    filter.limits.memory = 1;
    let asked = filter.ask(&mut request(Method::Get, GZIP));
    let mut response = answer(200, &[HTML], text(5000));
    filter.answer(&asked, &mut response);
    assert_eq!(response.body.length(), BodyLength::Exact(5000));
    assert!(!response.head.fields.contains(Name::ContentEncoding));
}

#[test]
fn the_origin_sees_what_the_client_takes_unless_it_shall_not() {
    for at_origin in [true, false] {
        let mut filter = filter();
        filter.options.at_origin = at_origin;
        let mut head = request(Method::Get, GZIP);
        let asked = filter.ask(&mut head);
        assert_eq!(head.fields.contains(Name::AcceptEncoding), at_origin);
        assert_eq!(asked.accepted.choose(&[Coding::Gzip]), Some(Coding::Gzip));
    }
}
