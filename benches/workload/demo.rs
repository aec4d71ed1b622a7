//! The demo's data: three domains, each with one data product of TPC-H tables.
//!
//! Owns the folders, the contracts and the rows. It starts nothing and grants nothing.
//!
//! ```text
//! DIR/sales/data/orders/     orders.odcs.yaml      orders.parquet    lineitem.parquet
//! DIR/crm/data/customers/    customers.odcs.yaml   customer.parquet  nation.parquet  region.parquet
//! DIR/supply/data/parts/     parts.odcs.yaml       part.parquet      supplier.parquet  partsupp.parquet
//! DIR/generated              the scale of what stands here; written last
//! ```

mod product;

use std::path::{Path, PathBuf};

use crate::WorkloadError;
use crate::marker::Marker;
use crate::tpch::{self, Table, Written};

pub use product::{PRODUCTS, Product};

/// Rises when the same scale gives other files than before.
pub const FORMAT: u32 = 3;

/// The demo's data as it stands on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The folder that was asked for.
    pub dir: PathBuf,
    /// The scale of the data.
    pub scale: f64,
    /// The tables written by this call; none if the data stood there already.
    pub written: Vec<Written>,
}

impl Generated {
    /// Whether an earlier call had made the data.
    pub fn reused(&self) -> bool {
        self.written.is_empty()
    }

    /// The data directory of `domain`, for its node.
    pub fn data_dir(&self, domain: &str) -> PathBuf {
        data_dir(&self.dir, domain)
    }
}

/// Fills `dir` with the demo's three domains at `scale`, or finds them there.
///
/// Data of another scale is replaced file by file. Two calls at once, also of two processes,
/// take turns.
///
/// # Errors
/// [`WorkloadError::Scale`] before anything is written, otherwise what stopped the writing; the
/// next call then starts over.
pub fn generate(dir: &Path, scale: f64) -> Result<Generated, WorkloadError> {
    tpch::check_scale(scale)?;
    std::fs::create_dir_all(dir).map_err(WorkloadError::io(dir))?;
    let mut marker = Marker::hold(dir)?;
    let expected = marker_text(scale);
    let mut written = Vec::new();
    if !marker.says(&expected) || !is_complete(dir) {
        marker.say("")?;
        for product in &PRODUCTS {
            write_contract(dir, product)?;
        }
        written = tpch::write(scale, tables(dir))?;
        marker.say(&expected)?;
    }
    Ok(Generated {
        dir: dir.to_owned(),
        scale,
        written,
    })
}

fn write_contract(dir: &Path, product: &Product) -> Result<(), WorkloadError> {
    let folder = product_dir(dir, product);
    std::fs::create_dir_all(&folder).map_err(WorkloadError::io(&folder))?;
    let path = contract_path(dir, product);
    std::fs::write(&path, product.contract).map_err(WorkloadError::io(&path))
}

fn tables(dir: &Path) -> impl Iterator<Item = (Table, PathBuf)> {
    PRODUCTS.iter().flat_map(move |product| {
        product.tables().map(move |table| {
            (
                table,
                product_dir(dir, product).join(format!("{table}.parquet")),
            )
        })
    })
}

fn is_complete(dir: &Path) -> bool {
    PRODUCTS
        .iter()
        .all(|product| contract_path(dir, product).is_file())
        && tables(dir).all(|(_, path)| path.is_file())
}

fn marker_text(scale: f64) -> String {
    format!("weft demo data, format {FORMAT}, scale {scale}\n")
}

fn data_dir(dir: &Path, domain: &str) -> PathBuf {
    dir.join(domain).join("data")
}

fn product_dir(dir: &Path, product: &Product) -> PathBuf {
    data_dir(dir, product.domain).join(product.name)
}

fn contract_path(dir: &Path, product: &Product) -> PathBuf {
    product_dir(dir, product).join(format!("{}.odcs.yaml", product.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_call_with_the_same_scale_writes_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = generate(dir.path(), 0.001).expect("generated");
        assert_eq!(first.written.len(), Table::ALL.len());
        assert!(
            first
                .data_dir("sales")
                .join("orders/lineitem.parquet")
                .is_file()
        );
        assert!(
            first
                .data_dir("crm")
                .join("customers/customers.odcs.yaml")
                .is_file()
        );

        let second = generate(dir.path(), 0.001).expect("found");
        assert!(second.reused());
        assert_eq!(second.data_dir("crm"), first.data_dir("crm"));
    }

    #[test]
    fn another_scale_or_a_missing_file_writes_everything_again() {
        let dir = tempfile::tempdir().expect("a directory");
        generate(dir.path(), 0.001).expect("generated");
        let larger = generate(dir.path(), 0.002).expect("generated");
        let customers = |made: &Generated| {
            made.written
                .iter()
                .find(|w| w.table == Table::Customer)
                .map(|w| w.rows)
        };
        assert_eq!(customers(&larger), Some(300));

        std::fs::remove_file(larger.data_dir("supply").join("parts/part.parquet"))
            .expect("removed");
        let mended = generate(dir.path(), 0.002).expect("generated");
        assert_eq!(customers(&mended), Some(300));
    }

    #[test]
    fn a_call_that_was_cut_short_is_made_again() {
        let dir = tempfile::tempdir().expect("a directory");
        generate(dir.path(), 0.001).expect("generated");
        std::fs::write(dir.path().join("generated"), "").expect("emptied");
        assert!(!generate(dir.path(), 0.001).expect("generated").reused());
    }
}
