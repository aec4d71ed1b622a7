use std::path::PathBuf;

use super::*;

const HEAD: &str = "\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
";

/// The contract of `HEAD` and `body`.
fn parse(body: &str) -> Result<Contract, InvalidContract> {
    Contract::parse(&format!("{HEAD}{body}"))
}

/// What is wrong with `text`, one fault per line.
fn faults(text: &str) -> String {
    Contract::parse(text).expect_err("refused").to_string()
}

fn body_faults(body: &str) -> String {
    faults(&format!("{HEAD}{body}"))
}

/// Every file under `folder` of the contracts that others wrote.
fn files(folder: &str) -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/contracts");
    let entries = std::fs::read_dir(root.join(folder)).expect("a folder");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, std::fs::read_to_string(&path).expect("text"))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_valid_contract_of_others_loads() {
    let files = files("valid");
    assert_eq!(files.len(), 8);
    for (name, text) in files {
        if let Err(invalid) = Contract::parse(&text) {
            panic!("{name}: {invalid}");
        }
    }
}

#[test]
fn every_invalid_contract_of_others_is_refused_with_its_reason() {
    let found: Vec<String> = files("invalid")
        .into_iter()
        .map(|(name, text)| format!("{name}\n{}", faults(&text)))
        .collect();
    assert_eq!(
        found,
        [
            "dccli-invalid.odcs.yaml\n\
             line 1, column 1: `status` of the contract is missing",
            "dccli-invalid_multiple_errors.odcs.yaml\n\
             line 1, column 1: `version` of the contract is missing\n\
             line 1, column 1: `status` of the contract is missing",
            "eddie-invalid-logical-type.yaml\n\
             line 9, column 18: unknown `logicalType` `not-a-valid-logical-type` of schema object \
             `customers`; known are object and blob",
            "eddie-invalid-relationship-dangling.yaml\n\
             line 14, column 9: reference `ghost_table.ghost_col` leads nowhere: there is no \
             schema object `ghost_table`",
            "eddie-invalid-structural-duplicate-schema-name.yaml\n\
             line 13, column 5: schema object `customers` is already declared in line 8",
        ]
    );
}

#[test]
fn a_full_contract_is_read_to_its_last_part() {
    let files = files("valid");
    let (_, text) = files
        .iter()
        .find(|(name, _)| name.contains("full"))
        .expect("there");
    let contract = Contract::parse(text).expect("valid");
    assert_eq!(contract.api_version, ApiVersion::V3_1);
    assert_eq!(contract.domain.as_deref(), Some("seller"));
    assert_eq!(contract.data_product.as_deref(), Some("my quantum"));
    assert_eq!(
        contract.data_product_at,
        At {
            line: 3,
            column: 14
        }
    );
    assert_eq!(contract.version, "1.1.0");
    let usage = contract.description.usage.as_deref();
    assert_eq!(usage, Some("Predict sales over time"));
    assert_eq!(
        contract.servers[0].kind,
        ServerKind::Other("postgres".to_owned())
    );
    assert_eq!(contract.tags, ["transactions"]);
    let rules = contract
        .custom_property("refRulesetName")
        .and_then(Node::as_text);
    assert_eq!(rules, Some("gcsc.ruleset.name"));

    let table = &contract.schema[0];
    assert_eq!(
        (table.name.as_str(), table.physical_name.as_deref()),
        ("tbl", Some("tbl_1"))
    );
    assert_eq!(table.quality.len(), 1);
    assert_eq!(
        table.relationships[0].to,
        ["receivers.id", "receivers.country_code"]
    );
    let column = table.property("transaction_reference_date").expect("there");
    assert_eq!(column.source_name(), "txn_ref_dt");
    assert_eq!(column.logical_type, Some(LogicalType::Date));
    assert_eq!(column.classification.as_deref(), Some("public"));
    let anonymized = custom_property(&column.custom_properties, "anonymizationStrategy");
    assert_eq!(anonymized.and_then(Node::as_text), Some("none"));
    let key = table.property("rcvr_id").expect("there");
    assert!(key.primary_key && !key.required);
    assert_eq!(key.physical_type.as_deref(), Some("varchar(18)"));
    assert_eq!(key.at.line, 92);
}

#[test]
fn quality_rules_are_kept_as_written() {
    let files = files("valid");
    let (_, text) = files
        .iter()
        .find(|(name, _)| name.contains("validity"))
        .expect("there");
    let contract = Contract::parse(text).expect("valid");
    let rule = &contract.schema[0].properties[0].quality[0];
    assert_eq!(
        rule.get("mustBeLessOrEqualTo").and_then(Node::as_integer),
        Some(5)
    );
    let values = rule
        .get("arguments")
        .and_then(|given| given.get("validValues"));
    let Some(Value::List(values)) = values.map(|values| &values.value) else {
        panic!("{values:?}");
    };
    let values: Vec<_> = values.iter().map(|item| item.value.clone()).collect();
    assert_eq!(
        values,
        [
            Value::Text(String::new()),
            Value::Null,
            Value::Text("n/a".to_owned())
        ]
    );
}

