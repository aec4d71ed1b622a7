//! What the headers of a call and of its answer say of the session.

use std::net::IpAddr;
use std::sync::Arc;

use tonic::metadata::MetadataMap;
use tonic::{Request, Response};

use crate::backend::Backend;
use crate::session::Session;

/// The cookie with the bearer of a client's own session.
const COOKIE: &str = "weft-session";
/// Asked for with a sign-in whose bearer several clients will use.
const SHARED: &str = "x-weft-shared-session";

/// Asks for results to be fetched where they are made, if they can be.
const DIRECT: &str = "x-weft-direct";

/// Who makes a call, as far as the call itself tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a> {
    /// The headers.
    pub(super) metadata: &'a MetadataMap,
    /// Where the connection comes from.
    pub(super) from: Option<IpAddr>,
}

impl<'a> Caller<'a> {
    /// Who makes `request`.
    pub(super) fn of<T>(request: &'a Request<T>) -> Self {
        Self {
            metadata: request.metadata(),
            from: request.remote_addr().map(|address| address.ip()),
        }
    }
}

/// A client that fetches results at other servers too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Roaming {
    /// SHA-256 of the bearer that it presents there.
    pub(super) bearer: [u8; 32],
    /// Where it is.
    pub(super) from: IpAddr,
}

/// A caller who was let in.
pub(super) struct Entered<B: Backend> {
    /// Where the call happens.
    pub(super) session: Arc<Session<B>>,
    /// The bearer of a session of the caller's own, if this one is shared.
    pub(super) offer: Option<String>,
    /// If the caller fetches results elsewhere.
    pub(super) roaming: Option<Roaming>,
}

impl<B: Backend> Entered<B> {
    /// The answer to the call. It offers a bearer: drivers go on with it by themselves, and those
    /// that keep cookies send it back beside what they were given.
    pub(super) fn answer<T>(&self, message: T) -> Response<T> {
        let mut response = Response::new(message);
        if let Some(bearer) = &self.offer {
            let headers = response.metadata_mut();
            if let Ok(header) = format!("Bearer {bearer}").parse() {
                headers.insert("authorization", header);
            }
            if let Ok(header) = format!("{COOKIE}={bearer}; Path=/; HttpOnly").parse() {
                headers.insert("set-cookie", header);
            }
        }
        response
    }
}

/// Whether the sign-in is for several clients.
pub(super) fn asks_to_share(metadata: &MetadataMap) -> bool {
    metadata.get(SHARED).is_some_and(|value| value == "1")
}

/// Whether results are to be fetched where they are made.
pub(super) fn asks_for_direct(metadata: &MetadataMap) -> bool {
    metadata.get(DIRECT).is_some_and(|value| value == "1")
}

/// The bearer that came as a cookie.
pub(super) fn cookie(metadata: &MetadataMap) -> Option<&str> {
    metadata
        .get_all("cookie")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut metadata = MetadataMap::new();
        assert_eq!(cookie(&metadata), None);
        metadata.append("cookie", "a=b; weft-session=".parse().expect("ascii"));
        metadata.append("cookie", "c=d;weft-session=x=y; e".parse().expect("ascii"));
        assert_eq!(cookie(&metadata), Some(""));
        let mut metadata = MetadataMap::new();
        metadata.insert(
            "cookie",
            "xweft-session=1; weft-session=x=y".parse().expect("ascii"),
        );
        assert_eq!(cookie(&metadata), Some("x=y"));
    }
}
