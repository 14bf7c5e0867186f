//! How PostgreSQL is reached: the URL with time-outs, TLS by rustls, and errors that name the trouble.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{Config, Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::fault::Fault;
use crate::limits::{CONNECT_TIMEOUT, LOAD_TIMEOUT};
use crate::ports::StoreError;

/// Where PostgreSQL is.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database?sslmode=require`. A secret: it is never shown.
    pub url: String,
    /// Connections at the most, one more for numbering and wake-ups not counted.
    pub pool_size: usize,
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions").field("pool_size", &self.pool_size).finish_non_exhaustive()
    }
}

/// A server and how to talk to it.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

impl Server {
    /// The server that a URL names.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        // Not the parser's own words: of a malformed URL, they may quote a part of the password.
        let malformed = || {
            let expected = "expected postgres://user:password@host:port/database, special characters %-encoded";
            StoreError::Unavailable(format!("the URL of PostgreSQL cannot be understood: {expected}"))
        };
        let mut config: Config = url.parse().map_err(|_| malformed())?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(malformed());
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("tributary");
        }
        // A server that is gone without a word is noticed by the kernel, where a query's own time-out is not there.
        config.keepalives_idle(Duration::from_secs(10)).tcp_user_timeout(2 * LOAD_TIMEOUT);
        Ok(Self { config, tls: tls()? })
    }

    /// Host and port, for messages.
    fn place(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => self.config.get_hostaddrs().first().map(ToString::to_string).unwrap_or_default(),
        };
        format!("{host}:{}", self.config.get_ports().first().copied().unwrap_or(5432))
    }

    /// One connection; `hear` is called for each notification, and once when the connection has ended.
    pub(super) async fn connect(&self, hear: impl Fn() + Send + 'static) -> Result<Client, StoreError> {
        let connecting = tokio::time::timeout(2 * CONNECT_TIMEOUT, self.config.connect(self.tls.clone()));
        let connected = match connecting.await {
            Ok(connected) => connected.map_err(Fault::from),
            Err(_) => Err(Fault::TimedOut),
        };
        let (client, connection) = connected.map_err(|fault| self.refused(&fault))?;
        tokio::spawn(listen(connection, hear));
        Ok(client)
    }

    /// Why there is no connection, and what to look at.
    pub(super) fn refused(&self, fault: &Fault) -> StoreError {
        let place = self.place();
        let user = self.config.get_user().unwrap_or("?");
        let why = match fault.code() {
            Some(code) if *code == SqlState::INVALID_PASSWORD => {
                format!("PostgreSQL at {place} refuses the password of user {user}")
            }
            Some(code) if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                format!("PostgreSQL at {place} refuses user {user}: {}", fault.text())
            }
            Some(code) if *code == SqlState::INVALID_CATALOG_NAME => {
                let name = self.config.get_dbname().or(self.config.get_user()).unwrap_or("?");
                format!("PostgreSQL at {place} has no database {name}: create it, then run `tributary migrate`")
            }
            Some(_) => format!("PostgreSQL at {place} refuses a connection: {}", fault.text()),
            None => {
                let tls = match self.config.get_ssl_mode() {
                    SslMode::Disable => "",
                    _ => "; where it has no TLS, or a certificate of its own, sslmode=disable in the URL",
                };
                format!("PostgreSQL at {place} cannot be reached: {}{tls}", fault.text())
            }
        };
        StoreError::Unavailable(why)
    }
}

/// Drives a connection until it ends.
async fn listen<T>(mut connection: Connection<Socket, T>, hear: impl Fn())
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match std::future::poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(_))) => hear(),
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!(error = Fault::from(error).text(), "a connection to PostgreSQL has ended");
                break;
            }
            None => break,
        }
    }
    hear();
}

/// TLS that trusts the certificate authorities of the web. Whether it is used is said by `sslmode` in the URL.
fn tls() -> Result<MakeRustlsConnect, StoreError> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| StoreError::Unavailable(format!("preparing TLS for PostgreSQL: {why}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
