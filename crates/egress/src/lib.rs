//! The way out of the sandbox: what a confined program may reach, and nothing beside it.
//!
//! A sandbox with a network namespace of its own has a loopback and no more. It makes listeners there
//! and hands their descriptors out; Botpipe serves on them from outside:
//!
//! ```text
//! inside (own network namespace)            outside
//! 127.0.0.1:A  ◄── program ── listener A ──► Proxy      allowed hosts: CONNECT, http://, SOCKS5
//! 127.0.0.1:B  ◄── program ── listener B ──► Forward    one address of the host
//! 127.0.0.1:C  ◄── program ── listener C ──► Endpoint   one API; the real key is added here
//! ```
//!
//! Nothing here answers DNS, speaks UDP, or knows of policies, steps or runs: plain data comes in.
//! Each of the three is a value: dropping it closes its listener and every connection it carries.
//!
//! # What it cannot see
//! Inside TLS nothing is read. A program that may reach `a.example` can name another host of the same
//! server in the encrypted part (the `Host` of a request, an encrypted client hello). To port 80 a tunnel carries
//! requests for allowed hosts, to others than 443 and 80 what it likes. Allowed hosts are a way for data to leave.

mod address;
mod bounds;
mod endpoint;
mod event;
mod forward;
mod host;
mod http;
mod pattern;
mod preset;
mod proxy;
mod relay;
mod rules;
mod serving;
pub mod wire;

pub use address::{Special, special};
pub use bounds::Bounds;
pub use endpoint::{Endpoint, EndpointError, Roots, Secret, Upstream};
pub use event::{Event, Via};
pub use forward::Forward;
pub use host::{Destination, DestinationError, Host};
pub use pattern::{Pattern, PatternError};
pub use preset::{preset, presets};
pub use proxy::{Proxy, Resolver};
pub use rules::{Allow, Layer, Refusal, Rules};