#[test]
fn nested_properties_and_items_are_read() {
    let contract = parse(
        "schema:
  - name: t
    properties:
      - name: address
        logicalType: object
        properties:
          - name: city
            logicalType: string
            required: true
      - name: lines
        logicalType: array
        items:
          logicalType: object
          properties:
            - name: sku
              logicalType: string
",
    )
    .expect("valid");
    let properties = &contract.schema[0].properties;
    assert_eq!(properties[0].properties[0].name, "city");
    assert!(properties[0].properties[0].required);
    let items = properties[1].items.as_ref().expect("there");
    assert_eq!(
        (items.name.as_str(), items.properties[0].name.as_str()),
        ("", "sku")
    );
}

#[test]
fn the_options_of_a_type_are_found_by_name() {
    let contract = parse(
        "schema: [{name: t, properties: [{name: c, logicalType: integer, \
         logicalTypeOptions: {format: i64, minimum: 0}}]}]\n",
    )
    .expect("valid");
    let column = &contract.schema[0].properties[0];
    assert_eq!(column.option("format").and_then(Node::as_text), Some("i64"));
    assert_eq!(column.option("minimum").and_then(Node::as_integer), Some(0));
    assert_eq!(column.option("maximum"), None);
}

#[test]
fn each_supported_version_is_read_and_others_are_refused_with_the_range() {
    let with = |version: &str| Contract::parse(&HEAD.replace("v3.1.0", version));
    for version in ["v3.0.0", "v3.0.2", "v3.0.17", "v3.1.0", "v3.2.0"] {
        assert!(with(version).is_ok(), "{version}");
    }
    for version in [
        "v2.2.2", "v3.0", "v3.0.", "v3.0.x", "v3.1.1", "v3.3.0", "v4.0.0", "3.1.0",
    ] {
        let refused = with(version).expect_err("refused").to_string();
        assert_eq!(
            refused,
            format!(
                "line 1, column 13: `apiVersion` `{version}` is not supported; \
                 v3.0.x, v3.1.0 and v3.2.0 are"
            )
        );
    }
}

