//! TLS to the API: its certificate is checked, always.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::upstream::{EndpointError, Roots};
use crate::host::Host;
use crate::relay::Watched;

/// A connection in TLS.
pub(super) type Stream<'a> = StreamOwned<ClientConnection, Watched<'a>>;

/// Makes connections to one host.
#[derive(Debug)]
pub(super) struct Client {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Client {
    pub(super) fn new(roots: &Roots, host: &Host) -> Result<Self, EndpointError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| EndpointError::Tls { source })?
            .with_root_certificates(store(roots)?)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = match host {
            Host::Ip(ip) => ServerName::IpAddress(IpAddr::into(*ip)),
            Host::Name(name) => {
                ServerName::try_from(name.clone()).map_err(|_| EndpointError::Tls {
                    source: rustls::Error::General(format!("`{name}` is no name")),
                })?
            }
        };
        Ok(Self { config: Arc::new(config), name })
    }

    pub(super) fn connection(&self) -> io::Result<ClientConnection> {
        ClientConnection::new(Arc::clone(&self.config), self.name.clone()).map_err(io::Error::other)
    }
}

fn store(roots: &Roots) -> Result<RootCertStore, EndpointError> {
    let from = match roots {
        Roots::System => "of this machine".to_owned(),
        Roots::SystemAnd(path) => format!("of this machine and in `{}`", path.display()),
        Roots::File(path) => format!("in `{}`", path.display()),
    };
    let wrong = |why: String| EndpointError::Roots { from: from.clone(), why };
    let in_file = |path: &Path| {
        let all = CertificateDer::pem_file_iter(path).map_err(|it| wrong(it.to_string()))?;
        all.collect::<Result<Vec<_>, _>>().map_err(|it| wrong(it.to_string()))
    };
    let mut certificates = match roots {
        Roots::System => Vec::new(),
        Roots::SystemAnd(path) | Roots::File(path) => in_file(path)?,
    };
    let mut faults = Vec::new();
    if !matches!(roots, Roots::File(_)) {
        let found = rustls_native_certs::load_native_certs();
        certificates.extend(found.certs);
        faults.extend(found.errors.iter().map(ToString::to_string));
    }
    let mut store = RootCertStore::empty();
    // A machine's store often has some that nobody can use.
    let (usable, _) = store.add_parsable_certificates(certificates);
    if usable == 0 {
        let why = faults.first().map_or("there are none that can be used", String::as_str);
        return Err(wrong(why.to_owned()));
    }
    Ok(store)
}
