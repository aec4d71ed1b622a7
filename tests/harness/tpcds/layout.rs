//! Which domain has which tables of TPC-DS.

use std::fs;
use std::path::{Path, PathBuf};

use datafusion::arrow::datatypes::DataType;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::TpcDs;

/// One product per domain: `(domain, product, tables)`.
#[derive(Debug)]
pub struct Layout(pub &'static [(&'static str, &'static str, &'static [&'static str])]);

/// What is sold in stores is in another domain than what is sold online, and what both speak of is
/// in a third; the small tables about one way of selling are with the other.
pub const THREE_DOMAINS: Layout = Layout(&[
    (
        "retail",
        "sold",
        &[
            "store_sales",
            "store_returns",
            "inventory",
            "call_center",
            "catalog_page",
            "web_page",
            "web_site",
            "ship_mode",
        ],
    ),
    (
        "online",
        "shipped",
        &[
            "catalog_sales",
            "catalog_returns",
            "web_sales",
            "web_returns",
            "store",
            "promotion",
            "reason",
            "warehouse",
        ],
    ),
    (
        "shared",
        "reference",
        &[
            "customer",
            "customer_address",
            "customer_demographics",
            "household_demographics",
            "income_band",
            "item",
            "date_dim",
            "time_dim",
        ],
    ),
]);

/// Each way of selling has a domain, and so have customers, goods, and days with places.
pub const SIX_DOMAINS: Layout = Layout(&[
    ("retail", "sold", &["store_sales", "store_returns"]),
    ("catalog", "ordered", &["catalog_sales", "catalog_returns"]),
    ("web", "clicked", &["web_sales", "web_returns"]),
    (
        "people",
        "customers",
        &[
            "customer",
            "customer_address",
            "customer_demographics",
            "household_demographics",
            "income_band",
        ],
    ),
    ("goods", "stock", &["item", "promotion", "inventory"]),
    (
        "places",
        "reference",
        &[
            "store",
            "call_center",
            "catalog_page",
            "web_page",
            "web_site",
            "warehouse",
            "ship_mode",
            "reason",
            "date_dim",
            "time_dim",
        ],
    ),
]);

/// The primary keys of TPC-DS. Only inventory's and the facts' have several columns.
const KEYS: [(&str, &[&str]); 24] = [
    ("call_center", &["cc_call_center_sk"]),
    ("catalog_page", &["cp_catalog_page_sk"]),
    ("catalog_returns", &["cr_item_sk", "cr_order_number"]),
    ("catalog_sales", &["cs_item_sk", "cs_order_number"]),
    ("customer", &["c_customer_sk"]),
    ("customer_address", &["ca_address_sk"]),
    ("customer_demographics", &["cd_demo_sk"]),
    ("date_dim", &["d_date_sk"]),
    ("household_demographics", &["hd_demo_sk"]),
    ("income_band", &["ib_income_band_sk"]),
    (
        "inventory",
        &["inv_date_sk", "inv_item_sk", "inv_warehouse_sk"],
    ),
    ("item", &["i_item_sk"]),
    ("promotion", &["p_promo_sk"]),
    ("reason", &["r_reason_sk"]),
    ("ship_mode", &["sm_ship_mode_sk"]),
    ("store", &["s_store_sk"]),
    ("store_returns", &["sr_item_sk", "sr_ticket_number"]),
    ("store_sales", &["ss_item_sk", "ss_ticket_number"]),
    ("time_dim", &["t_time_sk"]),
    ("warehouse", &["w_warehouse_sk"]),
    ("web_page", &["wp_web_page_sk"]),
    ("web_returns", &["wr_item_sk", "wr_order_number"]),
    ("web_sales", &["ws_item_sk", "ws_order_number"]),
    ("web_site", &["web_site_sk"]),
];

impl Layout {
    /// The domain and product of `table`, if it is a table of TPC-DS.
    pub fn place(&self, table: &str) -> Option<(&'static str, &'static str)> {
        self.0
            .iter()
            .find(|(.., tables)| tables.contains(&table))
            .map(|(domain, product, _)| (*domain, *product))
    }

    /// Writes each domain's folder below `folder`; returns them with their domain and product.
    pub fn write(&self, data: &TpcDs, folder: &Path) -> Vec<(&'static str, &'static str, PathBuf)> {
        let mut domains = Vec::new();
        for (domain, product, tables) in self.0 {
            let directory = folder.join(domain);
            let target = directory.join(product);
            fs::create_dir_all(&target).expect("folder");
            let mut contract = format!(
                "apiVersion: v3.1.0\nkind: DataContract\nid: tpcds-{domain}-{product}\n\
                 name: {product}\nversion: 1.0.0\nstatus: active\ndomain: {domain}\n\
                 dataProduct: {product}\ncustomProperties:\n  - property: weft.keyDisclosure\n    \
                 value: list\n  - property: weft.flowTo\n    value: \"*\"\nschema:\n"
            );
            for table in *tables {
                let source = data.table(table);
                contract.push_str(&schema(table, &source));
                let file = target.join(format!("{table}.parquet"));
                fs::copy(source, file).expect("copied");
            }
            fs::write(target.join(format!("{product}.odcs.yaml")), contract).expect("contract");
            domains.push((*domain, *product, directory));
        }
        domains
    }
}

/// The part of a contract that is about one table, from the types in its file.
fn schema(table: &str, file: &Path) -> String {
    let file = fs::File::open(file).expect("a table");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let (_, keys) = KEYS
        .iter()
        .find(|(name, _)| *name == table)
        .expect("a table of TPC-DS");
    let mut text = format!("  - name: {table}\n    properties:\n");
    for field in reader.schema().fields() {
        let (logical, physical) = types(field.data_type());
        text.push_str(&format!(
            "      - name: {}\n        logicalType: {logical}\n        physicalType: {physical}\n",
            field.name()
        ));
        if let Some(position) = keys.iter().position(|key| key == field.name()) {
            text.push_str(&format!(
                "        primaryKey: true\n        primaryKeyPosition: {}\n",
                position + 1
            ));
        }
    }
    text
}

fn types(kind: &DataType) -> (&'static str, String) {
    match kind {
        DataType::Int32 => ("integer", "integer".to_owned()),
        DataType::Int64 => ("integer", "bigint".to_owned()),
        DataType::Decimal128(precision, scale) => {
            ("number", format!("decimal({precision},{scale})"))
        }
        DataType::Date32 => ("date", "date".to_owned()),
        DataType::Utf8 | DataType::Utf8View => ("string", "varchar".to_owned()),
        other => panic!("TPC-DS has no {other}"),
    }
}
