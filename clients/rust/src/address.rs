//! Where the server is: how an address is read, and what stays on this machine.

use std::env;
use std::net::{IpAddr, Ipv6Addr};

use crate::Error;

/// The environment variable that names the server when the caller does not.
pub(crate) const VARIABLE: &str = "IMAGEGEN_ADDRESS";
/// Where a server listens that was started without configuration.
pub(crate) const DEFAULT: &str = "127.0.0.1:50051";

/// An address that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    text: String,
    host: Option<String>,
}

impl Address {
    /// The address that was given, else that of the environment, else the default.
    pub(crate) fn choose(given: Option<String>) -> Result<Self, Error> {
        let told = given.filter(|text| !text.is_empty());
        let told = told.or_else(|| env::var(VARIABLE).ok().filter(|text| !text.is_empty()));
        Self::parse(told.as_deref().unwrap_or(DEFAULT))
    }

    /// Reads "host:port", "\[v6\]:port" or "unix:path".
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |why: &str| Err(Error::refused("address", format!("{text:?} {why}")));
        if text.starts_with("http://") || text.starts_with("https://") {
            return refuse("is a URL: the address is host:port; TLS is asked for with tls()");
        }
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                refuse("names no socket: the address is unix:/path")
            } else {
                Ok(Self { text: text.to_owned(), host: None })
            };
        }
        const NO_PORT: &str = "has no port: the address is host:port, such as 'localhost:50051' or '[::1]:50051'";
        if text.parse::<Ipv6Addr>().is_ok() {
            return refuse(NO_PORT);
        }
        let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| !port.is_empty() && !port.ends_with(']'))
        else {
            return refuse(NO_PORT);
        };
        if port.parse::<u16>().is_err() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return refuse("has no such port: a port is a number up to 65535");
        }
        let bare = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(v6) if v6.parse::<Ipv6Addr>().is_ok() => v6,
            Some(_) => return refuse("is no address of IPv6"),
            None if is_name(host) => host,
            None => return refuse("is no host: the address is host:port"),
        };
        Ok(Self { text: text.to_owned(), host: Some(bare.to_owned()) })
    }

    /// As it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is a socket in the file system.
    pub(crate) fn is_unix(&self) -> bool {
        self.host.is_none()
    }

    /// Whether what is sent there stays on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        match &self.host {
            None => true,
            Some(host) if host.eq_ignore_ascii_case("localhost") => true,
            Some(host) => host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        }
    }

    /// What tonic connects to.
    pub(crate) fn to_uri(&self, tls: bool) -> String {
        match (self.is_unix(), tls) {
            (true, _) => self.text.clone(),
            (false, false) => format!("http://{}", self.text),
            (false, true) => format!("https://{}", self.text),
        }
    }
}

fn is_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}
