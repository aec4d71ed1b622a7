//! Rights that were not given: statements about them by those who may not, grants that are over, for
//! another purpose or another name, values that are no values.

use std::collections::BTreeMap;

use harness::{Client, Mesh, run};
use weft_governance::code;

use super::people::{Cases, ORDERS, PEOPLE, grants, lines, mesh, options};

async fn change(mesh: &Mesh, owner: &mut Client, sql: &str) -> String {
    let answer = owner
        .query(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let epoch = mesh.node("crm").epoch();
    mesh.wait_for("crm", |entry| entry.epoch >= epoch).await;
    lines(&answer).concat()
}

#[test]
fn nobody_but_an_owner_changes_a_right() {
    run(async {
        let mesh = mesh().await;
        let mut cases = Cases::default();
        let mut owner = mesh.sign_in_at("crm", "crm_owner").await;
        let mut analyst = mesh.sign_in_at("crm", "analyst").await;
        let mut neighbour = mesh.sign_in_at("crm", "sales_owner").await;
        let ask =
            "REQUEST ACCESS TO crm.people.person FOR PURPOSE 'x' UNTIL '2200-01-01' BECAUSE 'y'";
        let asked = analyst.value(ask).await;
        let own = owner.value(ask).await;
        let grant = change(
            &mesh,
            &mut owner,
            "GRANT SELECT (id) ON TABLE crm.people.person TO USER outsider",
        )
        .await;
        for (who, client) in [
            ("the asker", &mut analyst),
            ("the owner of another domain", &mut neighbour),
        ] {
            for sql in [
                "GRANT SELECT ON PRODUCT crm.people TO USER analyst".to_owned(),
                "GRANT SELECT ON PRODUCT crm.people TO GROUP analysts".to_owned(),
                format!("REVOKE GRANT '{grant}'"),
                format!("APPROVE REQUEST '{asked}'"),
                format!("REJECT REQUEST '{asked}' BECAUSE 'z'"),
            ] {
                let answer = client.query(&sql).await;
                cases.refused(&format!("{sql} by {who}"), &[code::NOT_GRANTED], answer);
            }
            let shown = client.query("SHOW GRANTS").await.expect("own");
            assert!(
                !shown.to_string().contains(&grant),
                "{who} sees another's grant"
            );
        }
        let answer = owner.query(&format!("APPROVE REQUEST '{own}'")).await;
        cases.refused(
            "an owner approves the own request",
            &[code::NOT_GRANTED],
            answer,
        );
        for (name, sql) in [
            (
                "a grant on another domain's product",
                "GRANT SELECT ON PRODUCT sales.orders TO USER analyst".to_owned(),
            ),
            (
                "a grant that the configuration gave",
                "REVOKE GRANT 'config-1'".to_owned(),
            ),
            (
                "a wider approval",
                format!("APPROVE REQUEST '{asked}' WITH UNTIL '2300-01-01'"),
            ),
            (
                "an unknown request",
                "APPROVE REQUEST '00000000-0000-0000-0000-000000000000'".to_owned(),
            ),
            (
                "a second statement",
                "GRANT SELECT (id) ON TABLE crm.people.person TO USER a; REVOKE GRANT 'x'"
                    .to_owned(),
            ),
            (
                "a subquery in a filter",
                "GRANT SELECT ON TABLE crm.people.person TO USER a WHERE id IN (SELECT 1)"
                    .to_owned(),
            ),
            (
                "a function in a filter",
                "GRANT SELECT ON TABLE crm.people.person TO USER a WHERE random() < 1".to_owned(),
            ),
            (
                "a division in a filter",
                "GRANT SELECT ON TABLE crm.people.person TO USER a WHERE 1 / score > 0".to_owned(),
            ),
            (
                "a cast in a filter",
                "GRANT SELECT ON TABLE crm.people.person TO USER a WHERE CAST(code AS BIGINT) > 0"
                    .to_owned(),
            ),
            (
                "a filter that is no condition",
                "GRANT SELECT ON TABLE crm.people.person TO USER a WHERE id".to_owned(),
            ),
            (
                "a mask that does not fit",
                "GRANT SELECT ON TABLE crm.people.person TO USER a MASK (id WITH 'sha-256')"
                    .to_owned(),
            ),
        ] {
            let codes = [
                code::PLAN,
                code::SETTINGS,
                code::SYNTAX,
                code::NOT_FOUND,
                code::UNSUPPORTED,
            ];
            cases.refused(name, &codes, owner.query(&sql).await);
        }
        let answer = owner
            .query(&format!("APPROVE REQUEST '{asked}' WITH (id)"))
            .await;
        assert!(answer.is_ok(), "the control: {answer:?}");
        let answer = owner.query(&format!("APPROVE REQUEST '{asked}'")).await;
        cases.refused("an approval once more", &[code::NOT_FOUND], answer);
        let answer = owner
            .query(&format!("APPROVE REQUEST '{asked}' WITH (id)"))
            .await;
        cases.refused("the same approval once more", &[code::NOT_FOUND], answer);
        assert!(cases.count >= 24, "{}", cases.count);
        cases.withstood();
    });
}

/// A filter that the engine cannot run hides everything, or is not given at all.
#[test]
fn a_filter_that_could_fail_is_not_given() {
    run(async {
        let mesh = mesh().await;
        let mut owner = mesh.sign_in_at("crm", "crm_owner").await;
        let mut through = Vec::new();
        for filter in [
            "country LIKE 'D!%' ESCAPE '!'",
            "country LIKE 'D\\'",
            "country LIKE code",
            "country ILIKE 'd%'",
            "country SIMILAR TO 'D(E'",
            "country ~ 'D(E'",
            "country = code",
            "country IN (code, 'DE')",
            "id BETWEEN score AND 3",
            "born > '1990-01-01'",
            "id = 2.5",
            "score = 99999999999999999999",
            "country = 1",
            "id",
            "NULL",
            "(country = 'DE') IS TRUE",
            "country IS DISTINCT FROM NULL",
        ] {
            let give = format!(
                "GRANT SELECT (id) ON TABLE crm.people.person TO USER outsider WHERE {filter}"
            );
            let Ok(given) = owner.query(&give).await else {
                continue;
            };
            let epoch = mesh.node("crm").epoch();
            mesh.wait_for("crm", |entry| entry.epoch >= epoch).await;
            let mut near = mesh.sign_in_at("crm", "outsider").await;
            let answer = near.query("SELECT id FROM crm.people.person").await;
            if let Err(error) = answer {
                through.push(format!("{filter} was given and fails: {error}"));
            }
            let id = lines(&given).concat();
            change(&mesh, &mut owner, &format!("REVOKE GRANT '{id}'")).await;
        }
        assert!(through.is_empty(), "\n{}", through.join("\n"));
    });
}

#[test]
fn a_right_is_for_its_grantee_purpose_and_time_alone() {
    run(async {
        let mesh = mesh().await;
        let mut owner = mesh.sign_in_at("crm", "crm_owner").await;
        let mut cases = Cases::default();
        for narrow in [
            "TO USER \"Outsider\"",
            "TO USER \"outsider \"",
            "TO USER analysts",
            "TO GROUP outsider",
            "TO USER outsider FROM '2200-01-01'",
            "TO USER outsider UNTIL '2001-01-01'",
            "TO USER outsider FOR PURPOSE 'fraud'",
            "TO USER outsider FOR PURPOSE 'fraud', 'forecasting' FROM '2200-01-01' UNTIL '2201-01-01'",
        ] {
            let give = format!("GRANT SELECT ON TABLE crm.people.person {narrow}");
            if owner.query(&give).await.is_err() {
                continue;
            }
            let epoch = mesh.node("crm").epoch();
            mesh.wait_for("crm", |entry| entry.epoch >= epoch).await;
            for (door, mut client) in [
                ("the coordinator", mesh.sign_in("outsider").await),
                ("the node", mesh.sign_in_at("crm", "outsider").await),
            ] {
                for purpose in [
                    "'forecasting'",
                    "'Fraud'",
                    "'fraud,forecasting'",
                    "'%'",
                    "''",
                ] {
                    // Some are no purposes at all.
                    let _ = client.query(&format!("SET weft.purpose = {purpose}")).await;
                    let answer = client.query("SELECT id FROM crm.people.person").await;
                    let name = format!("{narrow} for {purpose} at {door}");
                    cases.refused(&name, &[code::NOT_GRANTED, code::NOT_FOUND], answer);
                }
            }
        }
        let mut control = mesh.sign_in("outsider").await;
        control
            .query("SET weft.purpose = 'fraud'")
            .await
            .expect("a purpose");
        let answer = control.query("SELECT id FROM crm.people.person").await;
        cases.tells("control", &["1", "2", "3", "4", "5"], answer);
        control
            .query("SET weft.purpose = 'other'")
            .await
            .expect("a purpose");
        let answer = control.query("SELECT id FROM crm.people.person").await;
        cases.refused(
            "the purpose that was named before",
            &[code::NOT_GRANTED],
            answer,
        );
        cases.withstood();
    });
}

/// Attributes are values, whatever stands in them.
#[test]
fn an_attribute_is_a_value_and_never_sql() {
    run(async {
        let values = [
            "' OR 1=1 --",
            "' OR '1'='1",
            "DE' OR country IS NOT NULL OR country = '",
            "DE\"; DROP TABLE person; --",
            "%",
            "_E",
            "DE ",
            "de",
            "",
            "NULL",
            "principal_attribute('country')",
            "country",
            "DE\u{0}",
            "\u{202e}ED",
        ];
        let mut options = options();
        for (number, value) in values.iter().enumerate() {
            let attributes = BTreeMap::from([("country".to_owned(), (*value).to_owned())]);
            options
                .users
                .push((format!("mallory{number}"), vec!["readers".to_owned()]));
            options
                .attributes
                .insert(format!("mallory{number}"), attributes);
        }
        let alice = BTreeMap::from([("country".to_owned(), "DE".to_owned())]);
        options
            .users
            .push(("alice".to_owned(), vec!["readers".to_owned()]));
        options.attributes.insert("alice".to_owned(), alice);
        let mesh = Mesh::publish_with(options, &[PEOPLE, ORDERS], grants()).await;
        let mut owner = mesh.sign_in_at("crm", "crm_owner").await;
        change(
            &mesh,
            &mut owner,
            "GRANT SELECT (id) ON TABLE crm.people.person TO GROUP readers WHERE country = principal_attribute('country')",
        )
        .await;
        let mut cases = Cases::default();
        for (number, value) in values.iter().enumerate() {
            let user = format!("mallory{number}");
            for (door, mut client) in [
                ("the coordinator", mesh.sign_in(&user).await),
                ("the node", mesh.sign_in_at("crm", &user).await),
            ] {
                let answer = client.query("SELECT id FROM crm.people.person").await;
                cases.tells(&format!("{value} at {door}"), &[], answer);
            }
        }
        let answer = mesh
            .sign_in("alice")
            .await
            .query("SELECT id FROM crm.people.person")
            .await;
        cases.tells("control", &["1", "2"], answer);
        cases.withstood();
    });
}
