use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema, UInt32Type};
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo,
};
use arrow_flight::{FlightInfo, IpcMessage};
use bytes::Bytes;

use super::{Client, House, fetch};

/// The one batch of a metadata call, whose schema is the announced one.
async fn answer(client: &mut Client, info: &FlightInfo) -> RecordBatch {
    let announced = info.clone().try_decode_schema().expect("a schema");
    let (schema, batches) = fetch(client, info).await;
    assert_eq!(*schema, announced);
    arrow::compute::concat_batches(&schema, &batches).expect("one schema")
}

fn column(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).expect("present");
    column
        .as_string::<i32>()
        .iter()
        .map(|value| value.expect("not null").to_owned())
        .collect()
}

#[tokio::test]
async fn catalogs_and_schemas_are_those_of_the_tables() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let info = client.get_catalogs().await.expect("announced");
    let batch = answer(&mut client, &info).await;
    assert_eq!(column(&batch, "catalog_name"), ["crm", "sales", "system"]);
    for (catalog, pattern, expected) in [
        (None, None, vec!["customers", "orders", "runtime"]),
        (Some("sales"), None, vec!["orders"]),
        (Some(""), None, vec![]),
        (None, Some("%s"), vec!["customers", "orders"]),
    ] {
        let filter = CommandGetDbSchemas {
            catalog: catalog.map(str::to_owned),
            db_schema_filter_pattern: pattern.map(str::to_owned),
        };
        let info = client.get_db_schemas(filter).await.expect("announced");
        let batch = answer(&mut client, &info).await;
        assert_eq!(
            column(&batch, "db_schema_name"),
            expected,
            "{catalog:?} {pattern:?}"
        );
    }
}

#[tokio::test]
async fn tables_are_filtered_and_sorted() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let sql = "SELECT * FROM orders WHERE comment LIKE '%a%' ".repeat(20_000);
    let all = vec!["customer", "lineitem", "orders", "queries"];
    for (pattern, types, expected) in [
        (None, vec![], all),
        (Some("line_tem"), vec![], vec!["lineitem"]),
        (Some("LINEITEM"), vec![], vec![]),
        (Some(sql.as_str()), vec![], vec![]),
        (None, vec!["SYSTEM TABLE"], vec!["queries"]),
        (None, vec!["VIEW"], vec![]),
    ] {
        let filter = CommandGetTables {
            table_name_filter_pattern: pattern.map(str::to_owned),
            table_types: types.into_iter().map(str::to_owned).collect(),
            ..CommandGetTables::default()
        };
        let info = client.get_tables(filter).await.expect("announced");
        let batch = answer(&mut client, &info).await;
        assert_eq!(batch.num_columns(), 4);
        assert_eq!(column(&batch, "table_name"), expected);
    }
}

#[tokio::test]
async fn tables_tell_their_columns_as_they_arrive() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let filter = CommandGetTables {
        include_schema: true,
        ..CommandGetTables::default()
    };
    let info = client.get_tables(filter).await.expect("announced");
    let batch = answer(&mut client, &info).await;
    assert_eq!(batch.num_columns(), 5);
    let bytes = batch.column(4).as_binary::<i32>().value(0);
    let columns = Schema::try_from(IpcMessage(Bytes::copy_from_slice(bytes))).expect("a schema");
    assert_eq!(*columns.field(1).data_type(), DataType::Utf8);
    let told = |name: &str| {
        let metadata = columns.field(0).metadata();
        metadata
            .get(&format!("ARROW:FLIGHT:SQL:{name}"))
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(
        [
            "CATALOG_NAME",
            "TABLE_NAME",
            "TYPE_NAME",
            "PRECISION",
            "SCALE",
            "REMARKS"
        ]
        .map(told),
        ["crm", "customer", "DECIMAL", "15", "2", "what was paid"]
    );
    let metadata = columns.field(0).metadata();
    assert_eq!(metadata["weft.classification"], "internal");
}

