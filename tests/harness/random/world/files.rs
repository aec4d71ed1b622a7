//! A product's folder: its contract, and its tables as Parquet or NDJSON, which tell an empty text
//! from none.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    StringArray, TimestampMicrosecondArray,
};
use arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;

use super::disclosure::Disclosures;
use super::{Column, Table, Type, Value};

/// Rows of a group in a Parquet file: few, so that there are several.
const GROUP: usize = 8;

/// Writes `tables` and their contract, with what it discloses of keys, into `folder`.
pub(super) fn write<'a>(
    folder: &Path,
    domain: &str,
    product: &str,
    tables: impl Iterator<Item = &'a Table>,
    disclosures: &Disclosures,
) {
    fs::create_dir_all(folder).expect("folder");
    let mut contract = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: {domain}-{product}\nname: {product}\nversion: 1.0.0\nstatus: active\ndomain: {domain}\ndataProduct: {product}\n"
    );
    contract.push_str(&disclosures.stated("", &[domain, product]));
    contract.push_str("schema:\n");
    for table in tables {
        contract.push_str(&declared(table, disclosures));
        let kind = if table.parquet { "parquet" } else { "ndjson" };
        if table.files == 1 {
            let file = folder.join(format!("{}.{kind}", table.name));
            table.write_rows(&file, &table.rows);
            continue;
        }
        let files = folder.join(&table.name);
        fs::create_dir_all(&files).expect("folder");
        let share = table.rows.len() / table.files + 1;
        for number in 0..table.files {
            let from = (number * share).min(table.rows.len());
            let to = (from + share).min(table.rows.len());
            let file = files.join(format!("{number}.{kind}"));
            table.write_rows(&file, &table.rows[from..to]);
        }
    }
    fs::write(folder.join(format!("{product}.odcs.yaml")), contract).expect("contract");
}

fn declared(table: &Table, disclosures: &Disclosures) -> String {
    let path = [table.domain, table.product, &table.name];
    let mut declared = format!("  - name: {}\n", table.name);
    declared.push_str(&disclosures.stated("    ", &path));
    declared.push_str("    properties:\n");
    for (at, column) in table.columns.iter().enumerate() {
        let (logical, physical, _) = column.of.names();
        declared.push_str(&format!(
            "      - name: {}\n        logicalType: {logical}\n        physicalType: {physical}\n",
            column.name
        ));
        let [domain, product, name] = path;
        let path = [domain, product, name, column.name];
        declared.push_str(&disclosures.stated("        ", &path));
        if let Some(place) = table.key.iter().position(|key| *key == at) {
            declared.push_str(&format!(
                "        primaryKey: true\n        primaryKeyPosition: {}\n",
                place + 1
            ));
        }
    }
    declared
}

impl Table {
    fn write_rows(&self, file: &Path, rows: &[Vec<Value>]) {
        if !self.parquet {
            fs::write(file, self.lines(rows)).expect("rows");
            return;
        }
        let columns = self.columns.iter().enumerate();
        let columns = columns.map(|(at, column)| (column.name, array(column, at, rows), true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("rows");
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(GROUP))
            .build();
        let file = File::create(file).expect("file");
        let mut writer =
            ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("writer");
        writer.write(&batch).expect("rows");
        writer.close().expect("file");
    }

    fn lines(&self, rows: &[Vec<Value>]) -> String {
        let mut lines = String::new();
        for row in rows {
            let members = row.iter().zip(&self.columns);
            let members = members.filter(|(value, _)| **value != Value::Null);
            let members = members.map(|(value, column)| {
                let value = column.of.show(value).replace('\'', "\"");
                format!("\"{}\": {value}", column.name)
            });
            let members: Vec<String> = members.collect();
            lines.push_str(&format!("{{{}}}\n", members.join(", ")));
        }
        lines
    }
}

fn array(column: &Column, at: usize, rows: &[Vec<Value>]) -> ArrayRef {
    let numbers = rows.iter().map(|row| match row[at] {
        Value::Number(number) => Some(number),
        _ => None,
    });
    let small = |number: i128| i32::try_from(number).expect("a small number");
    let long = |number: i128| i64::try_from(number).expect("a number");
    match column.of {
        Type::Int => Arc::new(numbers.map(|it| it.map(small)).collect::<Int32Array>()),
        Type::Long => Arc::new(numbers.map(|it| it.map(long)).collect::<Int64Array>()),
        Type::Whole | Type::Money | Type::Rate => {
            let (precision, scale) = column.of.decimal();
            let array = numbers.collect::<Decimal128Array>();
            let array = array.with_precision_and_scale(precision, scale);
            Arc::new(array.expect("a decimal"))
        }
        Type::Double => {
            let quarters = numbers.map(|it| it.map(|quarters| quarters as f64 / 4.0));
            Arc::new(quarters.collect::<Float64Array>())
        }
        Type::Day => Arc::new(numbers.map(|it| it.map(small)).collect::<Date32Array>()),
        Type::Moment => {
            let moments = numbers.map(|it| it.map(long));
            Arc::new(moments.collect::<TimestampMicrosecondArray>())
        }
        Type::Text => Arc::new(
            rows.iter()
                .map(|row| match row[at] {
                    Value::Text(text) => Some(text),
                    _ => None,
                })
                .collect::<StringArray>(),
        ),
        Type::Flag => Arc::new(
            rows.iter()
                .map(|row| match row[at] {
                    Value::Flag(flag) => Some(flag),
                    _ => None,
                })
                .collect::<BooleanArray>(),
        ),
    }
}
