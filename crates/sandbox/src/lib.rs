//! The sandbox: process confinement; keeps `unsafe` and OS specifics out of everything else.
