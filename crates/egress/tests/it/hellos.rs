//! First messages of TLS handshakes, as a real client says them and as an odd one might.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

fn config() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

fn said(config: ClientConfig, name: &str) -> Vec<u8> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// What a client says that wants to speak to `name`.
pub(crate) fn named(name: &str) -> Vec<u8> {
    said(config(), name)
}

/// What a client says that names nobody.
pub(crate) fn nameless() -> Vec<u8> {
    let mut config = config();
    config.enable_sni = false;
    said(config, "nobody.example")
}

/// A hello that names something that is no name: any bytes in its place.
pub(crate) fn misnamed(bytes: &[u8]) -> Vec<u8> {
    let stand_in = vec![b'q'; bytes.len()];
    let mut hello = named(std::str::from_utf8(&stand_in).unwrap());
    let at = hello.windows(bytes.len()).position(|it| it == stand_in).unwrap();
    hello[at..at + bytes.len()].copy_from_slice(bytes);
    hello
}

/// The same hello in records of at most `size` bytes.
pub(crate) fn in_records(hello: &[u8], size: usize) -> Vec<u8> {
    let record = |piece: &[u8]| {
        let length = u16::try_from(piece.len()).unwrap().to_be_bytes();
        [&hello[..3], &length[..], piece].concat()
    };
    hello[5..].chunks(size).flat_map(record).collect()
}
