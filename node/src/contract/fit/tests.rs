use super::*;
use crate::contract::declared;
use weft_governance::contract::Contract;

/// The one property that `yaml` declares.
fn property(yaml: &str) -> (Property, ApiVersion) {
    let text = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nstatus: active\n\
         schema: [{{name: t, properties: [{{name: c, {yaml}}}]}}]\n"
    );
    let contract = Contract::parse(&text).unwrap_or_else(|invalid| panic!("{yaml}: {invalid}"));
    let version = contract.api_version;
    (contract.schema[0].properties[0].clone(), version)
}

fn fit(yaml: &str, found: &DataType) -> Result<DataType, Misfit> {
    let (property, version) = property(yaml);
    announced(&property, version, found)
}

fn text_type(yaml: &str) -> Result<DataType, String> {
    let (property, version) = property(yaml);
    declared(&property, version).map_err(|misfit| misfit.to_string())
}

#[test]
fn a_logical_type_keeps_any_type_of_its_class() {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8View));
    let list = DataType::new_list(DataType::Float32, true);
    for (class, found) in [
        ("string", DataType::Utf8View),
        ("string", dictionary),
        ("integer", DataType::Int16),
        ("integer", DataType::UInt64),
        ("integer", DataType::Decimal128(18, 0)),
        ("number", DataType::Decimal128(15, 2)),
        ("number", DataType::Float32),
        ("number", DataType::Int64),
        ("boolean", DataType::Boolean),
        ("date", DataType::Date32),
        ("timestamp", DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ("time", DataType::Time64(TimeUnit::Microsecond)),
        ("array", list.clone()),
        ("vector", list),
    ] {
        assert_eq!(
            fit(&format!("logicalType: {class}"), &found),
            Ok(found),
            "{class}"
        );
    }
}

#[test]
fn a_type_outside_the_class_is_named_with_what_was_expected() {
    for (class, found) in [
        ("string", DataType::Int64),
        ("string", DataType::BinaryView),
        ("integer", DataType::Float64),
        ("integer", DataType::Decimal128(15, 2)),
        ("boolean", DataType::Int8),
        ("date", DataType::Timestamp(TimeUnit::Second, None)),
        ("timestamp", DataType::Date32),
        ("array", DataType::Utf8View),
        ("object", DataType::Utf8View),
    ] {
        let refused = fit(&format!("logicalType: {class}"), &found).expect_err("refused");
        assert_eq!(
            refused.to_string(),
            format!("`c` is declared `{class}`, but is `{found}`"),
        );
    }
}

#[test]
fn a_physical_type_is_exact_but_for_lossless_widening() {
    use DataType::{Decimal64, Decimal128, Int32, Int64, Utf8View};
    for (physical, found, expected) in [
        ("bigint", Int64, Int64),
        ("bigint", Int32, Int64),
        ("decimal(15,2)", Decimal128(15, 2), Decimal128(15, 2)),
        ("decimal(15,2)", Decimal128(10, 2), Decimal128(15, 2)),
        ("decimal(15,2)", Decimal64(10, 2), Decimal128(15, 2)),
        ("varchar(3)", Utf8View, Utf8View),
        (
            "uuid",
            DataType::FixedSizeBinary(16),
            DataType::FixedSizeBinary(16),
        ),
    ] {
        let yaml = format!("physicalType: '{physical}'");
        assert_eq!(fit(&yaml, &found), Ok(expected), "{physical}");
    }
    for (physical, found) in [
        ("int", Int64),
        ("bigint", Utf8View),
        ("decimal(10,2)", Decimal128(15, 2)),
        (
            "timestamp(3)",
            DataType::Timestamp(TimeUnit::Microsecond, None),
        ),
        (
            "timestamptz",
            DataType::Timestamp(TimeUnit::Microsecond, None),
        ),
        ("varchar", DataType::BinaryView),
    ] {
        let refused = fit(&format!("physicalType: '{physical}'"), &found).expect_err("refused");
        assert_eq!(
            refused.to_string(),
            format!("`c` is declared `{physical}`, but is `{found}`")
        );
    }
}

