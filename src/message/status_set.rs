//! Statuses as a configuration names them: `200`, `5xx`, `301-308`.

use std::fmt;

/// Statuses as ranges, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSet(pub Vec<(u16, u16)>);

impl Default for StatusSet {
    /// Any success or redirect.
    fn default() -> Self {
        StatusSet(vec![(200, 299), (300, 399)])
    }
}

impl StatusSet {
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }
}

/// `404 or 500-599`
impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { " or " };
            if first == last {
                write!(f, "{between}{first}")?;
            } else {
                write!(f, "{between}{first}-{last}")?;
            }
        }
        Ok(())
    }
}
