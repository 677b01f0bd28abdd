//! The public Rust API; keeps internals out of users' hands.
