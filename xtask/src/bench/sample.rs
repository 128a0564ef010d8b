//! The JSON that is compressed: a page of a list, as an interface of a shop or a code host gives it.
//!
//! Made, so that anybody can measure with the same bytes. Its parts are those of such answers: the same names of
//! fields in every record, addresses that differ at their end, ids that count up and ids that are random, times,
//! words of closed lists, people of whom a few are met often, and text. Words of text are as frequent as those of
//! English are (the law of Zipf and Mandelbrot, by which one word in eighteen is "the"), but do not follow each other as
//! those of people do: real text is a little more predictable.

use std::fmt::Write;

/// Of the whole, in bytes.
pub const JSON_LENGTH: usize = 100 << 10;

/// The same bytes every time.
pub fn json() -> Vec<u8> {
    let mut source = Source(1);
    let people: Vec<String> = (0..PEOPLE).map(|number| person(&mut source, number)).collect();
    let mut body = String::from("{\"data\":[");
    let end = "]}";
    let mut number = 0;
    loop {
        let record = record(&mut source, &people, number);
        if body.len() + record.len() + end.len() > JSON_LENGTH {
            break;
        }
        if number > 0 {
            body.push(',');
        }
        body.push_str(&record);
        number += 1;
    }
    // Text is the last member of a record: that of the last one is as long as there is room.
    let room = JSON_LENGTH - body.len() - end.len();
    body.truncate(body.len() - "\"}".len());
    let more = text(&mut source, room);
    let _ = write!(body, "{:room$.room$}\"}}{end}", more);
    body.into_bytes()
}

fn record(source: &mut Source, people: &[String], number: u64) -> String {
    let id = 48_210_977 - number * 3 - source.below(3);
    let length = 2 + source.below(5);
    let title = capitalised(&words(source, length, FUNCTION_WORDS));
    let slug = title.to_lowercase().replace(' ', "-");
    // The newest first, some ten minutes apart.
    let created = 1_795_000_000 - number * 660 - source.below(600);
    let updated = created + source.below(400_000);
    let status = source.of(&["active", "active", "active", "draft", "archived", "pending_review"]);
    let (cents, currency) = (source.below(20_000) + 99, source.of(&["EUR", "EUR", "USD", "GBP"]));
    let labels = labels(source);
    let owner = &people[source.zipf(people.len())];
    let assignee = if source.below(3) == 0 { &people[source.zipf(people.len())] } else { "null" };
    let closed = if status == "archived" { format!("\"{}\"", time(updated)) } else { "null".to_owned() };
    let image = source.uuid();
    let sentences = 1 + source.below(6);
    let description: Vec<String> = (0..sentences).map(|_| sentence(source)).collect();
    format!(
        "{{\"id\":{id},\"uuid\":\"{}\",\"url\":\"https://api.example.com/v1/items/{id}\",\
         \"html_url\":\"https://www.example.com/items/{slug}\",\
         \"comments_url\":\"https://api.example.com/v1/items/{id}/comments\",\"title\":\"{title}\",\
         \"status\":\"{status}\",\"locked\":{},\"featured\":{},\"price\":{{\"amount\":\"{}.{:02}\",\
         \"currency\":\"{currency}\"}},\"quantity\":{},\"rating\":{}.{},\"comments\":{},\"labels\":[{labels}],\
         \"image\":{{\"url\":\"https://cdn.example.com/images/{image}.jpg\",\"width\":{},\"height\":{}}},\
         \"owner\":{owner},\"assignee\":{assignee},\"created_at\":\"{}\",\"updated_at\":\"{}\",\
         \"closed_at\":{closed},\"description\":\"{}\"}}",
        source.uuid(),
        source.below(20) == 0,
        source.below(4) == 0,
        cents / 100,
        cents % 100,
        source.below(250),
        source.below(3) + 2,
        source.below(10),
        source.zipf(60),
        source.of(&["800", "1024", "1600"]),
        source.of(&["600", "768", "1200"]),
        time(created),
        time(updated),
        description.join(" "),
    )
}

