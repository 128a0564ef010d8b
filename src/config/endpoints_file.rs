//! A file of endpoints: one a line, for whatever writes such files. It is checked with the configuration,
//! and again whenever it changes.
//!
//! ```text
//! # what follows a # is for people
//! 10.0.0.1:8080
//! app.internal:8080   weight=5
//! unix:/run/app.sock  backup
//! ```

use std::io::Read;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use super::address;
use super::diagnostic::{Diagnostic, Place, Problems, Severity, Source};
use super::suggest::closest;
use super::values::{Parsed, Wrong, shown, wrong};
use crate::upstream::EndpointOptions;
use crate::upstream::health::BACKUP;

/// Bytes.
const MAX_SIZE: u64 = 1 << 20;
const MAX_ENDPOINTS: usize = 10_000;
/// More mistakes than this are more of the same.
const MAX_MISTAKES: usize = 20;

/// The endpoints of a file; the error is a report for people.
pub fn read(path: &Path) -> Result<Vec<EndpointOptions>, String> {
    let problems = Problems::default();
    let listed = load(path, 0, &problems).unwrap_or_else(|why| {
        problems.add(Diagnostic::everywhere(Severity::Error, why));
        Vec::new()
    });
    if problems.has_errors() { Err(problems.into_report().render(false)) } else { Ok(listed) }
}

/// Reads and checks; mistakes in the text go to `problems`, with `order` as the turn of this file among
/// them. An error is about the file as a whole.
pub fn load(path: &Path, order: usize, problems: &Problems) -> Result<Vec<EndpointOptions>, String> {
    let because = |why: String| format!("cannot read `{}`: {why}", path.display());
    let text = read_text(path).map_err(because)?;
    let source = Source::new(path.display().to_string(), text, order);
    let (listed, mistakes) = parse(&source, problems)?;
    if listed.is_empty() && mistakes == 0 {
        return Err(format!("`{}` has no endpoint", path.display()));
    }
    Ok(listed)
}

fn read_text(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_string(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_string(),
        _ => error.to_string(),
    };
    // Before it is opened: a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err("it is not a file".to_string());
    }
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err("it is larger than 1 MiB".to_string());
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_string())
}

/// The endpoints, and the number of mistakes.
fn parse(source: &Arc<Source>, problems: &Problems) -> Result<(Vec<EndpointOptions>, usize), String> {
    let mut listed = Vec::new();
    let mut mistakes = 0;
    let mut start = 0;
    for line in source.text.split_inclusive('\n') {
        let content = line.split('#').next().unwrap_or_default();
        let mut words = words(source, start, content);
        start += line.len();
        let Some(first) = words.next() else { continue };
        match entry(&first, words) {
            Ok(entry) => listed.push(entry),
            Err((place, Wrong { message, hint })) => {
                // Nothing is quoted here.
                let hint = hint.map(|hint| hint.replace('"', "`"));
                problems.add(Diagnostic::error(&place, message).maybe_hint(hint));
                mistakes += 1;
            }
        }
        if listed.len() > MAX_ENDPOINTS {
            return Err(format!("`{}` has more than {MAX_ENDPOINTS} endpoints", source.name));
        }
        if mistakes == MAX_MISTAKES {
            break;
        }
    }
    Ok((listed, mistakes))
}

/// The words of a line that begins at `start`, each with its place.
fn words<'a>(source: &'a Arc<Source>, start: usize, line: &'a str) -> impl Iterator<Item = Place> + 'a {
    line.split_whitespace().map(move |word| {
        // Both are slices of the same text.
        let at = start + (word.as_ptr() as usize - line.as_ptr() as usize);
        Place::new(source, at..at + word.len())
    })
}

fn entry(first: &Place, words: impl Iterator<Item = Place>) -> Result<EndpointOptions, (Place, Wrong)> {
    let address = address::endpoint(first.text()).map_err(|wrong| (first.clone(), wrong))?;
    let mut listed = EndpointOptions { address, weight: 1, tier: 0 };
    for word in words {
        option(word.text(), &mut listed).map_err(|wrong| (word, wrong))?;
    }
    Ok(listed)
}

fn option(word: &str, listed: &mut EndpointOptions) -> Parsed<()> {
    let number = |name: &str, digits: &str, range: RangeInclusive<u16>| {
        digits.parse::<u16>().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let hint = format!("it is {} to {}", range.start(), range.end());
            wrong(format!("`{name}` cannot be {}", shown(digits)), hint)
        })
    };
    match word.split_once('=') {
        Some(("weight", digits)) => listed.weight = number("weight", digits, 1..=u16::MAX)?,
        Some(("priority", digits)) => listed.tier = number("priority", digits, 0..=1000)?,
        None if word == "backup" => listed.tier = BACKUP,
        _ => {
            let name = word.split('=').next().unwrap_or(word);
            let known = ["weight", "backup", "priority"];
            let hint = match closest(name, known) {
                Some("backup") => "did you mean `backup`?".to_string(),
                Some(name) => format!("did you mean `{name}=N`?"),
                None => "after the address there may be `weight=N`, `priority=N` and `backup`; one endpoint a line"
                    .to_string(),
            };
            return Err(wrong(format!("unknown option {}", shown(word)), hint));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<String>, String> {
        let problems = Problems::default();
        let (listed, mistakes) = parse(&Source::new("list", text, 0), &problems)?;
        if mistakes > 0 {
            return Err(problems.into_report().render(false));
        }
        let shown =
            |listed: &EndpointOptions| format!("{} {} {}", listed.address, listed.weight, listed.tier);
        Ok(listed.iter().map(shown).collect())
    }

    #[test]
    fn one_endpoint_a_line() {
        let text = "# all\n10.0.0.1:80\r\n\n  app.internal:81\tweight=5 # big\nunix:/a.sock backup\n[::1]:80 priority=7";
        let expected = ["10.0.0.1:80 1 0", "app.internal:81 5 0", "unix:/a.sock 1 65535", "[::1]:80 1 7"];
        assert_eq!(parsed(text).unwrap(), expected);
        assert_eq!(parsed("# nobody\n"), Ok(Vec::new()));
    }

    #[test]
    fn each_mistake_has_line_and_hint() {
        let text = "10.0.0.1\n10.0.0.1:80 weigth=5\n10.0.0.1:80 weight=0\n10.0.0.1:80, 10.0.0.2:80\n";
        let report = parsed(text).unwrap_err();
        for part in [
            "--> list:1:1\n",
            "help: write `10.0.0.1:80`, or the right port",
            "--> list:2:13\n",
            "help: did you mean `weight=N`?",
            "--> list:3:13\n",
            "`weight` cannot be `0`",
            "--> list:4:1\n",
            "4 errors",
        ] {
            assert!(report.contains(part), "{part:?} is not in\n{report}");
        }
    }

    #[test]
    fn there_is_a_limit() {
        let many = "10.0.0.1:80\n".repeat(MAX_ENDPOINTS);
        assert_eq!(parsed(&many).map(|listed| listed.len()), Ok(MAX_ENDPOINTS));
        assert!(parsed(&format!("{many}10.0.0.1:80")).unwrap_err().contains("more than 10000 endpoints"));
        let wrong = parsed(&"?\n".repeat(1000)).unwrap_err();
        assert!(wrong.ends_with("20 errors\n"), "{wrong}");
    }
}
