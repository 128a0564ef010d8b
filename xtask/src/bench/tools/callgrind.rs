//! callgrind: instructions in user mode and calls of the heap allocator.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::bench::results::Counted;

/// What to put in front of a command line; the counts will lie in `dir`.
pub fn wrapper(dir: &Path) -> Vec<String> {
    let out = format!("--callgrind-out-file={}/callgrind.%p", dir.display());
    ["valgrind", "--tool=callgrind", "--quiet", &out].map(String::from).into()
}

/// What a long run counts more than a short one, for each of the `requests` that it had more. Start and end of
/// the process cancel out.
pub fn per_request(short: Counted, long: Counted, requests: usize) -> Result<Counted> {
    let each = |long: f64, short: f64| (long - short) / requests as f64;
    let counted = Counted {
        instructions: each(long.instructions, short.instructions),
        allocations: each(long.allocations, short.allocations),
    };
    ensure!(counted.instructions > 0.0, "a longer run counts less: {short:?}, {long:?}");
    Ok(counted)
}

/// The sum of all processes that were traced: callgrind writes one file for each.
pub fn totals(dir: &Path) -> Result<Counted> {
    let mut sum = Counted { instructions: 0.0, allocations: 0.0 };
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("callgrind.")) {
            let text = fs::read_to_string(&path)?;
            let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
            let totals = totals.with_context(|| format!("no totals in {}", path.display()))?;
            sum.instructions += totals.trim().parse::<f64>().context("callgrind's totals")?;
            sum.allocations += allocations(&text);
        }
    }
    Ok(sum)
}

/// Calls of the allocator in a file of callgrind: "fn=" names the caller, "cfn=" the callee of the
/// "calls=" line behind it; a name is written once, and is its number "(12)" from then on.
fn allocations(text: &str) -> f64 {
    let mut names = HashMap::new();
    let (mut caller_allocates, mut callee_allocates, mut calls) = (false, false, 0.0);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            caller_allocates = is_allocator(name, &mut names);
        } else if let Some(name) = line.strip_prefix("cfn=") {
            callee_allocates = is_allocator(name, &mut names);
        } else if let Some(count) = line.strip_prefix("calls=")
            && callee_allocates
            && !caller_allocates
        {
            calls += count.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0.0);
        }
    }
    calls
}

/// True for the functions of the C library and of mimalloc that give memory.
fn is_allocator<'t>(name: &'t str, names: &mut HashMap<&'t str, bool>) -> bool {
    let (number, name) = name.split_once(' ').map_or((name, None), |(number, name)| (number, Some(name)));
    match name {
        Some(name) => {
            let plain = name.trim_start_matches("_").trim_start_matches("mi_").trim_start_matches("theap_");
            let gives =
                ["malloc", "calloc", "zalloc", "realloc", "memalign", "posix_memalign", "aligned_alloc"];
            let found = gives.iter().any(|start| plain.starts_with(start));
            names.insert(number, found);
            found
        }
        None => names.get(number).copied().unwrap_or(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_short_run_from_the_long_one() {
        let run = |instructions, allocations| Counted { instructions, allocations };
        let each = per_request(run(1_000.0, 50.0), run(3_000.0, 60.0), 20).unwrap();
        assert_eq!(each, run(100.0, 0.5));
        assert!(per_request(run(1_000.0, 0.0), run(900.0, 0.0), 20).is_err());
    }

    #[test]
    fn counts_calls_of_the_allocator_from_outside_of_it() {
        let text = "fn=(1) work\ncfn=(2) mi_malloc_aligned\ncalls=3 0\n+1 9\ncfn=(3) send\ncalls=5 0\n+1 9\n\
            fn=(2)\ncfn=(4) _mi_theap_malloc_zero\ncalls=3 0\n+1 9\nfn=(5) more\ncfn=(2)\ncalls=4 0\n* 9\n";
        assert_eq!(allocations(text), 7.0);
    }
}
