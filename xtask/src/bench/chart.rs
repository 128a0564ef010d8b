//! The results as a picture: horizontal bars in an SVG that is readable on light and on dark pages.

use std::fmt::Write as _;

use super::peers::Peer;
use super::results::Row;
use super::table::number;

/// Groups of bars: CPU per request, per MiB, per handshake. Shorter is better. What was not measured is left out.
pub fn svg(rows: &[Row]) -> String {
    let mut panels = vec![
        Panel::new("CPU per request, microseconds (128-byte answers)", rows, Row::cpu_per_request, 1),
        Panel::new("CPU per MiB, microseconds (64 KiB answers)", rows, Row::medium_per_mib, 0),
        Panel::new(
            "CPU per TLS 1.3 handshake, microseconds (ECDSA)",
            rows,
            |row| row.tls.cpu_per_handshake(0),
            0,
        ),
        Panel::new(
            "CPU per HTTP/2 request with TLS, microseconds (128-byte answers)",
            rows,
            |row| row.http2.with_tls.map(|load| load.cpu_micros),
            1,
        ),
    ];
    panels.retain(|panel| !panel.bars.is_empty());
    let height = panels.iter().map(Panel::height).sum::<usize>() + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-label=\"CPU that each proxy takes for the same work\">\n{STYLE}\n"
    );
    let mut top = 0;
    for panel in &panels {
        panel.draw(top, &mut svg);
        top += panel.height();
    }
    svg.push_str("</svg>\n");
    svg
}

struct Panel {
    title: &'static str,
    bars: Vec<(Peer, f64)>,
    digits: usize,
}

impl Panel {
    fn new(title: &'static str, rows: &[Row], value: fn(&Row) -> Option<f64>, digits: usize) -> Panel {
        let mut bars: Vec<(Peer, f64)> =
            rows.iter().filter_map(|row| Some((row.peer, value(row)?))).collect();
        bars.sort_by(|a, b| a.1.total_cmp(&b.1));
        Panel { title, bars, digits }
    }

    fn height(&self) -> usize {
        MARGIN + TITLE + self.bars.len() * BAR
    }

    fn draw(&self, top: usize, svg: &mut String) {
        let longest = self.bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
        let baseline = top + MARGIN + 12;
        let _ = writeln!(svg, "<text class=\"title\" x=\"{MARGIN}\" y=\"{baseline}\">{}</text>", self.title);
        for (at, (peer, value)) in self.bars.iter().enumerate() {
            let y = top + MARGIN + TITLE + at * BAR;
            let length = (value / longest * LONGEST as f64).round() as usize;
            let class = if *peer == Peer::Palisade { "ours" } else { "bar" };
            let (text_y, label_x, value_x) = (y + 15, LEFT - 10, LEFT + length + 8);
            let _ = writeln!(
                svg,
                "<text class=\"name\" x=\"{label_x}\" y=\"{text_y}\">{}</text>\
                 <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{length}\" height=\"20\" rx=\"3\"/>\
                 <text x=\"{value_x}\" y=\"{text_y}\">{}</text>",
                peer.name(),
                number(Some(*value), self.digits)
            );
        }
    }
}

const WIDTH: usize = 760;
const LEFT: usize = 110;
const LONGEST: usize = 560;
const MARGIN: usize = 16;
const TITLE: usize = 24;
const BAR: usize = 28;

/// No background: the page's own shows through, and the colours follow its scheme.
const STYLE: &str = "<style>\
text { font: 14px system-ui, sans-serif; fill: #24292f; } .title { font-weight: 600; } .name { text-anchor: end; } \
.bar { fill: #8c959f; } .ours { fill: #1f6feb; } \
@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .bar { fill: #6e7681; } .ours { fill: #58a6ff; } }\
</style>";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Saturation;

    #[test]
    fn the_shortest_bar_comes_first_and_ours_stands_out() {
        let row = |peer, cpu_micros| Row {
            small: Some(Saturation { requests_per_second: 1.0, cpu_micros, disturbance: 0.0 }),
            ..Row::new(peer, String::new())
        };
        let svg = svg(&[row(Peer::Nginx, 20.0), row(Peer::Palisade, 10.0)]);
        assert!(svg.find("Palisade").unwrap() < svg.find("nginx").unwrap());
        assert!(svg.contains("class=\"ours\" x=\"110\" y=\"40\" width=\"280\""), "{svg}");
        assert!(svg.contains("class=\"bar\" x=\"110\" y=\"68\" width=\"560\""));
    }
}