fn person(source: &mut Source, number: u64) -> String {
    let (first, last) = (source.of(&FIRST), source.of(&LAST));
    let login = format!("{}{}{}", first.to_lowercase(), source.of(&["", "-", "."]), last.to_lowercase());
    let id = 1_000_000 + number * 7_919 + source.below(7_000);
    format!(
        "{{\"id\":{id},\"login\":\"{login}\",\"name\":\"{first} {last}\",\
         \"avatar_url\":\"https://cdn.example.com/avatars/{id}?v=4\",\
         \"url\":\"https://api.example.com/v1/users/{login}\",\"html_url\":\"https://www.example.com/{login}\",\
         \"type\":\"{}\",\"verified\":{}}}",
        source.of(&["User", "User", "User", "Organization"]),
        source.below(3) == 0,
    )
}

fn labels(source: &mut Source) -> String {
    let count = source.below(4);
    let label = |_| {
        let number = source.zipf(LABELS.len());
        let (name, color) = LABELS[number];
        format!("{{\"id\":{},\"name\":\"{name}\",\"color\":\"{color}\"}}", 2_210 + number * 13)
    };
    (0..count).map(label).collect::<Vec<_>>().join(",")
}

/// At least so many bytes of sentences.
fn text(source: &mut Source, length: usize) -> String {
    let mut text = String::new();
    while text.len() < length {
        text.push(' ');
        text.push_str(&sentence(source));
    }
    text
}

fn sentence(source: &mut Source) -> String {
    let count = 5 + source.below(14);
    let end = source.of(&[".", ".", ".", ".", "!", "?"]);
    capitalised(&words(source, count, 0)) + end
}

/// Without the `skipped` most frequent ones.
fn words(source: &mut Source, count: u64, skipped: usize) -> String {
    let vocabulary: Vec<&str> = VOCABULARY.split_ascii_whitespace().skip(skipped).collect();
    (0..count).map(|_| vocabulary[source.ranked(vocabulary.len(), 27)]).collect::<Vec<_>>().join(" ")
}

fn capitalised(text: &str) -> String {
    text.get(..1).unwrap_or_default().to_uppercase() + text.get(1..).unwrap_or_default()
}

/// Seconds since 1970 as RFC 3339 writes them; exact for the years around 2026.
fn time(second: u64) -> String {
    let (mut day, rest) = (second / 86_400 - 20_454, second % 86_400);
    let mut year = 2026;
    while day >= 365 {
        day -= 365;
        year += 1;
    }
    let mut month = 0;
    while day >= MONTHS[month] {
        day -= MONTHS[month];
        month += 1;
    }
    format!(
        "{year}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        month + 1,
        day + 1,
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Random numbers, the same ones every time.
struct Source(u64);

impl Source {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn of<'t>(&mut self, list: &[&'t str]) -> &'t str {
        list[self.below(list.len() as u64) as usize]
    }

    /// A place in a list of which the nth is met with 1/n of the frequency of the first.
    fn zipf(&mut self, length: usize) -> usize {
        self.ranked(length, 0)
    }

    /// The same with the ranks moved on by so many tenths: the first ones are less outstanding.
    fn ranked(&mut self, length: usize, moved: u64) -> usize {
        let weights = || (1..=length as u64).map(|rank| 10_000_000 / (10 * rank + moved));
        let mut point = self.below(weights().sum());
        let hit = |weight: u64| match point.checked_sub(weight) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        };
        weights().position(hit).unwrap_or(0)
    }

    fn uuid(&mut self) -> String {
        let mut hex = |digits: u32| {
            format!("{:0width$x}", self.next() & ((1 << (4 * digits)) - 1), width = digits as usize)
        };
        format!("{}{}-{}-4{}-a{}-{}{}{}", hex(4), hex(4), hex(4), hex(3), hex(3), hex(4), hex(4), hex(4))
    }
}