#[tokio::test]
async fn kinds_of_tables_and_types_are_listed() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let info = client.get_table_types().await.expect("announced");
    let batch = answer(&mut client, &info).await;
    assert_eq!(column(&batch, "table_type"), ["SYSTEM TABLE", "TABLE"]);
    for (data_type, rows) in [(None, 18), (Some(4), 2), (Some(12), 1), (Some(1000), 0)] {
        let command = CommandGetXdbcTypeInfo { data_type };
        let info = client.get_xdbc_type_info(command).await.expect("announced");
        let batch = answer(&mut client, &info).await;
        assert_eq!(
            (batch.num_columns(), batch.num_rows()),
            (19, rows),
            "{data_type:?}"
        );
    }
}

#[tokio::test]
async fn keys_are_those_that_the_tables_declare() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let named = |table: &str| CommandGetPrimaryKeys {
        catalog: Some("sales".to_owned()),
        db_schema: None,
        table: table.to_owned(),
    };
    for (table, expected) in [
        ("orders", vec!["price"]),
        ("lineitem", vec![]),
        ("%", vec![]),
    ] {
        let info = client.get_primary_keys(named(table)).await;
        let batch = answer(&mut client, &info.expect("announced")).await;
        assert_eq!(batch.num_columns(), 6);
        assert_eq!(column(&batch, "column_name"), expected, "{table}");
    }
    for (exported, expected) in [
        ("orders", vec!["lineitem"]),
        ("customer", vec!["lineitem"]),
        ("lineitem", vec![]),
    ] {
        let of = CommandGetExportedKeys {
            table: exported.to_owned(),
            ..CommandGetExportedKeys::default()
        };
        let info = client.get_exported_keys(of).await.expect("announced");
        let batch = answer(&mut client, &info).await;
        assert_eq!(batch.num_columns(), 13);
        assert_eq!(column(&batch, "fk_table_name"), expected, "{exported}");
    }
    // Those of another catalog too, sorted by it.
    for (importing, expected) in [("lineitem", vec!["customer", "orders"]), ("orders", vec![])] {
        let of = CommandGetImportedKeys {
            catalog: Some("sales".to_owned()),
            db_schema: Some("orders".to_owned()),
            table: importing.to_owned(),
        };
        let info = client.get_imported_keys(of).await.expect("announced");
        let batch = answer(&mut client, &info).await;
        assert_eq!(column(&batch, "pk_table_name"), expected, "{importing}");
    }
    for (catalog, expected) in [("sales", 1), ("crm", 0)] {
        let of = CommandGetCrossReference {
            pk_catalog: Some(catalog.to_owned()),
            pk_table: "orders".to_owned(),
            fk_table: "lineitem".to_owned(),
            ..CommandGetCrossReference::default()
        };
        let info = client.get_cross_reference(of).await.expect("announced");
        assert_eq!(answer(&mut client, &info).await.num_rows(), expected);
    }
}

#[tokio::test]
async fn the_server_describes_itself_in_the_types_that_drivers_expect() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let wanted = vec![
        SqlInfo::FlightSqlServerName,
        SqlInfo::FlightSqlServerReadOnly,
        SqlInfo::FlightSqlServerTransaction,
        SqlInfo::SqlIdentifierQuoteChar,
    ];
    let info = client.get_sql_info(wanted).await.expect("announced");
    let batch = answer(&mut client, &info).await;
    let codes = batch
        .column(0)
        .as_primitive::<UInt32Type>()
        .values()
        .to_vec();
    assert_eq!(codes, [0, 3, 8, 504]);
    // Children of the union: 0 text, 1 flag, 2 big number, 3 bit mask.
    let kinds: Vec<i8> = (0..4)
        .map(|row| batch.column(1).as_union().type_id(row))
        .collect();
    assert_eq!(kinds, [0, 1, 3, 0]);

    let info = client.get_sql_info(vec![]).await.expect("announced");
    let batch = answer(&mut client, &info).await;
    assert!(batch.num_rows() >= 75, "{}", batch.num_rows());
    assert_eq!(batch.column(0).null_count(), 0);
}
