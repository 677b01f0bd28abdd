//! What the way out of the sandbox lets through, and what it does not; the judge is always who was reached.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod addresses;
mod attacks;
mod bounds;
mod endpoint;
mod forward;
mod hellos;
mod patterns;
mod properties;
mod rules;
mod script;
mod world;
