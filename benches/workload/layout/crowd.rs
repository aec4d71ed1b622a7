//! Many small products beside those of a layout, so that the catalog is a large one.

use std::path::Path;

use super::LaidOut;
use crate::{Layout, WorkloadError};

/// One table, described as briefly as a contract may.
const CONTRACT: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: NAME\nname: NAME\nversion: 1.0.0\nstatus: active\n\ncustomProperties:\n  - property: weft.discoverable\n    value: everyone\n\nschema:\n  - name: item\n    properties:\n      - name: id\n        logicalType: integer\n        physicalType: bigint\n      - name: label\n        logicalType: string\n        physicalType: varchar\n";
const ROWS: &str = "id,label\n1,one\n2,two\n";

/// The names of the products among `count` that `domain`, the nth of a layout's, owns.
pub fn crowd(layout: Layout, domain: &str, count: usize) -> Vec<String> {
    let products = layout.products();
    let place = products.iter().position(|it| it.domain == domain);
    let owned = |nth: &usize| Some(nth % products.len()) == place;
    let numbers = (0..count).filter(owned);
    numbers.map(|nth| format!("crowd{nth:05}")).collect()
}

impl Layout {
    /// Publishes the products of `laid` in `dir`, and `count` more with one table of two rows each, all
    /// domains alike.
    ///
    /// # Errors
    /// What stopped the writing.
    pub fn lay_out_crowd(
        self,
        laid: &LaidOut,
        dir: &Path,
        count: usize,
    ) -> Result<LaidOut, WorkloadError> {
        let crowded = self.spread(dir, laid.tables.clone())?;
        for product in self.products() {
            for name in crowd(self, product.domain, count) {
                let folder = crowded.data_dir(product.domain).join(&name);
                let contract = CONTRACT.replace("NAME", &name);
                let files = [
                    (format!("{name}.odcs.yaml"), contract.as_str()),
                    ("item.csv".to_owned(), ROWS),
                ];
                std::fs::create_dir_all(&folder).map_err(WorkloadError::io(&folder))?;
                for (file, text) in files {
                    let path = folder.join(file);
                    std::fs::write(&path, text).map_err(WorkloadError::io(&path))?;
                }
            }
        }
        Ok(crowded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_product_of_the_crowd_has_one_owner() {
        let owned = |domain| crowd(Layout::Three, domain, 10).len();
        assert_eq!(["sales", "crm", "supply"].map(owned), [4, 3, 3]);
        assert_eq!(owned("marketing"), 0);
        let dir = tempfile::tempdir().expect("a directory");
        let laid = Layout::Three.lay_out(dir.path(), 0.001).expect("laid out");
        let crowded = Layout::Three.lay_out_crowd(&laid, &dir.path().join("crowd"), 10);
        let sales = crowded.expect("laid out").data_dir("sales");
        assert!(sales.join("orders/orders.parquet").is_file());
        assert!(sales.join("crowd00009/crowd00009.odcs.yaml").is_file());
    }
}
