use super::fixture::Data;

const BODY: &str = "\
schema:
  - name: t
    properties:
      - {name: id, physicalName: no, logicalType: integer}
      - {name: name, logicalType: string}
      - {name: price, physicalType: 'decimal(10,2)'}
      - {name: day, logicalType: date}
      - {name: at, logicalType: timestamp}
      - {name: open, logicalType: boolean}
";

#[tokio::test]
async fn types_come_from_the_contract_and_columns_from_the_header() {
    let data = Data::with(BODY);
    data.text(
        "p/t.csv",
        "open,name,secret,price,no,at,day\n\
         true,ann,x,1.5,1,2024-01-02T03:04:05,2024-01-02\n\
         ,,,,,,\n\
         false,\"b, \"\"c\"\"\nd\",y,-20,2,2024-01-02 03:04:05.25,1999-12-31\n",
    );
    let served = data.served().await;
    assert_eq!(
        served.columns("t"),
        [
            "id Int64?",
            "name Utf8View?",
            "price Decimal128(10, 2)?",
            "day Date32?",
            "at Timestamp(µs)?",
            "open Boolean?"
        ]
    );
    let rows = served
        .rows("SELECT id, price, day, at, open FROM t WHERE id IS NOT NULL")
        .await;
    assert_eq!(
        rows,
        [
            "1 1.50 2024-01-02 2024-01-02T03:04:05 true",
            "2 -20.00 1999-12-31 2024-01-02T03:04:05.250 false"
        ]
    );
    let quoted = "SELECT replace(name, chr(10), '/') FROM t WHERE id = 2";
    assert_eq!(served.rows(quoted).await, ["b, \"c\"/d"]);
    let nulls = "SELECT count(*), count(id), count(name), count(price), count(open) FROM t";
    assert_eq!(served.rows(nulls).await, ["3 2 2 2 2"]);
    assert!(served.try_rows("SELECT secret FROM t").await.is_err());
    assert_eq!(
        served.rows("SELECT count(*) FROM t WHERE open").await,
        ["1"]
    );
}

#[tokio::test]
async fn several_files_with_one_header_are_one_table() {
    let data = Data::with("schema: [{name: t, properties: [{name: b}, {name: a}]}]\n");
    data.text("p/t/1.csv", "a,b\n1,x\n");
    data.text("p/t/2.csv", "\u{feff}a,b\r\n2,y\r\n");
    let served = data.served().await;
    assert_eq!(
        served.rows("SELECT * FROM t ORDER BY a").await,
        ["x 1", "y 2"]
    );

    data.text("p/t/2.csv", "b,a\ny,2\n");
    let expected = "p/p.odcs.yaml:6: table `t`: the headers of `1.csv` and `2.csv` differ, but a \
                    table's files must have one header";
    assert_eq!(data.problems().await, [expected]);
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said_when_it_is_loaded() {
    let body = "schema: [{name: t, properties: [{name: a, logicalType: integer}, {name: b}]}]\n";
    let cannot = "p/t.csv: the data of table `t` cannot be read: ";
    for (text, problem) in [
        ("", format!("{cannot}there is no header")),
        (
            "a,a,b\n",
            format!("{cannot}the header names `a` more than once"),
        ),
        (
            "A,b\n",
            "p/p.odcs.yaml:6: table `t`: column `a` is not in `t.csv`".to_owned(),
        ),
        (
            "a,b\nfive,x\n",
            format!("{cannot}Parser error: Error while parsing value 'five'"),
        ),
        (
            "a,b\n1,x,y\n",
            format!("{cannot}Csv error: incorrect number of fields for line 2"),
        ),
        (
            "a,b\n1\n",
            format!("{cannot}Csv error: incorrect number of fields for line 2"),
        ),
    ] {
        let data = Data::with(body);
        data.text("p/t.csv", text);
        let problems = data.problems().await;
        assert_eq!(problems.len(), 1, "{text:?}: {problems:?}");
        assert!(problems[0].starts_with(&problem), "{text:?}: {problems:?}");
    }
}

#[tokio::test]
async fn a_contract_that_gives_no_readable_type_is_named_with_its_line() {
    let data = Data::with(
        "schema:
  - name: t
    properties:
      - {name: a, physicalType: decimal}
      - {name: b, logicalType: integer, physicalType: varchar}
      - {name: c, physicalType: bytea}
",
    );
    data.text("p/t.csv", "a,b,c\n");
    assert_eq!(
        data.problems().await,
        [
            "p/p.odcs.yaml:9: table `t`: column `a` is declared `decimal`, which cannot be read from text: say the precision and scale",
            "p/p.odcs.yaml:10: table `t`: column `b` is declared `integer`, but is `Utf8View`",
            "p/p.odcs.yaml:11: table `t`: column `c` is declared `bytea`, which cannot be read from text: bytes are not text",
        ]
    );
    data.contract(
        "p",
        "schema: [{name: t, properties: [{name: a, logicalType: vector}, {name: b}, {name: c}]}]\n",
    );
    let expected = "p/p.odcs.yaml:6: table `t`: column `a` is nested, which CSV cannot hold";
    assert_eq!(data.problems().await, [expected]);
}
