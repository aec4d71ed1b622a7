//! Hidden rows and masked cells never show, whatever is asked. Each test has a control that shows
//! that the data is there.

use harness::{Mesh, MeshOptions, Published, grant, grant_table, run};

const PEOPLE: Published<'static> = Published {
    domain: "crm",
    product: "people",
    tables: &[(
        "person",
        &[
            ("id", "integer", "bigint"),
            ("country", "string", "varchar"),
            ("ssn", "string", "varchar"),
            ("born", "date", "date"),
        ],
        "1,DE,111-22-3333,1990-05-06\n2,DE,222-33-4444,1991-07-08\n3,FR,SECRET-9999,1992-09-10\n4,FR,444-55-6666,\n5,,555-66-7777,1960-01-02",
    )],
};

/// `analyst` sees the rows of one country and the end of each number; `admin` sees all.
async fn mesh() -> Mesh {
    let masks = [("ssn", "show-last-4"), ("born", "truncate-to-year")];
    Mesh::publish(
        &[PEOPLE],
        vec![
            (
                "crm",
                grant_table(
                    "analyst",
                    "people",
                    "person",
                    Some("country = 'DE'"),
                    &masks,
                ),
            ),
            ("crm", grant("admin", "people")),
        ],
    )
    .await
}

#[test]
fn only_visible_rows_and_masked_cells_come_out() {
    run(async {
        let mesh = mesh().await;
        for client in [
            &mut mesh.sign_in("analyst").await,
            &mut mesh.sign_in_at("crm", "analyst").await,
        ] {
            let rows = client
                .query("SELECT id, country, ssn, born FROM crm.people.person ORDER BY id")
                .await
                .expect("granted");
            let expected = [
                ["1", "DE", "XXXXXXX3333", "1990-01-01"],
                ["2", "DE", "XXXXXXX4444", "1991-01-01"],
            ];
            assert_eq!(
                rows.rows(),
                expected.map(|row| row.map(str::to_owned).to_vec())
            );
        }
        let all = mesh
            .sign_in("admin")
            .await
            .value("SELECT count(*) FROM crm.people.person")
            .await;
        assert_eq!(all, "5", "the hidden rows are there");
    });
}

#[test]
fn a_cast_error_does_not_tell_a_hidden_value() {
    run(async {
        let mesh = mesh().await;
        let sql = "SELECT id FROM crm.people.person WHERE CAST(ssn AS BIGINT) = 1";
        for client in [
            &mut mesh.sign_in("analyst").await,
            &mut mesh.sign_in_at("crm", "analyst").await,
        ] {
            let error = client.error(sql).await;
            let told = format!("{error} {:?} {error:?}", error.hint());
            assert!(
                !told.contains("SECRET") && !told.contains("111-22"),
                "{told}"
            );
        }
        // Only hidden rows would fail here, so nothing may.
        let harmless = "SELECT count(*) FROM crm.people.person WHERE CASE WHEN country = 'FR' THEN CAST(country AS BIGINT) ELSE 1 END = 1";
        assert_eq!(mesh.sign_in("analyst").await.value(harmless).await, "2");
        let failing = mesh.sign_in("admin").await.query(harmless).await;
        assert!(
            failing.is_err(),
            "the control fails on the rows that the analyst cannot see"
        );
    });
}

#[test]
fn counts_and_extremes_are_those_of_visible_rows_and_shown_values() {
    run(async {
        let mesh = mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let mut admin = mesh.sign_in("admin").await;
        let sql = "SELECT count(*), min(id), max(id), min(ssn), max(born) FROM crm.people.person";
        let seen = analyst.query(sql).await.expect("granted");
        assert_eq!(seen.rows()[0], ["2", "1", "2", "XXXXXXX3333", "1991-01-01"]);
        let control = admin.query(sql).await.expect("granted");
        assert_eq!(
            control.rows()[0],
            ["5", "1", "5", "111-22-3333", "1992-09-10"]
        );
    });
}

#[test]
fn a_masked_column_shows_its_mask_in_every_clause() {
    run(async {
        let mesh = mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        for (sql, expected) in [
            (
                "SELECT count(*) FROM crm.people.person WHERE ssn = '111-22-3333'",
                "0",
            ),
            (
                "SELECT count(*) FROM crm.people.person WHERE ssn LIKE '111%'",
                "0",
            ),
            (
                "SELECT count(*) FROM crm.people.person WHERE ssn = 'XXXXXXX3333'",
                "1",
            ),
            (
                "SELECT count(*) FROM crm.people.person WHERE born = DATE '1990-05-06'",
                "0",
            ),
            (
                "SELECT count(*) FROM crm.people.person p JOIN (VALUES ('111-22-3333')) v(g) ON p.ssn = v.g",
                "0",
            ),
            (
                "SELECT count(*) FROM (SELECT ssn FROM crm.people.person GROUP BY ssn HAVING ssn LIKE 'XXX%')",
                "2",
            ),
            (
                "SELECT length(max(alias)) FROM (SELECT ssn AS alias FROM crm.people.person)",
                "11",
            ),
        ] {
            assert_eq!(analyst.value(sql).await, expected, "{sql}");
        }
        let control = "SELECT count(*) FROM crm.people.person WHERE ssn = '111-22-3333'";
        assert_eq!(mesh.sign_in("admin").await.value(control).await, "1");
    });
}

#[test]
fn an_explanation_counts_visible_rows_only() {
    run(async {
        let mesh = mesh().await;
        let sql = "EXPLAIN ANALYZE SELECT id FROM crm.people.person";
        let seen = mesh
            .sign_in("analyst")
            .await
            .query(sql)
            .await
            .expect("granted");
        assert!(
            seen.to_string().contains("crm | fragment #0") && !seen.column("rows").contains(&"5"),
            "{seen}"
        );
        assert!(
            !seen.to_string().contains("'DE'"),
            "the filter itself is the owner's business: {seen}"
        );
        let control = mesh
            .sign_in("admin")
            .await
            .query(sql)
            .await
            .expect("granted");
        assert!(control.column("rows").contains(&"5"), "{control}");
    });
}

#[test]
fn a_row_whose_filter_is_null_is_hidden() {
    run(async {
        let mesh = mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let sql = "SELECT count(*) FROM crm.people.person WHERE country IS NULL";
        assert_eq!(analyst.value(sql).await, "0");
        assert_eq!(mesh.sign_in("admin").await.value(sql).await, "1");
    });
}

/// The contract says that the column has no NULL; what the mask shows has nothing else.
#[test]
fn a_required_column_can_be_masked_with_null() {
    run(async {
        let mut options = MeshOptions::tpch(0.01);
        for (domain, _, grants) in &mut options.domains {
            if domain == "crm" {
                let masks = [("c_address", "replace-with-null"), ("c_name", "sha-256")];
                *grants = vec![
                    grant_table("analyst", "customers", "customer", None, &masks),
                    grant_table("analyst", "customers", "nation", None, &[]),
                ];
            }
        }
        let mesh = Mesh::start(options).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let shown = "SELECT DISTINCT c_address FROM crm.customers.customer";
        assert_eq!(analyst.value(shown).await, "NULL");
        let joined = "SELECT count(*), count(c_address), count(c_name) FROM sales.orders.orders \
             JOIN crm.customers.customer ON o_custkey = c_custkey";
        let counted = analyst.query(joined).await.expect("joined");
        assert_eq!(counted.rows(), [["15000", "0", "15000"]]);
        let mut there = mesh.sign_in_at("crm", "analyst").await;
        assert_eq!(there.value(shown).await, "NULL");
    });
}
