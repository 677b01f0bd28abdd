//! The engine: drives runs; keeps faces out: no printing, HTTP serving or argument parsing.
