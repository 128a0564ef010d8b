//! The run as a picture: an SVG that is readable on light and on dark pages. From the top: the faults as
//! bands, how long GETs took, errors, answers per second, and what the proxy thought of each endpoint.

use std::fmt::Write as _;
use std::time::Duration;

use super::fault::{Fault, NAMES};
use super::load::{Method, Sample};
use super::proxy::State;
use super::quantile::quantile;
use super::verdict::Run;

pub fn svg(run: &Run) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" role=\"img\" aria-label=\"Latency, errors and endpoint states while servers \
         fail\">\n{STYLE}\n"
    );
    let picture = Picture { run, seconds: run.course.end.as_secs_f64().max(1.0) };
    for part in [
        Picture::faults,
        Picture::latency,
        Picture::errors,
        Picture::rate,
        Picture::states,
        Picture::time_axis,
        Picture::legend,
    ] {
        svg.push_str(&part(&picture));
    }
    svg.push_str("</svg>\n");
    svg
}

struct Picture<'r> {
    run: &'r Run,
    /// Of the whole run.
    seconds: f64,
}

/// What GETs and POSTs did in a piece of time, by their start.
struct Slot<'r> {
    start: Duration,
    samples: Vec<&'r Sample>,
}

impl Slot<'_> {
    fn gets(&self) -> Vec<Duration> {
        let gets = self.samples.iter().filter(|sample| sample.method != Method::Post);
        gets.map(|sample| sample.took).collect()
    }

    fn errors(&self, method: Method) -> usize {
        let of = |sample: &&&Sample| sample.method == method && !sample.outcome.is_success();
        self.samples.iter().filter(of).count()
    }

    fn middle(&self) -> Duration {
        self.start + SLOT / 2
    }
}

