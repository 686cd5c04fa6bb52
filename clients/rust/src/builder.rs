//! How a connection is to be made.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
use tonic::transport::ClientTlsConfig;
use tonic::transport::Endpoint;

use crate::address::Address;
use crate::backoff::Pace;
use crate::channel::Channel;
use crate::connection::Connection;
use crate::{Client, Error};

const USER_AGENT: &str = concat!("imagegen-rust/", env!("CARGO_PKG_VERSION"));

/// Only while a call runs: a stock server ends connections that ping for nothing.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that does not answer at all is given up; gRPC's own libraries take the same time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Each stream has a window of 2 MiB, hyper's default. That of the connection is for all of them: were it small, a few
/// streams that nobody reads would hold up all others.
const CONNECTION_WINDOW: u32 = 1 << 30;
/// The server may send a chunk of an image (192 KiB) in one frame. With the 16 KiB of HTTP/2's default, handing frames
/// from task to task takes more of the processor than all the rest of receiving.
const FRAME_BYTES: u32 = 256 * 1024;

/// Says where the server is and how to reach it; [`ClientBuilder::connect`] makes the [`Client`].
#[derive(Clone, Default)]
#[must_use]
pub struct ClientBuilder {
    address: Option<String>,
    token: Option<String>,
    timeout: Option<Duration>,
    #[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
    tls: Option<ClientTlsConfig>,
    pace: Pace,
}

impl ClientBuilder {
    /// "host:port", "\[v6\]:port" or "unix:/path". Unset or empty = the environment variable IMAGEGEN_ADDRESS, else
    /// "127.0.0.1:50051".
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// The caller's token, sent with every call as `authorization: Bearer`, over TLS or to this machine only. Empty =
    /// none.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into()).filter(|token| !token.is_empty());
        self
    }

    /// The time limit of each call that has none of its own. Unset = as long as it takes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Speaks TLS, and trusts the roots of the system (feature `tls-native-roots`, on by default) or those of Mozilla
    /// (feature `tls-webpki-roots`).
    #[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
    pub fn tls(self) -> Self {
        self.tls_config(ClientTlsConfig::new().with_enabled_roots())
    }

    /// Speaks TLS as `config` says: roots or a client certificate of one's own. The time for the handshake is the
    /// client's own: 20 s.
    ///
    /// ```no_run
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use imagegen_client::{Certificate, Client, ClientTlsConfig, Identity};
    ///
    /// let roots = Certificate::from_pem(std::fs::read("ca.pem")?);
    /// let me = Identity::from_pem(std::fs::read("me.pem")?, std::fs::read("me.key")?);
    /// let config = ClientTlsConfig::new().ca_certificate(roots).identity(me);
    /// let client = Client::builder().address("images.example:443").tls_config(config).connect()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
    pub fn tls_config(mut self, config: ClientTlsConfig) -> Self {
        self.tls = Some(config);
        self
    }

    /// Makes waits shorter, for tests.
    #[cfg(test)]
    pub(crate) fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Makes the client. The connection itself is made by the first call, and made again whenever it broke.
    ///
    /// # Errors
    ///
    /// An address that is a URL or has no port, a token that would travel in clear text beyond this machine or is no
    /// text for a header, TLS that cannot be set up, or no tokio runtime to work in. Nothing was sent.
    pub fn connect(self) -> Result<Client, Error> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| Error::refused("", "there is no tokio runtime here: connect inside of one"))?;
        let address = Address::choose(self.address.clone())?;
        if self.token.is_some() && !self.has_tls() && !address.is_loopback() {
            return Err(Error::refused(
                "token",
                format!(
                    "a token is sent over TLS or to this machine only, and {} is neither: use tls()",
                    address.as_str()
                ),
            ));
        }
        let authorization = self.token.as_deref().map(bearer).transpose()?;
        let endpoint = self.endpoint(&address)?;
        let channel = Channel::new(endpoint.connect_lazy(), authorization, self.pace);
        Ok(Client::new(Connection::new(channel, address, self.timeout, runtime, self.pace)))
    }

    #[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
    fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    #[cfg(not(any(feature = "tls-ring", feature = "tls-aws-lc")))]
    fn has_tls(&self) -> bool {
        false
    }

    fn endpoint(&self, address: &Address) -> Result<Endpoint, Error> {
        let refused = |error: tonic::transport::Error| {
            let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Error::refused("address", format!("{:?} cannot be connected to: {why}", address.as_str()))
        };
        let endpoint = Endpoint::from_shared(address.to_uri(self.has_tls()))
            .map_err(refused)?
            .user_agent(USER_AGENT)
            .map_err(refused)?
            .connect_timeout(CONNECT_TIMEOUT)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME_BYTES)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(false);
        #[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
        if let Some(config) = self.tls.clone() {
            // Its time is not in that of the connection.
            return endpoint.tls_config(config.timeout(CONNECT_TIMEOUT)).map_err(refused);
        }
        Ok(endpoint)
    }
}

impl fmt::Debug for ClientBuilder {
    /// Without the token and the key of the client certificate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("address", &self.address)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Error::refused("token", "a token is text without control characters"))?;
    value.set_sensitive(true);
    Ok(value)
}
