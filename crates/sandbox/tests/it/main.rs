//! Behaviour of containment, judged from outside: what `/proc` shows of a marked process.

mod containment;
mod identity;
mod launch;
mod stage;
