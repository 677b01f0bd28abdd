//! The kernel: the run as pure data; keeps out time, chance, I/O, async, file formats and evaluation.
