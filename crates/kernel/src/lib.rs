//! The kernel keeps out time, chance, I/O, async, file formats and evaluation: the run as pure data.
//!
//! Three functions move a run: [`decide`](run::decide) turns an [`Input`](run::Input) into
//! [`Event`](run::Event)s, [`Run::evolve`](run::Run::evolve) folds events into state, and
//! [`outstanding`](run::outstanding) reads off that state the [`Effect`](run::Effect)s that are owed.
//! Everything that needs the world (rendering, validating, reading files, starting processes) is an
//! effect whose value or verdict comes back as an input.

pub mod ids;
pub mod plan;
pub mod run;
