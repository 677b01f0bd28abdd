//! The behaviour of the language, from outside.

mod corpus;
mod door;
mod files;
mod mutations;
mod render;
