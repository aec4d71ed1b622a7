//! Rows by themselves, as bytes: an Arrow IPC stream. Only for what this server wrote: nothing guards the reader.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use weft_governance::{Error, ErrorKind, code};

/// The bytes of `rows`.
///
/// # Errors
/// `Internal` if Arrow cannot write them.
pub(crate) fn to_bytes(rows: &RecordBatch) -> Result<Vec<u8>, Error> {
    let write = || -> Result<Vec<u8>, ArrowError> {
        let mut stream = StreamWriter::try_new(Vec::new(), &rows.schema())?;
        stream.write(rows)?;
        stream.into_inner()
    };
    write().map_err(broken)
}

/// The rows in `bytes`.
///
/// # Errors
/// `Internal` if [`to_bytes`] did not write them.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<RecordBatch, Error> {
    let read = || {
        let mut stream = StreamReader::try_new(bytes, None)?;
        let nothing = || ArrowError::IpcError("no rows".to_owned());
        stream.next().ok_or_else(nothing)?
    };
    read().map_err(broken)
}

fn broken(error: ArrowError) -> Error {
    let message = "rows that were kept cannot be read";
    Error::new(ErrorKind::Internal, code::INTERNAL, message).caused_by(error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, StringArray};

    use super::*;

    #[test]
    fn rows_come_back_and_nothing_beside_them_is_written() {
        assert!(from_bytes(b"").is_err());
        let long = "x".repeat(1_000);
        let texts: Arc<dyn Array> = Arc::new(StringArray::from_iter_values(vec![long; 1_000]));
        let all = RecordBatch::try_from_iter([("text", texts)]).expect("columns");
        let some = all.slice(500, 3);
        let bytes = to_bytes(&some).expect("written");
        assert!(bytes.len() < 5_000, "{}", bytes.len());
        assert_eq!(from_bytes(&bytes).expect("read"), some);
    }
}
