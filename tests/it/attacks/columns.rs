//! A column that was not granted, named in every clause: it is refused like one that does not exist.

use harness::run;
use weft_governance::code;

use super::people::{Attack, Control, Told, mesh, withstand};

const fn attack(name: &'static str, sql: &'static str) -> Attack {
    Attack {
        name,
        sql,
        told: Told::Refused(code::PLAN),
        control: Control::Tells("private"),
    }
}

#[test]
fn a_column_that_was_not_granted_is_refused_in_every_clause() {
    withstand(&[
        attack("SELECT", "SELECT note FROM $P"),
        attack("a qualified name", "SELECT p.note FROM $P p"),
        attack("a quoted name", "SELECT \"note\" FROM $P"),
        attack("an alias", "SELECT note AS id FROM $P"),
        attack(
            "WHERE",
            "SELECT 'private' AS n FROM $P WHERE note IS NOT NULL",
        ),
        attack("GROUP BY", "SELECT 'private' AS n FROM $P GROUP BY note"),
        attack("ORDER BY", "SELECT 'private' AS n FROM $P ORDER BY note"),
        attack(
            "HAVING",
            "SELECT 'private' AS n FROM $P HAVING count(note) > 0",
        ),
        attack("an aggregate", "SELECT max(note) AS n FROM $P"),
        attack("a window", "SELECT first_value(note) OVER () AS n FROM $P"),
        attack(
            "a join",
            "SELECT 'private' AS n FROM $P a JOIN $P b ON a.note = b.note",
        ),
        attack(
            "USING",
            "SELECT 'private' AS n FROM $P a JOIN $P b USING (note)",
        ),
        attack(
            "CASE",
            "SELECT CASE WHEN note > 'a' THEN 'private' END AS n FROM $P",
        ),
        attack(
            "a subquery",
            "SELECT 'private' AS n FROM $P a WHERE a.id IN (SELECT id FROM $P WHERE note > 'a')",
        ),
        attack(
            "EXISTS",
            "SELECT 'private' AS n FROM $P a WHERE EXISTS (SELECT 1 FROM $P b WHERE b.note = a.code OR b.id = a.id)",
        ),
        attack(
            "a struct",
            "SELECT named_struct('n', note)['n'] AS n FROM $P",
        ),
    ]);
}

#[test]
fn a_star_shows_granted_columns_alone() {
    run(async {
        let mesh = mesh().await;
        let granted = [
            "id", "country", "ssn", "born", "salary", "score", "code", "day",
        ];
        for mut client in [
            mesh.sign_in("analyst").await,
            mesh.sign_in_at("crm", "analyst").await,
        ] {
            for sql in [
                "SELECT * FROM crm.people.person",
                "SELECT p.* FROM crm.people.person p",
                "TABLE crm.people.person",
            ] {
                let rows = client.query(sql).await;
                if let Ok(rows) = rows {
                    assert_eq!(rows.columns(), granted, "{sql}");
                }
            }
        }
        let all = "SELECT * FROM crm.people.person";
        let all = mesh
            .sign_in("admin")
            .await
            .query(all)
            .await
            .expect("granted");
        assert_eq!(
            all.columns().last().map(String::as_str),
            Some("note"),
            "the control"
        );
    });
}

/// Otherwise the message tells whether there is one.
#[test]
fn a_column_that_was_not_granted_is_refused_like_one_that_does_not_exist() {
    run(async {
        let mesh = mesh().await;
        for mut client in [
            mesh.sign_in("analyst").await,
            mesh.sign_in_at("crm", "analyst").await,
        ] {
            for sql in [
                "SELECT # FROM crm.people.person",
                "SELECT p.# FROM crm.people.person p",
                "SELECT 1 FROM crm.people.person a JOIN crm.people.person b USING (#)",
                "SELECT count(*) FROM crm.people.person WHERE # = 1",
                "SELECT count(*) FROM crm.people.person ORDER BY #",
            ] {
                let mut told = Vec::new();
                for name in ["note", "vote"] {
                    let error = client.error(&sql.replace('#', name)).await;
                    let text = format!("{} {error} {:?}", error.code(), error.hint());
                    told.push(text.replace(name, "#"));
                }
                assert_eq!(told[0], told[1], "{sql}");
            }
        }
        let mut admin = mesh.sign_in("admin").await;
        let control = admin.query("SELECT note FROM crm.people.person").await;
        assert_eq!(control.expect("granted").len(), 5);
    });
}
