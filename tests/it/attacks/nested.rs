//! Columns that are made of others: rows in rows, and lists.

use std::fs;

use harness::{Mesh, MeshOptions, grant, grant_table};
use weft_governance::code;
use weft_node::GrantSettings;

use super::people::{Attack, Control, Told, attack, withstand_in};

const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: crm-people
name: people
version: 1.0.0
status: active
domain: crm
dataProduct: people
schema:
  - name: person
    properties:
      - {name: id, logicalType: integer, physicalType: bigint}
      - {name: country, logicalType: string, physicalType: varchar}
      - name: home
        logicalType: object
        properties:
          - {name: city, logicalType: string, physicalType: varchar}
          - {name: zip, logicalType: string, physicalType: varchar}
      - name: place
        logicalType: object
        properties:
          - {name: code, logicalType: string, physicalType: varchar}
      - name: tags
        logicalType: array
        items: {name: item, logicalType: string, physicalType: varchar}
      - name: marks
        logicalType: array
        items: {name: item, logicalType: string, physicalType: varchar}
      - name: phones
        logicalType: object
        properties:
          - {name: work, logicalType: string, physicalType: varchar}
";

const ROWS: [&str; 3] = [
    r#"{"id":1,"country":"DE","home":{"city":"Rome","zip":"111-22"},"place":{"code":"1"},"tags":["red","SECRET"],"marks":["7"],"phones":{"work":"private"}}"#,
    r#"{"id":2,"country":"DE","home":{"city":"Oslo","zip":"222-33"},"place":{"code":"2"},"tags":["blue"],"marks":["8","9"],"phones":{"work":"private"}}"#,
    r#"{"id":3,"country":"FR","home":{"city":"Rome","zip":"never"},"place":{"code":"x9"},"tags":[],"marks":["x9"],"phones":{"work":"private"}}"#,
];

/// `analyst` sees the rows of one country without homes, tags and phones.
async fn mesh() -> Mesh {
    let folder = tempfile::tempdir().expect("folder").keep();
    let product = folder.join("people");
    fs::create_dir_all(&product).expect("folder");
    fs::write(product.join("people.odcs.yaml"), CONTRACT).expect("contract");
    fs::write(product.join("person.ndjson"), ROWS.join("\n")).expect("rows");
    let columns = ["id", "country", "home", "place", "tags", "marks"];
    let masks = [("home", "replace-with-null"), ("tags", "replace-with-null")];
    let narrow = GrantSettings {
        columns: Some(columns.map(str::to_owned).to_vec()),
        ..grant_table(
            "analyst",
            "people",
            "person",
            Some("country = 'DE'"),
            &masks,
        )
    };
    let grants = vec![narrow, grant("admin", "people")];
    let mesh = Mesh::start(MeshOptions {
        domains: vec![("crm".to_owned(), folder, grants)],
        ..MeshOptions::empty()
    })
    .await;
    let problems = mesh.node("crm").problems();
    assert!(problems.is_empty(), "{problems:?}");
    mesh
}

#[test]
fn what_is_in_a_masked_column_is_masked_too() {
    withstand_in(
        mesh(),
        &[
            attack(
                "a field",
                "SELECT home['zip'] AS z FROM $P ORDER BY id",
                &["NULL", "NULL"],
                &["111-22", "222-33", "never"],
            ),
            attack(
                "a field by a function",
                "SELECT count(get_field(home, 'zip')) AS n FROM $P",
                &["0"],
                &["3"],
            ),
            attack(
                "a field by a dot",
                "SELECT count(p.home.zip) AS n FROM $P p",
                &["0"],
                &["3"],
            ),
            attack(
                "a field in a condition",
                "SELECT count(*) AS n FROM $P WHERE home['zip'] = '111-22'",
                &["0"],
                &["1"],
            ),
            attack(
                "a field in a group",
                "SELECT home['city'] AS c, count(*) AS n FROM $P GROUP BY home['city'] ORDER BY 1",
                &["NULL 2"],
                &["Oslo 1", "Rome 2"],
            ),
            attack(
                "the greatest field",
                "SELECT max(home['zip']) AS m, min(home['city']) AS l FROM $P",
                &["NULL NULL"],
                &["never Oslo"],
            ),
            attack(
                "a field of a copy",
                "SELECT count(h['zip']) AS n FROM (SELECT home AS h FROM $P) q",
                &["0"],
                &["3"],
            ),
            attack(
                "the whole",
                "SELECT count(*) AS n FROM $P WHERE home IS NULL",
                &["2"],
                &["0"],
            ),
            attack(
                "a guess at the whole",
                "SELECT count(*) AS n FROM $P WHERE home = named_struct('city', 'Rome', 'zip', '111-22')",
                &["0"],
                &["1"],
            ),
            attack(
                "a field that fails",
                "SELECT count(CAST(home['zip'] AS BIGINT)) AS n FROM $P",
                &["0"],
                &[],
            )
            .failing(),
            attack(
                "an item",
                "SELECT count(tags[1]) AS n FROM $P",
                &["0"],
                &["2"],
            ),
            attack(
                "all items",
                "SELECT count(*) AS n FROM (SELECT unnest(tags) AS t FROM $P) q",
                &["0"],
                &["3"],
            ),
            attack(
                "a guess at an item",
                "SELECT count(*) AS n FROM $P WHERE array_has(tags, 'red')",
                &["0"],
                &["1"],
            ),
            attack(
                "the length of a list",
                "SELECT sum(array_length(tags)) AS n FROM $P",
                &["NULL"],
                &["3"],
            ),
            attack(
                "a list as a text",
                "SELECT count(array_to_string(tags, ',')) AS n FROM $P",
                &["0"],
                &["3"],
            ),
        ],
    );
}

#[test]
fn what_is_in_hidden_rows_and_columns_is_hidden_too() {
    withstand_in(
        mesh(),
        &[
            attack(
                "a field that fails in a hidden row",
                "SELECT sum(CAST(place['code'] AS BIGINT)) AS s FROM $P",
                &["3"],
                &[],
            )
            .failing(),
            attack(
                "a condition that fails in a hidden row",
                "SELECT count(*) AS n FROM $P WHERE CAST(place['code'] AS BIGINT) > 1",
                &["1"],
                &[],
            )
            .failing(),
            attack(
                "an item that fails in a hidden row",
                "SELECT sum(CAST(m AS BIGINT)) AS s FROM (SELECT unnest(marks) AS m FROM $P) q",
                &["24"],
                &[],
            )
            .failing(),
            Attack {
                name: "a field of a column that is not granted",
                sql: "SELECT phones['work'] AS w FROM $P",
                told: Told::Refused(code::PLAN),
                control: Control::Tells("private"),
            },
            Attack {
                name: "what fields there are",
                sql: "SELECT \"column\", \"type\" FROM system.catalog.columns WHERE domain = 'crm'",
                told: Told::Without(&["phones", "work"]),
                control: Control::Tells("phones"),
            },
        ],
    );
}
