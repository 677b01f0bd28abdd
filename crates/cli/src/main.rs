//! The `botpipe` command; keeps rules out: no workflow decision is taken in a face.
fn main() {}
