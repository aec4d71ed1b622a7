//! How rows travel from nodes.

use std::net::IpAddr;
use std::str::FromStr;

use tonic::transport::Uri;
use weft_door::Compression;
use weft_governance::{Error, ErrorKind, code};

/// Which nodes are asked to compress the rows that they send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Transport {
    /// Those on other machines: on one machine, nothing is faster than sending rows as they are.
    #[default]
    Auto,
    /// None.
    Plain,
    /// All.
    Lz4,
}

impl Transport {
    /// What the node at `endpoint`, a URL, is asked for.
    pub(crate) fn compression(self, endpoint: &str) -> Compression {
        match self {
            Self::Auto if is_loopback(endpoint) => Compression::None,
            Self::Auto | Self::Lz4 => Compression::Lz4,
            Self::Plain => Compression::None,
        }
    }
}

/// As settings write it.
impl FromStr for Transport {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::Plain),
            "lz4" => Ok(Self::Lz4),
            other => Err(Error::new(
                ErrorKind::InvalidInput,
                code::SETTINGS,
                format!("there is no compression `{other}`"),
            )
            .with_hint("Set `transport.compression` to `auto`, `none` or `lz4`.")),
        }
    }
}

fn is_loopback(endpoint: &str) -> bool {
    let Ok(uri) = endpoint.parse::<Uri>() else {
        return false;
    };
    let Some(host) = uri.host() else {
        return false;
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_from_other_machines_are_compressed_unless_settings_say_so() {
        for (endpoint, asked) in [
            ("https://127.0.0.1:7462", Compression::None),
            ("https://[::1]:7462", Compression::None),
            ("https://localhost:7462", Compression::None),
            ("https://10.0.0.5:7462", Compression::Lz4),
            ("https://[2001:db8::1]:7462", Compression::Lz4),
            ("https://localhost.example:7462", Compression::Lz4),
        ] {
            assert_eq!(Transport::Auto.compression(endpoint), asked, "{endpoint}");
            let plain = Transport::Plain.compression(endpoint);
            assert_eq!(plain, Compression::None);
            assert_eq!(Transport::Lz4.compression(endpoint), Compression::Lz4);
        }
    }

    #[test]
    fn settings_are_read_or_named() {
        assert_eq!("lz4".parse::<Transport>().expect("known"), Transport::Lz4);
        let error = "zip".parse::<Transport>().expect_err("unknown");
        assert!(error.hint().is_some_and(|hint| hint.contains("`auto`")));
    }
}
