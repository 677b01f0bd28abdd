//! The journal: the durable record of runs; keeps SQL out of everything else.
