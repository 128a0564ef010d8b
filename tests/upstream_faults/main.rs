//! Origins that break: connections that die, answers that stop, lie or never come. The client must see
//! each of it as what it is, and nobody else may be touched.

mod absent;
mod early_answers;
mod framing;
mod heads;
mod idle_deaths;
mod interim;
mod stage;
mod surplus;
mod truncation;
mod versions;
