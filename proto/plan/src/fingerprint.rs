//! A digest of a schema, so that both sides know when they see different ones.

use arrow::datatypes::Schema;
use weft_wire::token::sha256;

/// Digest of the names, order, types and nullability of `schema`'s columns.
pub fn fingerprint(schema: &Schema) -> [u8; 32] {
    let mut text = String::new();
    for field in schema.fields() {
        text.push_str(&format!(
            "{:?} {:?} {}\n",
            field.name(),
            field.data_type(),
            field.is_nullable()
        ));
    }
    sha256(text.as_bytes())
}
