//! The same tables, spread over one, three or six domains.
//!
//! ```text
//! DIR/tables/TABLE.parquet                      the rows, once
//! DIR/domains-N/DOMAIN/data/PRODUCT/            the contract, and the product's tables as links
//! ```
//!
//! What is seen of the rows behind guards is laid out in the same way in a folder of its own.

mod contract;
mod crowd;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use crate::guard::{GUARDS, Guard};
use crate::marker::Marker;
use crate::tpch::{self, Table};
use crate::{WorkloadError, demo};

pub use crowd::crowd;

/// How the tables are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Everything in one domain.
    One,
    /// The demo's three domains.
    Three,
    /// Six domains: `lineitem`, `orders`, `customer`, `nation` with `region`, `part`, and `supplier`
    /// with `partsupp`.
    Six,
}

/// There is no layout of so many domains.
#[derive(Debug, Error)]
#[error("the tables are spread over 1, 3 or 6 domains")]
pub struct NoSuchLayout;

/// A data product of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// The domain that owns it.
    pub domain: &'static str,
    /// Its name, which is also the name of its folder.
    pub name: &'static str,
    /// Its tables.
    pub tables: &'static [Table],
}

/// A layout's data on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaidOut {
    /// The folder with one Parquet file for each table.
    pub tables: PathBuf,
    domains: PathBuf,
}

const ONE: [Product; 1] = [Product {
    domain: "company",
    name: "everything",
    tables: &Table::ALL,
}];

const THREE: [Product; 3] = [
    Product {
        domain: "sales",
        name: "orders",
        tables: &[Table::Orders, Table::Lineitem],
    },
    Product {
        domain: "crm",
        name: "customers",
        tables: &[Table::Customer, Table::Nation, Table::Region],
    },
    Product {
        domain: "supply",
        name: "parts",
        tables: &[Table::Part, Table::Supplier, Table::Partsupp],
    },
];

const SIX: [Product; 6] = [
    Product {
        domain: "logistics",
        name: "lines",
        tables: &[Table::Lineitem],
    },
    Product {
        domain: "sales",
        name: "orders",
        tables: &[Table::Orders],
    },
    Product {
        domain: "crm",
        name: "customers",
        tables: &[Table::Customer],
    },
    Product {
        domain: "geography",
        name: "places",
        tables: &[Table::Nation, Table::Region],
    },
    Product {
        domain: "assortment",
        name: "parts",
        tables: &[Table::Part],
    },
    Product {
        domain: "supply",
        name: "offers",
        tables: &[Table::Supplier, Table::Partsupp],
    },
];

impl Layout {
    /// How many domains there are.
    pub fn domains(self) -> usize {
        self.products().len()
    }

    /// The products, one for each domain.
    pub fn products(self) -> &'static [Product] {
        match self {
            Self::One => &ONE,
            Self::Three => &THREE,
            Self::Six => &SIX,
        }
    }

    /// The name of `table` in three parts.
    pub fn full_name(self, table: Table) -> String {
        let home = self.products().iter().find(|p| p.tables.contains(&table));
        home.map_or_else(
            || table.full_name(),
            |home| format!("{}.{}.{table}", home.domain, home.name),
        )
    }

    /// The query `sql` over the full names of this layout in place of short ones.
    pub fn qualified(self, sql: &str) -> String {
        tpch::qualify_with(sql, |table| self.full_name(table))
    }

    /// The contract of `product`. The demo's products keep theirs.
    pub fn contract(self, product: &Product) -> String {
        let known = demo::PRODUCTS
            .iter()
            .find(|known| (known.domain, known.name) == (product.domain, product.name));
        match (self, known) {
            (Self::Three, Some(known)) => known.contract.to_owned(),
            _ => contract::compose(product),
        }
    }

    /// Fills `dir` with the tables at `scale` and this layout of them, or finds them there. Two
    /// calls at once, also of two processes, take turns.
    ///
    /// # Errors
    /// [`WorkloadError::Scale`] before anything is written, otherwise what stopped the writing; the
    /// next call then starts over.
    pub fn lay_out(self, dir: &Path, scale: f64) -> Result<LaidOut, WorkloadError> {
        tpch::check_scale(scale)?;
        let tables = dir.join("tables");
        std::fs::create_dir_all(&tables).map_err(WorkloadError::io(&tables))?;
        let mut marker = Marker::hold(dir)?;
        let expected = format!("weft tables, format {}, scale {scale}\n", demo::FORMAT);
        let complete = Table::ALL
            .iter()
            .all(|table| file(&tables, *table).is_file());
        if !marker.says(&expected) || !complete {
            marker.say("")?;
            tpch::generate(&tables, scale)?;
            marker.say(&expected)?;
        }
        self.spread(dir, tables)
    }

    /// Fills `dir` with what is seen of `original`, which is of `scale`, behind [`GUARDS`], or finds it
    /// there. Tables that nobody guards are the same files.
    ///
    /// # Errors
    /// What stopped the writing; the next call then starts over.
    pub async fn lay_out_visible(
        self,
        original: &LaidOut,
        dir: &Path,
        scale: f64,
    ) -> Result<LaidOut, WorkloadError> {
        let tables = dir.join("tables");
        std::fs::create_dir_all(&tables).map_err(WorkloadError::io(&tables))?;
        let mut marker = Marker::hold(dir)?;
        let expected = format!(
            "weft visible rows, format {}, scale {scale}, {GUARDS:?}\n",
            demo::FORMAT
        );
        let known = marker.says(&expected);
        marker.say("")?;
        for table in Table::ALL {
            let (from, to) = (file(&original.tables, table), file(&tables, table));
            match Guard::of(table) {
                Some(_) if known && to.is_file() => {}
                Some(guard) => drop(guard.copy(&from, &to).await?),
                None => link(&from, &to).map_err(WorkloadError::io(&to))?,
            }
        }
        marker.say(&expected)?;
        self.spread(dir, tables)
    }

    /// Publishes the products, whose `tables` stand in `dir`.
    fn spread(self, dir: &Path, tables: PathBuf) -> Result<LaidOut, WorkloadError> {
        let laid = LaidOut {
            tables,
            domains: dir.join(format!("domains-{}", self.domains())),
        };
        for product in self.products() {
            self.publish(product, &laid)?;
        }
        Ok(laid)
    }

    fn publish(self, product: &Product, laid: &LaidOut) -> Result<(), WorkloadError> {
        let folder = laid.data_dir(product.domain).join(product.name);
        std::fs::create_dir_all(&folder).map_err(WorkloadError::io(&folder))?;
        let path = folder.join(format!("{}.odcs.yaml", product.name));
        std::fs::write(&path, self.contract(product)).map_err(WorkloadError::io(&path))?;
        for table in product.tables {
            let path = file(&folder, *table);
            link(&file(&laid.tables, *table), &path).map_err(WorkloadError::io(&path))?;
        }
        Ok(())
    }
}

