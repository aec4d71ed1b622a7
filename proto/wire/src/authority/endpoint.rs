//! Where servers are reached, and that they are reached over TLS only.

use std::time::Duration;

use http::Uri;
use tonic::transport::Endpoint;
use weft_governance::{Error, ErrorKind, code};

/// A connection on which nothing arrives is probed this often.
const PROBE: Duration = Duration::from_secs(20);
/// How long a probe may stay unanswered.
const SILENCE: Duration = Duration::from_secs(5);

/// A server's address from `url`.
///
/// # Errors
/// If it is not `https://HOST:PORT`: the transport speaks plain text to any other scheme, whatever
/// its TLS settings are, and the first message may be a password.
pub(crate) fn address(url: &str) -> Result<Uri, Error> {
    let uri: Uri = url.parse().map_err(|error| bad_url(url).caused_by(error))?;
    let secure = uri.scheme_str() == Some("https");
    let plain = uri
        .authority()
        .is_some_and(|authority| !authority.as_str().contains('@'));
    let fits = secure && plain && uri.host().is_some_and(|host| !host.is_empty());
    fits.then_some(uri).ok_or_else(|| bad_url(url))
}

/// An endpoint at `uri` whose calls end after `longest`.
pub(crate) fn endpoint(uri: Uri, longest: Duration) -> Endpoint {
    tuned(Endpoint::from(uri), longest)
}

/// The same endpoint with the limits of calls to an authority.
pub(crate) fn tuned(endpoint: Endpoint, longest: Duration) -> Endpoint {
    endpoint
        .connect_timeout(longest)
        .timeout(longest)
        .http2_keep_alive_interval(PROBE)
        .keep_alive_timeout(SILENCE)
}

pub(crate) fn bad_url(url: &str) -> Error {
    let shown: String = url.chars().take(200).collect();
    Error::new(
        ErrorKind::InvalidInput,
        code::SETTINGS,
        format!("`{shown}` is not the URL of a server"),
    )
    .with_hint("Write it as `https://HOST:PORT`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_leads_to_an_authority() {
        assert!(address("https://127.0.0.1:7000").is_ok());
        assert!(address("https://[::1]:7000").is_ok());
        for url in [
            "http://127.0.0.1:7000",
            "127.0.0.1:7000",
            "ftp://a",
            "",
            "https://u:p@a:1",
        ] {
            assert_eq!(address(url).expect_err(url).code(), code::SETTINGS);
        }
    }
}