#[test]
fn status_may_be_missing_since_v3_2() {
    let without = HEAD.replace("status: active\n", "");
    assert!(Contract::parse(&without.replace("v3.1.0", "v3.2.0")).is_ok());
    assert_eq!(
        faults(&without),
        "line 1, column 1: `status` of the contract is missing"
    );
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    assert_eq!(
        faults(
            "apiVersion: v3.1.0\nschema:\n  - description: no name\n  - name: t\n    properties:\n      - logicalType: string\nservers:\n  - type: local\n"
        ),
        "line 1, column 1: `kind` of the contract is missing
line 1, column 1: `id` of the contract is missing
line 1, column 1: `version` of the contract is missing
line 1, column 1: `status` of the contract is missing
line 3, column 5: `name` of a schema object is missing
line 6, column 9: `name` of a property is missing
line 8, column 5: `server` of a server is missing
line 8, column 5: `path` of a server is missing"
    );
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_its_place() {
    assert_eq!(
        body_faults(
            "name: 12
tags: sales
description: text
schema:
  - name: 1
  - name: t
    properties:
      - name: c
        required: 'yes'
        tags: [a, 2]
        logicalTypeOptions: []
customProperties: {a: b}
"
        ),
        "line 6, column 7: `name` of the contract must be text, but is a number; put it in quotes
line 7, column 7: `tags` of the contract must be a list, but is text
line 8, column 14: `description` must be a map, but is text
line 10, column 11: `name` of a schema object must be text, but is a number; put it in quotes
line 14, column 19: `required` of property `c` must be true or false, but is text
line 15, column 19: `tags` of property `c` must hold text, but holds a number
line 16, column 29: `logicalTypeOptions` must be a map
line 17, column 19: `customProperties` of the contract must be a list, but is a map"
    );
}

#[test]
fn names_that_look_like_old_booleans_are_names() {
    let contract = parse("schema: [{name: on, properties: [{name: no}, {name: y}]}]\n");
    assert_eq!(contract.expect("valid").schema[0].properties[0].name, "no");
}

#[test]
fn an_unknown_logical_type_is_refused_with_those_that_are_known() {
    assert_eq!(
        body_faults(
            "schema:\n  - name: t\n    properties:\n      - name: c\n        logicalType: text\n"
        ),
        "line 10, column 22: unknown `logicalType` `text` of property `c`; known are string, date, \
         timestamp, time, number, integer, object, array, boolean, map, vector"
    );
}

#[test]
fn names_that_sql_cannot_tell_apart_are_refused() {
    assert_eq!(
        body_faults(
            "schema:
  - name: Orders
    properties:
      - {name: id}
      - {name: ID}
      - {name: id}
      - {name: o, properties: [{name: a}, {name: A}]}
      - {name: l, items: {properties: [{name: b}, {name: b}]}}
  - name: orders
"
        ),
        "line 10, column 9: property `ID` and `id` in line 9 are one name after folding to lower case
line 11, column 9: property `id` is already declared in line 9
line 12, column 43: property `A` and `a` in line 12 are one name after folding to lower case
line 13, column 51: property `b` is already declared in line 13
line 14, column 5: schema object `orders` and `Orders` in line 7 are one name after folding to lower case"
    );
}

#[test]
fn a_reference_must_lead_somewhere() {
    let with = |relationships: &str| {
        parse(&format!(
            "schema:
  - name: orders
    id: o
    properties:
      - {{name: id, id: oid}}
      - {{name: customer, properties: [{{name: key}}]}}
  - name: lines
    properties:
      - {{name: order}}
    relationships:
{relationships}"
        ))
    };
    for (from, to) in [
        ("lines.order", "orders.id"),
        ("lines.order", "orders.customer.key"),
        ("lines.order", "schema/o/properties/oid"),
        ("lines.order", "/schema/o/properties/oid"),
        ("lines.order", "other.odcs.yaml#/schema/x/properties/y"),
        ("[lines.order, orders.id]", "[orders.id, lines.order]"),
    ] {
        let read = with(&format!("      - {{from: {from}, to: {to}}}\n"));
        assert!(
            read.is_ok(),
            "{from} -> {to}: {}",
            read.expect_err("refused")
        );
    }
    for (from, to, reason) in [
        (
            "lines.order",
            "parts.id",
            "there is no schema object `parts`",
        ),
        (
            "lines.orders",
            "orders.id",
            "schema object `lines` has no property `orders`",
        ),
        (
            "lines.order",
            "orders.customer.id",
            "schema object `orders` has no property `id`",
        ),
        (
            "lines.order",
            "schema/x/properties/oid",
            "there is no schema object `x`",
        ),
        (
            "lines.order",
            "schema/o/properties/x",
            "schema object `orders` has no property `x`",
        ),
        (
            "lines.order",
            "orders",
            "reference `orders` names no property",
        ),
    ] {
        let refused = with(&format!("      - {{from: {from}, to: {to}}}\n"));
        let refused = refused.expect_err("refused").to_string();
        assert!(refused.starts_with("line 16, column 9: "), "{refused}");
        assert!(refused.ends_with(reason), "{refused}");
    }
    let refused = with(
        "      - {from: [lines.order], to: orders.id, type: friend}\n      - {to: orders.id}\n      - {from: [lines.order, lines.order], to: [orders.id]}\n",
    );
    assert_eq!(
        refused.expect_err("refused").to_string(),
        "line 16, column 52: unknown `type` `friend` of a relationship; known is foreignKey
line 17, column 9: `from` of a relationship is missing
line 18, column 48: a relationship must name as many columns in `to` as in `from`, but names 1 and 2"
    );
}

#[test]
fn a_column_may_refer_to_another_contract_but_not_to_a_missing_column_of_this_one() {
    let with = |relationship: &str| {
        parse(&format!(
            "schema: [{{name: t, properties: [{{name: c, relationships: [{relationship}]}}]}}]\n"
        ))
    };
    assert!(with("{to: elsewhere.id}").is_ok());
    assert!(with("{to: t.c}").is_ok());
    let refused = with("{to: t.d}").expect_err("refused").to_string();
    assert!(
        refused.ends_with("schema object `t` has no property `d`"),
        "{refused}"
    );
    let refused = with("{from: t.c, to: t.c}")
        .expect_err("refused")
        .to_string();
    assert!(refused.contains("has no `from`"), "{refused}");
}

#[test]
fn yaml_that_cannot_be_read_is_refused_with_its_place() {
    for (text, place) in [
        ("kind: [a\nid: b\n", "line 2"),
        ("kind: a\nkind: b\n", "line 2, column 1"),
        ("kind: \"a\n", "line "),
        ("a: 1\n---\nb: 2\n", "line "),
        ("a: b: c\n", "line 1"),
    ] {
        let refused = faults(text);
        assert!(refused.starts_with(place), "{text:?}: {refused}");
        assert!(
            refused.contains("the YAML cannot be read: "),
            "{text:?}: {refused}"
        );
        assert_eq!(refused.lines().count(), 1, "{refused}");
    }
    assert_eq!(
        faults("just text\n"),
        "line 1, column 1: the contract must be a map, but is text"
    );
    assert_eq!(
        faults(""),
        "line 1, column 1: the contract must be a map, but is null"
    );
}

#[test]
fn a_contract_that_would_explode_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(9);
        text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    assert!(faults(&text).contains("the YAML cannot be read"));
    let deep = format!("a: {}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    assert!(faults(&deep).contains("the YAML cannot be read"));
    let large = format!("{HEAD}name: \"{}\"\n", "x".repeat(5 << 20));
    assert_eq!(
        faults(&large),
        "line 1, column 1: a contract has at most 4 MiB"
    );
}
