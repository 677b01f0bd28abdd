//! The codec of Claude Code: on recordings of the real program, and with the real program.

mod commands;
mod live;
mod recorded;
mod scenes;
mod told;
