//! The metrics page of a running Palisade, as numbers.

use crate::{Address, Client, Palisade};

/// The page at one moment.
#[derive(Clone, Debug)]
pub struct Metrics {
    page: String,
}

impl Metrics {
    /// Asks the admin listener at `address` for `/metrics`.
    #[track_caller]
    pub fn scrape(address: impl Into<Address>) -> Metrics {
        let response = Client::connect(address).get("/metrics");
        assert_eq!(response.status, 200);
        Metrics { page: response.text().to_string() }
    }

    /// The sum of the samples called `palisade_NAME` whose labels contain each of `labels`, written as on
    /// the page: `route="all"`. 0 when there is none, as a counter without events has no line.
    #[track_caller]
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let samples = self.page.lines().filter_map(|line| line.strip_prefix("palisade_")?.rsplit_once(' '));
        let wanted = samples.filter(|(series, _)| {
            let (own, own_labels) = series.split_once('{').unwrap_or((series, ""));
            own == name && labels.iter().all(|label| own_labels.contains(label))
        });
        wanted
            .map(|(series, value)| value.parse::<f64>().unwrap_or_else(|_| panic!("{series} {value}")))
            .sum()
    }

    pub fn page(&self) -> &str {
        &self.page
    }
}

impl Palisade {
    /// A connection to the listener `http`.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.listener("http"))
    }

    /// The page now, from the admin address, or from the admin socket when there is no address.
    #[track_caller]
    pub fn metrics(&self) -> Metrics {
        let listeners = self.listeners();
        let admin = listeners.get("admin").or(listeners.get("admin-socket"));
        Metrics::scrape(admin.expect("an admin address or socket"))
    }
}
