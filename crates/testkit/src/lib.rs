//! Test programs and builders; keeps test code out of production.
