//! From folders on disk to answers.

mod csv;
mod discovery;
mod files;
mod fixture;
mod ndjson;
mod parquet;
mod rewritten;
