//! Groups of endpoints: who takes requests, who is taken out, who comes back, and what clients see of it.

mod balance;
mod breaker;
mod chaos;
mod checks;
mod operator;
mod outliers;
mod retries;
mod several;
mod stage;