#[test]
fn both_types_have_to_hold() {
    assert!(
        fit(
            "logicalType: integer, physicalType: bigint",
            &DataType::Int32
        )
        .is_ok()
    );
    assert!(
        fit(
            "logicalType: string, physicalType: bigint",
            &DataType::Int64
        )
        .is_err()
    );
    assert!(
        fit(
            "logicalType: object, physicalType: json",
            &DataType::Utf8View
        )
        .is_ok()
    );
    assert!(
        fit(
            "logicalType: string, physicalType: bytea",
            &DataType::BinaryView
        )
        .is_ok()
    );
}

#[test]
fn an_unknown_physical_type_is_not_taken_for_any() {
    let refused = fit("physicalType: geography", &DataType::Utf8View).expect_err("refused");
    assert_eq!(
        refused.to_string(),
        "`physicalType` `geography` of `c` is not known"
    );
}

#[test]
fn nested_values_show_only_the_parts_that_are_declared() {
    let found = DataType::Struct(Fields::from(vec![
        Field::new("street", DataType::Utf8View, true),
        Field::new("secret", DataType::Utf8View, true),
        Field::new("zip", DataType::Int32, false),
    ]));
    let yaml =
        "logicalType: object, properties: [{name: zip, physicalType: bigint}, {name: street}]";
    let expected = DataType::Struct(Fields::from(vec![
        Field::new("zip", DataType::Int64, false),
        Field::new("street", DataType::Utf8View, true),
    ]));
    assert_eq!(fit(yaml, &found), Ok(expected.clone()));
    let listed = DataType::new_list(found.clone(), true);
    let yaml = format!("logicalType: array, items: {{{yaml}}}");
    assert_eq!(fit(&yaml, &listed), Ok(DataType::new_list(expected, true)));

    let refused = |yaml: &str| fit(yaml, &found).expect_err("refused").to_string();
    assert_eq!(
        refused("properties: [{name: town}]"),
        "`c.town` is not in the data"
    );
    assert_eq!(
        refused("properties: [{name: zip, logicalType: string}]"),
        "`c.zip` is declared `string`, but is `Int32`"
    );
    assert_eq!(
        refused("properties: [{name: town, physicalName: zip}]"),
        "`c.town` has another `physicalName`, which only whole columns may have"
    );
}

#[test]
fn text_files_get_their_types_from_the_contract() {
    let utc = |unit| DataType::Timestamp(unit, Some("UTC".into()));
    for (yaml, expected) in [
        ("description: nothing", DataType::Utf8View),
        ("logicalType: string", DataType::Utf8View),
        ("logicalType: integer", DataType::Int64),
        (
            "logicalType: integer, logicalTypeOptions: {format: u16}",
            DataType::UInt16,
        ),
        ("logicalType: number", DataType::Float64),
        (
            "logicalType: number, physicalType: 'decimal(10,2)'",
            DataType::Decimal128(10, 2),
        ),
        ("logicalType: date", DataType::Date32),
        (
            "physicalType: timestamp",
            DataType::Timestamp(TimeUnit::Microsecond, None),
        ),
        ("physicalType: timestamptz(3)", utc(TimeUnit::Millisecond)),
        (
            "logicalType: timestamp, logicalTypeOptions: {timezone: true}",
            utc(TimeUnit::Microsecond),
        ),
        (
            "logicalType: array, items: {logicalType: integer}",
            DataType::new_list(DataType::Int64, true),
        ),
    ] {
        assert_eq!(text_type(yaml), Ok(expected), "{yaml}");
    }
    for (yaml, reason) in [
        ("physicalType: decimal", "say the precision and scale"),
        ("physicalType: blob", "bytes are not text"),
        ("logicalType: object", "declare its properties"),
        ("logicalType: array", "declare its items"),
        (
            "logicalType: integer, physicalType: text",
            "`c` is declared `integer`, but is `Utf8View`",
        ),
    ] {
        let refused = text_type(yaml).expect_err("refused");
        assert!(refused.ends_with(reason), "{yaml}: {refused}");
    }
}
