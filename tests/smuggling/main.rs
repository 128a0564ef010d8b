//! Request smuggling, tried on the real binary: messages that two readers could cut in different places.
//!
//! Each is either refused, with nothing of it sent on, or reaches the origin as one request that cannot be
//! misread. After each of them a canary shows that everybody still gets the answer to his own question.
//! The numbers in the names of the sections are those of the security table.

mod bodies;
mod corpus;
mod exchanges;
mod generated;
mod heads;
mod local_answers;
mod readers;
mod stage;
mod switches;
