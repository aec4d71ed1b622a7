use super::fixture::Data;

#[tokio::test]
async fn members_are_found_by_name_and_missing_ones_are_null() {
    let data = Data::with(
        "schema:
  - name: t
    properties:
      - {name: id, physicalName: no, logicalType: integer}
      - {name: price, physicalType: 'decimal(10,2)'}
      - {name: at, logicalType: timestamp, logicalTypeOptions: {timezone: true}}
      - name: home
        logicalType: object
        properties: [{name: town}, {name: zip, logicalType: integer}]
      - {name: labels, logicalType: array, items: {logicalType: string}}
",
    );
    data.text(
        "p/t.ndjson",
        r#"{"no": 1, "secret": 5, "price": 1.5, "at": "2024-01-02T03:04:05+01:00", "home": {"town": "Ulm", "zip": 89073, "secret": 1}, "labels": ["a", "b"]}
{"home": null}
{"price": "20", "no": 2, "home": {}}
"#,
    );
    let served = data.served().await;
    assert_eq!(
        served.rows("SELECT * FROM t").await,
        [
            "1 1.50 2024-01-02T02:04:05Z {town: Ulm, zip: 89073} [a, b]",
            "",
            "2 20.00  {town: , zip: }",
        ]
        .map(|row| if row.is_empty() {
            "    ".to_owned()
        } else {
            pad(row)
        })
    );
    assert_eq!(
        served
            .rows("SELECT count(*), count(id) FROM t WHERE price < 10")
            .await,
        ["1 1"]
    );
    assert!(served.try_rows("SELECT secret FROM t").await.is_err());
}

/// `row` with the empty cell that follows its last one.
fn pad(row: &str) -> String {
    if row.starts_with('2') {
        format!("{row} ")
    } else {
        row.to_owned()
    }
}

#[tokio::test]
async fn a_file_that_is_not_one_object_per_line_or_has_other_types_is_refused() {
    let body = "schema: [{name: t, properties: [{name: a, logicalType: integer}]}]\n";
    let cannot = "p/t.ndjson: the data of table `t` cannot be read: ";
    for (text, problem) in [
        (
            "[{\"a\": 1}]\n",
            "it does not hold one JSON object per line",
        ),
        ("{\"a\": \"one\"}\n", "Json error: "),
        ("{\"a\": {}}\n", "Json error: "),
        ("{\"a\": \n", "Json error: "),
    ] {
        let data = Data::with(body);
        data.text("p/t.ndjson", text);
        let problems = data.problems().await;
        assert_eq!(problems.len(), 1, "{text:?}: {problems:?}");
        assert!(
            problems[0].starts_with(&format!("{cannot}{problem}")),
            "{text:?}: {problems:?}"
        );
    }
}

#[tokio::test]
async fn an_empty_file_is_an_empty_table() {
    let data = Data::with("schema: [{name: t, properties: [{name: a}]}]\n");
    data.text("p/t.ndjson", "");
    assert_eq!(
        data.served().await.rows("SELECT count(*) FROM t").await,
        ["0"]
    );
}