impl Picture<'_> {
    fn x(&self, time: Duration) -> f64 {
        LEFT + (time.as_secs_f64() / self.seconds).min(1.0) * PLOT
    }

    fn slots<'s>(&self, samples: &'s [Sample], moment: impl Fn(&Sample) -> Duration) -> Vec<Slot<'s>> {
        let index = |time: Duration| (time.as_nanos() / SLOT.as_nanos()) as usize;
        let mut slots: Vec<Slot<'s>> = (0..=index(self.run.course.end))
            .map(|number| Slot { start: SLOT * number as u32, samples: Vec::new() })
            .collect();
        for sample in samples {
            if let Some(slot) = slots.get_mut(index(moment(sample))) {
                slot.samples.push(sample);
            }
        }
        // The last one is not whole.
        slots.pop();
        slots
    }

    fn faults(&self) -> String {
        let mut svg = String::new();
        for trouble in &self.run.course.troubles {
            let (left, right) = (self.x(trouble.begin), self.x(trouble.end));
            let _ = writeln!(
                svg,
                "<rect class=\"{}\" x=\"{left:.1}\" y=\"{BANDS}\" width=\"{:.1}\" height=\"{:.1}\"/>\
                 <text class=\"middle\" x=\"{:.1}\" y=\"{}\">{}</text>",
                trouble.fault.class(),
                right - left,
                STATES - BANDS - 6.0,
                (left + right) / 2.0,
                BANDS + 15.0,
                NAMES[trouble.endpoint]
            );
        }
        for fault in Fault::ALL {
            let own = || self.run.course.troubles.iter().filter(|trouble| trouble.fault == fault);
            if let (Some(first), Some(last)) = (own().next(), own().next_back()) {
                let middle = (self.x(first.begin) + self.x(last.end)) / 2.0;
                let _ = writeln!(
                    svg,
                    "<text class=\"title middle\" x=\"{middle:.1}\" y=\"{}\">{}</text>",
                    BANDS - 8.0,
                    fault.name()
                );
            }
        }
        svg
    }

    fn latency(&self) -> String {
        let mut svg = self.grid(
            "GET, ms",
            LATENCY,
            &[(1e-5, "0.01"), (1e-4, "0.1"), (1e-3, "1"), (1e-2, "10"), (0.1, "100"), (1.0, "1000")],
            log,
        );
        let slots = self.slots(&self.run.samples, |sample| sample.start);
        let control = self.slots(&self.run.control, |sample| sample.start);
        for (slots, class, share) in
            [(&control, "control", 0.99), (&slots, "p99", 0.99), (&slots, "p50", 0.5)]
        {
            let points = slots.iter().filter_map(|slot| {
                let took = quantile(slot.gets(), share)?;
                Some(format!("{:.1},{:.1}", self.x(slot.middle()), LATENCY.y(log(took.as_secs_f64()))))
            });
            let points: Vec<String> = points.collect();
            let _ = writeln!(svg, "<polyline class=\"{class}\" points=\"{}\"/>", points.join(" "));
        }
        svg
    }

    /// A mark for each piece of time with errors; how many is its tooltip.
    fn errors(&self) -> String {
        let mut svg = String::new();
        for (y, name, method, class) in
            [(ERRORS, "GET errors", Method::Get, "get"), (ERRORS + 18.0, "POST errors", Method::Post, "post")]
        {
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y}\" x2=\"{:.1}\" y2=\"{y}\"/>\
                 <text class=\"end\" x=\"{}\" y=\"{:.1}\">{name}</text>",
                LEFT + PLOT,
                LEFT - 8.0,
                y + 4.0
            );
            for slot in
                self.slots(&self.run.samples, Sample::end).iter().filter(|slot| slot.errors(method) > 0)
            {
                let (x, count) = (self.x(slot.middle()), slot.errors(method));
                let _ = writeln!(svg, "{}", mark(class, x, y, &format!("{count} {name}")));
            }
        }
        svg
    }

    fn rate(&self) -> String {
        let slots = self.slots(&self.run.samples, Sample::end);
        let rates = slots.iter().map(|slot| slot.samples.len() as f64 / SLOT.as_secs_f64());
        let rates: Vec<f64> = rates.collect();
        let top = (rates.iter().copied().fold(1.0, f64::max) / 1000.0).ceil() * 1000.0;
        let share = |rate: f64| rate / top;
        let label = format!("{top:.0}");
        let mut svg = self.grid("answers/s", RATE, &[(0.0, "0"), (top, &label)], share);
        let points = slots
            .iter()
            .zip(&rates)
            .map(|(slot, rate)| format!("{:.1},{:.1}", self.x(slot.middle()), RATE.y(share(*rate))));
        let points: Vec<String> = points.collect();
        let _ = writeln!(svg, "<polyline class=\"rate\" points=\"{}\"/>", points.join(" "));
        svg
    }

    /// A row for each endpoint: its state, and a line above it while it has a fault.
    fn states(&self) -> String {
        let mut svg = String::new();
        for (index, name) in NAMES.iter().enumerate() {
            let y = STATES + index as f64 * ROW;
            let _ = writeln!(
                svg,
                "<text class=\"end\" x=\"{}\" y=\"{:.1}\">endpoint {name}</text>",
                LEFT - 8.0,
                y + 13.0
            );
            for (state, begin, end) in self.stretches(index) {
                let (left, right) = (self.x(begin), self.x(end));
                let _ = writeln!(
                    svg,
                    "<rect class=\"{}\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"12\"/>",
                    state.name(),
                    y + 3.0,
                    right - left
                );
            }
            for trouble in self.run.course.troubles.iter().filter(|trouble| trouble.endpoint == index) {
                let (left, right) = (self.x(trouble.begin), self.x(trouble.end));
                let _ = writeln!(
                    svg,
                    "<rect class=\"{}-mark\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"3\"/>",
                    trouble.fault.class(),
                    right - left
                );
            }
        }
        svg
    }

    /// For how long an endpoint was in which state.
    fn stretches(&self, endpoint: usize) -> Vec<(State, Duration, Duration)> {
        let mut stretches: Vec<(State, Duration, Duration)> = Vec::new();
        for (time, states) in &self.run.course.states {
            let Some(state) = states.get(endpoint) else { continue };
            match stretches.last_mut() {
                Some(last) if last.0 == *state => last.2 = *time,
                last => {
                    // The change was some time before it was seen.
                    let begin = last.map_or(Duration::ZERO, |last| last.2);
                    stretches.push((*state, begin, *time));
                }
            }
        }
        stretches
    }

    fn time_axis(&self) -> String {
        let mut svg = String::new();
        for second in (0..=self.seconds as u64).step_by(10) {
            let (x, y) = (self.x(Duration::from_secs(second)), STATES + 3.0 * ROW + 18.0);
            let _ = writeln!(svg, "<text class=\"middle\" x=\"{x:.1}\" y=\"{y:.1}\">{second} s</text>");
        }
        svg
    }

    fn legend(&self) -> String {
        let y = HEIGHT - 14.0;
        let sign: fn(&str, f64, f64) -> String = |class, x, y| mark(class, x + 8.0, y - 4.0, class);
        let mut svg = String::new();
        let mut x = LEFT;
        for (shape, class, text, width) in [
            (line as fn(&str, f64, f64) -> String, "p50", "p50", 60.0),
            (line, "p99", "p99", 60.0),
            (line, "control", "p99 without the proxy", 164.0),
            (sign, "get", "GET error", 96.0),
            (sign, "post", "POST error", 104.0),
            (swatch, "up", "up", 56.0),
            (swatch, "ejected", "ejected by what requests met", 204.0),
            (swatch, "down", "down by its checks", 140.0),
        ] {
            let _ =
                writeln!(svg, "{}<text x=\"{:.1}\" y=\"{y:.1}\">{text}</text>", shape(class, x, y), x + 22.0);
            x += width;
        }
        svg
    }

    /// Lines at some values, with labels, and the title of the panel at its left.
    fn grid(&self, title: &str, panel: Panel, values: &[(f64, &str)], share: impl Fn(f64) -> f64) -> String {
        let middle = panel.top + panel.height / 2.0;
        let mut svg = format!(
            "<text class=\"middle\" transform=\"translate(16 {middle:.1}) rotate(-90)\">{title}</text>\n"
        );
        for (value, label) in values {
            let y = panel.y(share(*value));
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"end\" x=\"{}\" y=\"{:.1}\">{label}</text>",
                LEFT + PLOT,
                LEFT - 8.0,
                y + 4.0
            );
        }
        svg
    }
}

