//! In which order a folder is listed: `?sort=size&order=desc`.

use super::Entry;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Order {
    pub by: By,
    pub descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    #[default]
    Name,
    Size,
    Date,
}

impl By {
    pub fn word(self) -> &'static str {
        match self {
            By::Name => "name",
            By::Size => "size",
            By::Date => "date",
        }
    }
}

impl Order {
    /// What is not understood is as if it were not there.
    pub fn of(query: Option<&[u8]>) -> Order {
        let mut order = Order::default();
        for pair in query.unwrap_or_default().split(|byte| *byte == b'&') {
            match pair {
                b"sort=name" => order.by = By::Name,
                b"sort=size" => order.by = By::Size,
                b"sort=date" => order.by = By::Date,
                b"order=asc" => order.descending = false,
                b"order=desc" => order.descending = true,
                _ => {}
            }
        }
        order
    }

    /// Folders come first; what is equal otherwise is in the order of the names.
    pub fn sort(self, entries: &mut [Entry]) {
        entries.sort_by(|one, other| {
            let by_name = || {
                let folded = |name: &[u8], other: &[u8]| {
                    let lower = |name| <[u8]>::iter(name).map(u8::to_ascii_lowercase);
                    lower(name).cmp(lower(other))
                };
                folded(&one.name, &other.name).then_with(|| one.name.cmp(&other.name))
            };
            let ordered = match self.by {
                By::Name => by_name(),
                By::Size if one.is_folder && other.is_folder => by_name(),
                By::Size => one.size.cmp(&other.size).then_with(by_name),
                By::Date => one.modified.cmp(&other.modified).then_with(by_name),
            };
            other.is_folder.cmp(&one.is_folder).then(if self.descending {
                ordered.reverse()
            } else {
                ordered
            })
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_first_whatever_the_order() {
        let entry = |name: &str, is_folder, size, modified| Entry {
            name: name.as_bytes().to_vec(),
            is_folder,
            size,
            modified,
        };
        let mut entries = [
            entry("b", false, 1, 30),
            entry("A", false, 2, 10),
            entry("z", true, 0, 5),
            entry("c", false, 2, 20),
        ];
        for (query, expected) in [
            ("", "z A b c"),
            ("sort=name&order=desc", "z c b A"),
            ("sort=size", "z b A c"),
            ("order=desc&sort=size", "z c A b"),
            ("sort=date", "z A c b"),
            ("sort=date&order=desc", "z b c A"),
            ("sort=<script>&order=up&x", "z A b c"),
        ] {
            Order::of(Some(query.as_bytes())).sort(&mut entries);
            let names: Vec<_> = entries.iter().map(|entry| String::from_utf8_lossy(&entry.name)).collect();
            assert_eq!(names.join(" "), expected, "{query}");
        }
        assert_eq!(Order::of(None), Order::default());
    }
}
