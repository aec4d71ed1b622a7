//! What the reader of a result asks for in the headers of the call.

use std::str::FromStr;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use weft_governance::{Error, ErrorKind, code};

use crate::encode::{Compression, Encoder};

/// How bodies are compressed: `none` or `lz4`.
const COMPRESSION: &str = "x-weft-compression";
/// Bytes of the largest message that the reader takes.
const MESSAGE: &str = "x-weft-max-message";

/// Bytes that every client takes in one message.
const EVERYWHERE: usize = 4 << 20;
/// Bytes that no message has, whatever the reader takes.
const MOST: usize = 64 << 20;
/// Bytes around the Arrow message in a message of Flight.
const AROUND: usize = 1 << 10;

/// Who reads a result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader {
    /// When it gives up.
    pub(super) deadline: Option<Instant>,
    compression: Compression,
    message: usize,
}

impl Reader {
    /// Reads the headers of a call.
    ///
    /// # Errors
    /// `InvalidInput` if one says what there is not.
    pub(super) fn read(metadata: &MetadataMap, deadline: Option<Instant>) -> Result<Self, Error> {
        let said = |name| {
            metadata
                .get(name)
                .map(|value| value.to_str().unwrap_or("?"))
        };
        let compression = match said(COMPRESSION) {
            None | Some("none") => Compression::None,
            Some("lz4") => Compression::Lz4,
            Some(_) => {
                return Err(wrong(&format!("`{COMPRESSION}` is `none` or `lz4`")));
            }
        };
        let message = match said(MESSAGE).map(usize::from_str) {
            None => EVERYWHERE,
            Some(Ok(bytes)) if bytes >= EVERYWHERE => bytes.min(MOST),
            Some(_) => {
                let message = format!("`{MESSAGE}` is a number of bytes, at least {EVERYWHERE}");
                return Err(wrong(&message));
            }
        };
        Ok(Self {
            deadline,
            compression,
            message,
        })
    }

    /// `encoder` for this reader.
    pub(super) fn served_by(&self, encoder: Encoder) -> Result<Encoder, Error> {
        let encoder = encoder.for_client(self.message.saturating_sub(AROUND));
        encoder.compressing(self.compression)
    }
}

fn wrong(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, code::PROTOCOL, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &'static str, value: &str) -> Result<Reader, Error> {
        let mut metadata = MetadataMap::new();
        metadata.insert(name, value.parse().expect("ascii"));
        Reader::read(&metadata, None)
    }

    #[test]
    fn a_reader_that_says_nothing_is_like_most() {
        let reader = Reader::read(&MetadataMap::new(), None).expect("nothing wrong");
        assert_eq!(reader.message, EVERYWHERE);
        assert_eq!(reader.compression, Compression::None);
    }

    #[test]
    fn a_reader_asks_for_compression_and_large_messages() {
        let reader = read(COMPRESSION, "lz4").expect("known");
        assert_eq!(reader.compression, Compression::Lz4);
        assert_eq!(read(MESSAGE, "16777216").expect("a size").message, 16 << 20);
        let most = read(MESSAGE, "99999999999").expect("a size");
        assert_eq!(most.message, MOST);
    }

    #[test]
    fn what_there_is_not_is_refused() {
        for (name, value) in [
            (COMPRESSION, "zip"),
            (COMPRESSION, ""),
            (MESSAGE, "1"),
            (MESSAGE, "16MiB"),
            (MESSAGE, "-1"),
        ] {
            let error = read(name, value).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name} {value}");
        }
    }
}