/// Where a diagram is, and how high.
#[derive(Clone, Copy)]
struct Panel {
    top: f64,
    height: f64,
}

impl Panel {
    /// Of a share of the height, 0 at the bottom.
    fn y(self, share: f64) -> f64 {
        self.top + self.height * (1.0 - share.clamp(0.0, 1.0))
    }
}

/// Five decades: 0 is a hundredth of a millisecond, 1 is a second.
fn log(seconds: f64) -> f64 {
    (seconds.max(1e-9).log10() + 5.0) / 5.0
}

fn mark(class: &str, x: f64, y: f64, title: &str) -> String {
    let shape = match class {
        "get" => format!("<path class=\"get\" d=\"M{:.1} {:.1}l8 8m0 -8l-8 8\">", x - 4.0, y - 4.0),
        _ => format!("<path class=\"{class}\" d=\"M{x:.1} {:.1}l4.5 4.5l-4.5 4.5l-4.5 -4.5z\">", y - 4.5),
    };
    format!("{shape}<title>{title}</title></path>")
}

fn line(class: &str, x: f64, y: f64) -> String {
    format!(
        "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{0:.1}\" x2=\"{1:.1}\" y2=\"{0:.1}\"/>",
        y - 4.0,
        x + 16.0
    )
}

fn swatch(class: &str, x: f64, y: f64) -> String {
    format!("<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"14\" height=\"12\"/>", y - 10.0)
}

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 500.0;
const LEFT: f64 = 96.0;
const PLOT: f64 = 888.0;
const BANDS: f64 = 26.0;
const LATENCY: Panel = Panel { top: 52.0, height: 200.0 };
const ERRORS: f64 = 276.0;
const RATE: Panel = Panel { top: 316.0, height: 48.0 };
const STATES: f64 = 384.0;
const ROW: f64 = 20.0;
const SLOT: Duration = Duration::from_millis(250);

