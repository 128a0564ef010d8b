//! Files as a target, with the real binary.

mod answers;
mod changes;
mod conditions;
mod encoded;
mod escapes;
mod explained;
mod folders;
mod listings;
mod protocols;
mod ranges;
mod sending;
mod stage;
