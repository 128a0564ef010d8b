//! What the endpoints wrote down: each request that reached one of them, by its id.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// How often each id reached an endpoint.
#[derive(Debug, Default)]
pub struct Journal {
    counts: HashMap<u64, u32>,
}

impl Journal {
    pub fn read<'p>(paths: impl Iterator<Item = &'p Path>) -> Result<Journal> {
        let mut journal = Journal::default();
        for path in paths {
            let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            journal.add(&text)?;
        }
        Ok(journal)
    }

    /// Lines of a method and an id.
    fn add(&mut self, text: &str) -> Result<()> {
        for line in text.lines() {
            let id = line.split_once(' ').and_then(|(_, id)| id.parse().ok());
            *self.counts.entry(id.with_context(|| format!("{line:?} in a journal"))?).or_default() += 1;
        }
        Ok(())
    }

    pub fn count(&self, id: u64) -> u32 {
        self.counts.get(&id).copied().unwrap_or(0)
    }
}

#[cfg(test)]
impl Journal {
    pub fn of(text: &str) -> Journal {
        let mut journal = Journal::default();
        journal.add(text).unwrap();
        journal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_ids() {
        let journal = Journal::of("GET 7\nPOST 8\nGET 7\n");
        assert_eq!([7, 8, 9].map(|id| journal.count(id)), [2, 1, 0]);
        assert!(Journal::default().add("GET\n").is_err());
    }
}
