//! The network of its own: a loopback, and listeners that Botpipe serves outside. A socket stays in the
//! network it was made in, so nothing that serves it needs to run inside.

use std::net::{Ipv4Addr, TcpListener};

use crate::Refused;

pub(super) fn listen(doors: &[u16]) -> Result<Vec<TcpListener>, Refused> {
    doors
        .iter()
        .map(|port| {
            TcpListener::bind((Ipv4Addr::LOCALHOST, *port))
                .map_err(super::refused(format!("listen on port {port}")))
        })
        .collect()
}