/// No background: the page's own shows through, and the colours follow its scheme.
const STYLE: &str = "<style>\
text { font: 12px system-ui, sans-serif; fill: #24292f; } .title { font-weight: 600; } \
.middle { text-anchor: middle; } .end { text-anchor: end; } .grid { stroke: #8c959f; stroke-opacity: .35; } \
polyline, .p50, .p99, .control { fill: none; stroke-width: 1.8; stroke-linejoin: round; } \
.p50 { stroke: #1f6feb; } .p99 { stroke: #8250df; } .rate { stroke: #57606a; } \
.control { stroke: #57606a; stroke-opacity: .5; stroke-width: 1.2; } \
.get { fill: none; stroke: #cf222e; stroke-width: 2.5; } .post { fill: #bc4c00; } \
.up { fill: #2da44e; fill-opacity: .55; } .ejected { fill: #d4a72c; } .down { fill: #cf222e; } \
.kill, .stop, .slow, .fail { fill-opacity: .14; } \
.kill, .kill-mark { fill: #cf222e; } .stop, .stop-mark { fill: #8250df; } \
.slow, .slow-mark { fill: #bf8700; } .fail, .fail-mark { fill: #0969da; } \
@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .p50 { stroke: #58a6ff; } \
.p99 { stroke: #bc8cff; } .rate, .control { stroke: #8b949e; } .get { stroke: #ff7b72; } .post { fill: #ffa657; } \
.up { fill: #3fb950; } .ejected { fill: #e3b341; } .down { fill: #f85149; } \
.kill, .stop, .slow, .fail { fill-opacity: .22; } \
.kill, .kill-mark { fill: #f85149; } .stop, .stop-mark { fill: #a371f7; } \
.slow, .slow-mark { fill: #d29922; } .fail, .fail-mark { fill: #388bfd; } }\
</style>";

#[cfg(test)]
mod tests {
    use super::super::client::Outcome;
    use super::super::course::{Course, Trouble};
    use super::super::journal::Journal;
    use super::*;

    #[test]
    fn shows_faults_errors_and_states() {
        let second = Duration::from_secs(1);
        let trouble = Trouble {
            fault: Fault::Kill,
            endpoint: 1,
            begin: 2 * second,
            end: 4 * second,
            next: 10 * second,
        };
        let states = |at, b| (second * at, vec![State::Up, b, State::Up]);
        let course = Course {
            troubles: vec![trouble],
            states: vec![states(1, State::Up), states(3, State::Down), states(5, State::Up)],
            end: 10 * second,
        };
        let sample = |method, status| Sample {
            method,
            id: 1,
            start: 2 * second,
            took: second / 100,
            outcome: Outcome::Status(status),
        };
        let samples = vec![sample(Method::Get, 200), sample(Method::Post, 502)];
        let run = Run { course, samples, journal: Journal::default(), repetitions: 0, control: Vec::new() };
        let svg = svg(&run);
        // A tenth of the plot for each second.
        assert!(svg.contains("class=\"kill\" x=\"273.6\" y=\"26\" width=\"177.6\""), "{svg}");
        assert!(svg.contains("1 POST errors") && !svg.contains("1 GET errors"));
        assert!(svg.contains("class=\"down\" x=\"184.8\""));
        assert_eq!((log(1e-5), log(1.0)), (0.0, 1.0));
    }
}
