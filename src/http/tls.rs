//! TLS termination in this process. Certificates are reloaded when their files change.

use std::{
    io,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
    server::TlsStream,
};
use tokio_util::sync::CancellationToken;

use crate::domain::{Secret, SecretError, SecretRef};
use crate::telemetry::causes;

/// How often the files are checked.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// TLS termination in this process.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "tls")]
pub struct TlsOptions {
    /// The certificate chain, leaf first, in PEM. Reloaded when it changes.
    pub certificate: SecretRef,
    /// The private key, in PEM.
    pub private_key: SecretRef,
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("failed to read http.tls.{member}")]
    Read {
        member: &'static str,
        #[source]
        source: SecretError,
    },
    #[error("http.tls.{member} is not PEM")]
    Pem {
        member: &'static str,
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    #[error("http.tls.certificate holds no certificate")]
    Empty,
    #[error("http.tls.private_key does not belong to the certificate, or has an unsupported type")]
    Key(#[source] rustls::Error),
    #[error("failed to set up TLS")]
    Setup(#[source] rustls::Error),
}

/// Accepts TLS connections with the current certificate.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
}

/// Reads a secret anew.
pub type Reader = Arc<dyn Fn(&SecretRef) -> Result<Secret, SecretError> + Send + Sync>;

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Tls {
    pub fn new(options: &TlsOptions, reader: &Reader) -> Result<Self, TlsError> {
        let current = Arc::new(Current(RwLock::new(Arc::new(load(options, reader)?))));
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), current })
    }

    /// Reloads changed files until `closing` is cancelled. Errors are logged, and the old certificate stays in use.
    pub async fn keep_current(self, options: TlsOptions, reader: Reader, closing: CancellationToken) {
        while closing.run_until_cancelled(tokio::time::sleep(CHECK_EVERY)).await.is_some() {
            match load(&options, &reader) {
                Ok(new) => {
                    let mut current = self.current.0.write().unwrap_or_else(PoisonError::into_inner);
                    if current.cert != new.cert {
                        tracing::info!("TLS certificate reloaded");
                        *current = Arc::new(new);
                    }
                }
                Err(error) => {
                    let error = causes(&error);
                    tracing::error!(error, "failed to reload the TLS certificate; the old one stays in use");
                }
            }
        }
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    pub(super) fn negotiated_http2(&self, stream: &TlsStream<TcpStream>) -> bool {
        stream.get_ref().1.alpn_protocol() == Some(b"h2")
    }
}

fn load(options: &TlsOptions, reader: &Reader) -> Result<CertifiedKey, TlsError> {
    let read = |member, place| reader(place).map_err(|source| TlsError::Read { member, source });
    let pem = |member| move |source| TlsError::Pem { member, source };
    let chain = read("certificate", &options.certificate)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain.expose().as_bytes())
        .collect::<Result<_, _>>()
        .map_err(pem("certificate"))?;
    if chain.is_empty() {
        return Err(TlsError::Empty);
    }
    let key = read("private_key", &options.private_key)?;
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(pem("private_key"))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(TlsError::Key)
}