impl LaidOut {
    /// The data directory of `domain`, for its node.
    pub fn data_dir(&self, domain: &str) -> PathBuf {
        self.domains.join(domain).join("data")
    }
}

impl FromStr for Layout {
    type Err = NoSuchLayout;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::One, Self::Three, Self::Six]
            .into_iter()
            .find(|layout| layout.domains().to_string() == text)
            .ok_or(NoSuchLayout)
    }
}

fn file(folder: &Path, table: Table) -> PathBuf {
    folder.join(format!("{table}.parquet"))
}

/// The same file under a second name; a copy where the file system has no links.
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    let original = std::fs::metadata(from)?;
    if let Ok(present) = std::fs::metadata(to) {
        if (present.dev(), present.ino()) == (original.dev(), original.ino()) {
            return Ok(());
        }
        std::fs::remove_file(to)?;
    }
    std::fs::hard_link(from, to).or_else(|_| std::fs::copy(from, to).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tpch::QUERIES;

    const ALL: [Layout; 3] = [Layout::One, Layout::Three, Layout::Six];

    #[test]
    fn every_table_stands_in_one_product_and_every_domain_has_one() {
        for layout in ALL {
            let mut tables: Vec<Table> = layout
                .products()
                .iter()
                .flat_map(|product| product.tables.iter().copied())
                .collect();
            tables.sort();
            assert_eq!(tables, Table::ALL, "{layout:?}");
            let mut domains: Vec<&str> = layout.products().iter().map(|p| p.domain).collect();
            domains.sort_unstable();
            domains.dedup();
            assert_eq!(domains.len(), layout.domains(), "{layout:?}");
        }
    }

    #[test]
    fn three_domains_are_the_demo() {
        for (product, known) in Layout::Three.products().iter().zip(&demo::PRODUCTS) {
            assert_eq!((product.domain, product.name), (known.domain, known.name));
            assert!(known.tables().eq(product.tables.iter().copied()));
            assert_eq!(Layout::Three.contract(product), known.contract);
        }
        for query in &QUERIES {
            assert_eq!(Layout::Three.qualified(query.sql), query.qualified());
        }
    }

    #[test]
    fn layouts_are_named_by_their_number_of_domains() {
        for layout in ALL {
            let number = layout.domains().to_string();
            assert_eq!(number.parse::<Layout>().expect("a layout"), layout);
        }
        assert!("4".parse::<Layout>().is_err() && "".parse::<Layout>().is_err());
    }

    #[test]
    fn layouts_share_one_copy_of_the_rows() {
        let dir = tempfile::tempdir().expect("a directory");
        let six = Layout::Six.lay_out(dir.path(), 0.001).expect("laid out");
        let one = Layout::One.lay_out(dir.path(), 0.001).expect("laid out");
        let inode = |path: PathBuf| std::fs::metadata(path).expect("a file").ino();
        let rows = inode(one.tables.join("lineitem.parquet"));
        let everything = one.data_dir("company").join("everything");
        assert_eq!(inode(everything.join("lineitem.parquet")), rows);
        let lines = six.data_dir("logistics").join("lines");
        assert_eq!(inode(lines.join("lineitem.parquet")), rows);

        Layout::One.lay_out(dir.path(), 0.002).expect("laid out");
        let larger = inode(one.tables.join("lineitem.parquet"));
        assert_ne!(larger, rows);
        assert_eq!(inode(everything.join("lineitem.parquet")), larger);
    }

    #[tokio::test]
    async fn what_is_visible_is_copied_once_and_the_rest_is_shared() {
        let dir = tempfile::tempdir().expect("a directory");
        let all = Layout::Three.lay_out(dir.path(), 0.001).expect("laid out");
        let inode = |laid: &LaidOut, table| {
            let file = file(&laid.tables, table);
            std::fs::metadata(file).expect("a file").ino()
        };
        let visible = dir.path().join("visible");
        let lay_out = || Layout::Three.lay_out_visible(&all, &visible, 0.001);
        let first = lay_out().await.expect("laid out");
        let orders = inode(&first, Table::Orders);
        assert_ne!(orders, inode(&all, Table::Orders));
        let lines = inode(&all, Table::Lineitem);
        assert_eq!(inode(&first, Table::Lineitem), lines);
        let second = lay_out().await.expect("found");
        assert_eq!(inode(&second, Table::Orders), orders);
        let served = second.data_dir("sales").join("orders/orders.parquet");
        assert_eq!(std::fs::metadata(served).expect("a file").ino(), orders);
    }
}
