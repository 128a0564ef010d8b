//! A listing as a page: no script, nothing from elsewhere, light and dark. Names are text of strangers: they are
//! escaped wherever they stand.

use super::order::{By, Order};
use super::{Listing, MOST_ENTRIES, date};
use crate::files::path::{Below, push_segment};

pub fn page(listing: &Listing, name: &Below, order: Order) -> String {
    let mut out = String::with_capacity(2048 + listing.entries.len() * 160);
    out.push_str("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
    out.push_str("<meta name=\"color-scheme\" content=\"light dark\"><title>/");
    push_text(name.as_bytes(), &mut out);
    out.push_str("</title><style>");
    out.push_str(STYLE);
    out.push_str("</style></head><body><h1>");
    push_crumbs(name, &mut out);
    out.push_str("</h1>\n<table><thead><tr>");
    for (by, title) in [(By::Name, "Name"), (By::Size, "Size"), (By::Date, "Modified")] {
        push_column(by, title, order, &mut out);
    }
    out.push_str("</tr></thead>\n<tbody>");
    if !name.as_bytes().is_empty() {
        out.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for entry in &listing.entries {
        let slash = if entry.is_folder { "/" } else { "" };
        out.push_str("<tr><td><a href=\"./");
        push_segment(&entry.name, &mut out);
        out.push_str(slash);
        out.push_str("\">");
        push_text(&entry.name, &mut out);
        out.push_str(slash);
        out.push_str("</a></td><td>");
        if !entry.is_folder {
            out.push_str(&size(entry.size));
        }
        let date = date(entry.modified);
        out.push_str("</td><td>");
        out.push_str(date.get(..16).unwrap_or(&date));
        out.push_str("</td></tr>\n");
    }
    out.push_str("</tbody></table>\n<p>");
    out.push_str(&told(listing));
    out.push_str("</p></body></html>\n");
    out
}

/// Each folder on the way here as a link that is relative, since the page may lie below a prefix.
fn push_crumbs(name: &Below, out: &mut String) {
    let depth = name.segments().count();
    let up = |levels: usize| if levels == 0 { "./".to_owned() } else { "../".repeat(levels) };
    out.push_str(&format!("<a href=\"{}\">/</a>", up(depth)));
    for (place, segment) in name.segments().enumerate() {
        out.push_str(&format!("<a href=\"{}\">", up(depth - place - 1)));
        push_text(segment, out);
        out.push_str("/</a>");
    }
}

/// The title of a column is a link that orders by it, or turns the order around.
fn push_column(by: By, title: &str, order: Order, out: &mut String) {
    let (state, mark, next) = match (order.by == by, order.descending) {
        (false, _) => ("none", "", "asc"),
        (true, false) => ("ascending", " \u{25b4}", "desc"),
        (true, true) => ("descending", " \u{25be}", "asc"),
    };
    let word = by.word();
    out.push_str(&format!(
        "<th scope=\"col\" aria-sort=\"{state}\"><a href=\"./?sort={word}&amp;order={next}\">{title}{mark}</a></th>"
    ));
}

fn told(listing: &Listing) -> String {
    let folders = listing.entries.iter().filter(|entry| entry.is_folder).count();
    let files = listing.entries.len() - folders;
    let bytes = listing.entries.iter().filter(|entry| !entry.is_folder).map(|entry| entry.size);
    let total = bytes.fold(0_u64, u64::saturating_add);
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let mut text =
        format!("{folders} folder{}, {files} file{}, {}", plural(folders), plural(files), size(total));
    if listing.is_cut {
        text.push_str(&format!(". There is more: only {MOST_ENTRIES} entries are listed."));
    }
    text
}

/// In the largest unit of which there is one at least, with one digit behind the point where that tells something.
fn size(bytes: u64) -> String {
    let mut unit = "B";
    let mut scale = 1_u64;
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if bytes / scale < 1024 {
            break;
        }
        scale <<= 10;
        unit = larger;
    }
    let (whole, rest) = (bytes / scale, bytes % scale);
    if scale == 1 || whole >= 100 {
        return format!("{whole} {unit}");
    }
    let tenth = u128::from(rest) * 10 / u128::from(scale);
    format!("{whole}.{tenth} {unit}")
}

/// As text of HTML, and in an attribute too. Control bytes and what is not UTF-8 are shown as such.
fn push_text(text: &[u8], out: &mut String) {
    for character in String::from_utf8_lossy(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Those that turn the direction of writing would show another name than there is.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push(char::REPLACEMENT_CHARACTER),
            character if character.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            character => out.push(character),
        }
    }
}

/// Its digest stands in the policy of the page.
pub const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;margin:6vh auto;max-width:56em;padding:0 1em}\
h1{font-weight:600;font-size:1.3em;overflow-wrap:anywhere}\
a{color:inherit;text-decoration:none}a:hover{text-decoration:underline}\
table{border-collapse:collapse;width:100%}\
th{text-align:left;font-weight:600;white-space:nowrap}\
th,td{padding:.25em .75em .25em 0;border-bottom:1px solid #8883}\
td:first-child{overflow-wrap:anywhere;width:99%}\
td+td,th+th{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;padding-left:1em}\
tbody tr:hover{background:#8881}p{opacity:.6;font-size:.9em}";

#[cfg(test)]
mod tests {
    use super::super::Entry;
    use super::*;

    #[test]
    fn sizes_are_told_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (102_400, "100 KiB"),
            (1_048_575, "1023 KiB"),
            (1 << 20, "1.0 MiB"),
            (5_368_709_120, "5.0 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_name_stays_a_name() {
        let name = b"<img src=x onerror=alert(1)>\"'&\n\xe2\x80\xaegpj.exe".to_vec();
        let entry = Entry { name: name.clone(), is_folder: false, size: 1, modified: 0 };
        let listing = Listing { entries: vec![entry], is_cut: true };
        let page = page(&listing, &Below::new(name).unwrap(), Order::default());
        assert!(
            !page.contains("<img") && !page.contains("alert(1)>\"") && !page.contains('\u{202e}'),
            "{page}"
        );
        assert!(
            page.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;\u{fffd}\u{fffd}gpj.exe</a>")
        );
        assert!(
            page.contains(
                "href=\"./%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E%22%27%26%0A%E2%80%AEgpj.exe\""
            )
        );
        assert!(page.contains("only 10000 entries"));
    }

    #[test]
    fn crumbs_lead_up() {
        let mut out = String::new();
        push_crumbs(&Below::new(b"a/b".to_vec()).unwrap(), &mut out);
        assert_eq!(out, "<a href=\"../../\">/</a><a href=\"../\">a/</a><a href=\"./\">b/</a>");
    }
}
