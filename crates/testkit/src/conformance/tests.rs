//! The judge on a server that others wrote, and on one that is known to be wrong.

use super::*;
use crate::others::nghttpd;
use crate::{H2Origin, H2OriginOptions, temp_dir};

fn broken(target: &Target) -> Vec<String> {
    let cases = cases();
    let name = |case: &Case| format!("{} {}", case.section, case.rule);
    cases.iter().filter(|case| matches!(case.run(target), Err(Failure::Broken(_)))).map(name).collect()
}

#[test]
fn finds_little_in_a_good_server() {
    let dir = temp_dir();
    std::fs::write(dir.join("index.html"), "hello hello hello\n").unwrap();
    let server = nghttpd(&dir, None, &[]);
    let found = broken(&Target::new(server.address));
    // Seen with nghttpd 1.52. All four are its own: it takes what these sections forbid.
    let known = [
        "9113 5.1.1 so is one that goes back to a lower number",
        "9113 6.9.2 an initial window that fills a stream's is an error",
        "9113 8.3.1 Host that differs from :authority is malformed",
        "9113 8.3.1 an authority with a user is malformed",
    ];
    let unknown: Vec<&String> = found.iter().filter(|name| !known.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn finds_much_in_a_lenient_one() {
    let origin = H2Origin::echo(H2OriginOptions::new());
    let mut target = Target::new(origin.address());
    // What it does wrong it does not do at all; there is nothing to wait for.
    target.patience = Duration::from_millis(200);
    let found = broken(&target);
    for section in ["9113 6.5.2", "9113 6.9.1", "9113 8.2.1", "9113 8.2.2", "9113 8.3.1"] {
        assert!(found.iter().any(|name| name.starts_with(section)), "{section}: {found:#?}");
    }
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names: Vec<String> =
        cases().iter().map(|case| format!("{} {}", case.section, case.rule)).collect();
    assert!(names.len() > 180);
    names.sort();
    names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1]));
}