const PEOPLE: u64 = 40;
/// Days, in years that are no leap years.
const MONTHS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const FIRST: [&str; 24] = [
    "Anna", "Ben", "Clara", "David", "Elena", "Felix", "Grace", "Hugo", "Ines", "Jonas", "Karin", "Liam",
    "Maya", "Noah", "Olga", "Paul", "Rosa", "Samir", "Tara", "Umar", "Vera", "Wei", "Yuki", "Zoe",
];
const LAST: [&str; 24] = [
    "Adams", "Bauer", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Huber", "Ivanov", "Jensen", "Kim",
    "Lopez", "Moreau", "Nguyen", "Okafor", "Patel", "Rossi", "Santos", "Tanaka", "Usman", "Virtanen",
    "Weber", "Young", "Zhang",
];
const LABELS: [(&str, &str); 12] = [
    ("new", "a2eeef"),
    ("sale", "d73a4a"),
    ("bug", "d93f0b"),
    ("enhancement", "84b6eb"),
    ("question", "d876e3"),
    ("documentation", "0075ca"),
    ("help wanted", "008672"),
    ("good first issue", "7057ff"),
    ("duplicate", "cfd3d7"),
    ("invalid", "e4e669"),
    ("wontfix", "ffffff"),
    ("limited edition", "fbca04"),
];
/// So many of the words below mean nothing alone, and do not stand in titles.
const FUNCTION_WORDS: usize = 119;
/// The most frequent first.
const VOCABULARY: &str = "\
    the of and to a in is for that it with on as this be by are at from or an was not you we can have will all but \
    if your which has one more when they so do there use out up no their only what time other new some these then \
    than also its may our after how any first just like into over work two them would where most make should get way \
    been see could now need because each between through before same here does well back while under very used using \
    made both set still every without much such down since part even good last long small large few next own again \
    right problem page order user file data system error version update support issue change release server request \
    response client code test value name list number line text field type key service account product price shipping \
    delivery customer color size cotton leather wooden steel black white blue green red light dark soft water summer \
    winter home kitchen garden table chair lamp bottle jacket shirt shoes bag box paper phone battery cable screen \
    keyboard camera charger quality design handmade classic modern simple fast slow easy hard open close read write \
    send receive build run start stop fix add remove check create delete show hide save load install configure \
    default option setting behavior result message warning expected actual steps reproduce browser window button \
    link form image style script module function method class object string array index query database cache memory \
    thread process network connection timeout retry limit token password permission admin role group team project \
    branch commit merge review comment question answer example documentation guide reference library package \
    dependency license platform linux windows mobile desktop cloud storage backup migration schema record invoice \
    payment refund discount coupon stock warehouse supplier country language currency address street city morning \
    evening week month year today yesterday season holiday gift family children friend people world music book movie \
    game sport travel hotel flight train ticket event meeting calendar reminder task plan goal report chart summary \
    detail feature improvement performance security privacy accessibility feedback suggestion experience material \
    surface finish weight height width length capacity temperature pressure speed power energy recycled organic \
    waterproof lightweight durable portable adjustable replacement warranty certified original limited available \
    included compatible recommended popular premium vintage natural fresh";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_value_of_the_promised_length() {
        let body = json();
        assert_eq!(body.len(), JSON_LENGTH);
        assert_eq!(body, json());
        let text = String::from_utf8(body).unwrap();
        // Nothing in a string is escaped: what stands between quotes is one.
        let outside: String = text.split('"').step_by(2).collect();
        assert!(!text.contains('\\'));
        let mut open = Vec::new();
        for (at, byte) in outside.bytes().enumerate() {
            match byte {
                b'{' | b'[' => open.push(byte + 2),
                b'}' | b']' => assert_eq!(open.pop(), Some(byte), "at {at}"),
                _ => assert!(!open.is_empty(), "at {at}"),
            }
        }
        assert!(open.is_empty());
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (second, expected) in [
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (1_795_000_000, "2026-11-18T11:06:40Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (1_798_761_600, "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(time(second), expected);
        }
    }
}
