//! Who may see what, for what, and when: decided without a mesh for every moment and kept as a file
//! that people read, and asked of a mesh for now.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use harness::{Client, Mesh, MeshOptions, Published, run};
use weft_governance::evaluate::evaluate;
use weft_governance::{
    Asker, Decision, Grant, Obligations, Principal, ProductRef, TableAccess, TableRef, Timestamp,
};
use weft_sql::govern::{Govern, Object};

const SALES: Published<'static> = Published {
    domain: "sales",
    product: "orders",
    tables: &[
        (
            "o",
            &[
                ("id", "integer", "bigint"),
                ("status", "string", "varchar"),
                ("clerk", "string", "varchar"),
            ],
            "1,F,ann\n2,F,bob\n3,O,cyd",
        ),
        (
            "item",
            &[("id", "integer", "bigint"), ("price", "integer", "bigint")],
            "1,10\n2,20",
        ),
    ],
};

const CRM: Published<'static> = Published {
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
        "1,DE,111-22-3333,1990-05-06\n2,FR,222-33-4444,1991-07-08",
    )],
};

const OPEN: Published<'static> = Published {
    domain: "crm",
    product: "regions",
    tables: &[("region", &[("id", "integer", "bigint")], "1\n2")],
};

const GRANTS: &[&str] = &[
    "GRANT SELECT ON PRODUCT sales.orders TO USER admin",
    "GRANT SELECT ON PRODUCT crm.people TO USER admin",
    "GRANT SELECT ON PRODUCT crm.regions TO GROUP analysts",
    "GRANT SELECT ON PRODUCT crm.regions TO GROUP auditors FOR PURPOSE 'audit'",
    "GRANT SELECT (id, status) ON TABLE sales.orders.o TO GROUP analysts WHERE status = 'F'",
    "GRANT SELECT ON TABLE sales.orders.o TO USER analyst MASK (clerk WITH 'sha-256') \
     FOR PURPOSE 'fraud' FROM '2020-01-01' UNTIL '2200-01-01'",
    "GRANT SELECT (id) ON TABLE sales.orders.o TO USER analyst FROM '2200-01-01'",
    "GRANT SELECT ON TABLE sales.orders.item TO GROUP clerks WHERE price < 15 UNTIL '2200-01-01'",
    "GRANT SELECT (id, country, ssn) ON TABLE crm.people.person TO GROUP analysts \
     WHERE country = principal_attribute('country') MASK (ssn WITH 'show-last-4')",
    "GRANT SELECT ON TABLE crm.people.person TO GROUP auditors \
     MASK (ssn WITH 'replace-with-null', born WITH 'truncate-to-year') FOR PURPOSE 'audit', 'fraud'",
    "GRANT SELECT (born) ON TABLE crm.people.person TO USER analyst FOR PURPOSE 'marketing' FROM '2200-01-01'",
    "GRANT SELECT (id, ssn) ON TABLE crm.people.person TO USER clerk FOR PURPOSE 'fraud' UNTIL '2020-01-01'",
];

/// Name and groups. The owners own, and hold no right to read.
const PEOPLE: [(&str, &[&str]); 6] = [
    ("admin", &[]),
    ("analyst", &["analysts"]),
    ("auditor", &["auditors", "analysts"]),
    ("clerk", &["clerks"]),
    ("outsider", &[]),
    ("owner", &["sales-owners", "crm-owners"]),
];
const PURPOSES: [Option<&str>; 5] = [
    None,
    Some("audit"),
    Some("fraud"),
    Some("marketing"),
    Some("Fraud"),
];
const TIMES: [&str; 3] = ["2019-06-01", "2025-06-01", "2201-06-01"];
/// Like now, as far as the grants go.
const NOW: &str = TIMES[1];

fn products() -> [Published<'static>; 3] {
    [SALES, CRM, OPEN]
}

/// The tables with their columns.
fn tables() -> BTreeMap<String, Vec<&'static str>> {
    let products = products().into_iter();
    let tables = products.flat_map(|product| {
        product.tables.iter().map(move |(table, columns, _)| {
            let name = format!("{}.{}.{table}", product.domain, product.product);
            (name, columns.iter().map(|(column, ..)| *column).collect())
        })
    });
    tables.collect()
}

/// The grants as a node keeps them.
fn grants() -> Vec<Grant> {
    let mut grants = Vec::new();
    for (number, sql) in GRANTS.iter().enumerate() {
        let grant = match weft_sql::parse(sql, &weft_sql::Caps::default()) {
            Ok(weft_sql::Statement::Govern(statement)) => match *statement {
                Govern::Grant(grant) => grant,
                other => panic!("{other}"),
            },
            other => panic!("{sql}: {other:?}"),
        };
        for name in tables().keys() {
            let table = reference(name);
            let covered = match &grant.on {
                Object::Product(product) => table.product() == product,
                Object::Table(one) => table == *one,
            };
            if covered {
                grants.push(grant.on_table(format!("g{number}"), table));
            }
        }
    }
    grants
}

fn reference(name: &str) -> TableRef {
    let parts: Vec<&str> = name.split('.').collect();
    let domain = parts[0].parse().expect("a domain");
    let product = ProductRef::new(domain, parts[1]).expect("a name");
    product.table(parts[2]).expect("a name")
}

fn principal(name: &str) -> Principal {
    let (_, groups) = PEOPLE
        .iter()
        .find(|(known, _)| *known == name)
        .expect("known");
    Principal {
        issuer: "test".to_owned(),
        subject: name.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        attributes: BTreeMap::new(),
    }
}

/// What somebody sees of columns read together: `-` nothing, `all` or `some` of the rows, `mask` for
/// cells behind masks.
fn seen(decision: Decision) -> String {
    match decision {
        Decision::Deny(_) => "-".to_owned(),
        Decision::Allow(Obligations {
            row_filter, masks, ..
        }) => {
            let rows = if row_filter.is_some() { "some" } else { "all" };
            let mask = if masks.is_empty() { "" } else { ",mask" };
            format!("{rows}{mask}")
        }
    }
}

fn decided(
    grants: &[Grant],
    who: &str,
    purpose: Option<&str>,
    time: &str,
    table: &str,
    columns: &[&str],
) -> String {
    let principal = principal(who);
    let at: Timestamp = time.parse().expect("a time");
    let asker = Asker {
        principal: &principal,
        purpose,
        at,
    };
    let columns: BTreeSet<String> = columns.iter().map(|it| (*it).to_owned()).collect();
    let table = reference(table);
    seen(evaluate(grants, &asker, &TableAccess { table, columns }))
}

/// The matrix: for each table a line for each principal, purpose and time, with each column alone and
/// all of them together.
fn matrix() -> String {
    let grants = grants();
    let mut text = String::from(
        "# Who sees what. `-` nothing; `all` or `some` of the rows; `mask` cells behind a mask.\n\
         # Each column read alone, and last all columns read together.\n",
    );
    for sql in GRANTS {
        writeln!(text, "# {sql}").expect("a text");
    }
    for (table, columns) in tables() {
        write!(
            text,
            "\n{table}\n{:<10}{:<11}{:<12}",
            "principal", "purpose", "time"
        )
        .expect("a text");
        for column in columns.iter().chain(&["*"]) {
            write!(text, "{column:<11}").expect("a text");
        }
        text.push('\n');
        for (who, _) in PEOPLE {
            for purpose in PURPOSES {
                for time in TIMES {
                    let shown = purpose.unwrap_or("(none)");
                    write!(text, "{who:<10}{shown:<11}{time:<12}").expect("a text");
                    for column in &columns {
                        let seen = decided(&grants, who, purpose, time, &table, &[column]);
                        write!(text, "{seen:<11}").expect("a text");
                    }
                    let all = decided(&grants, who, purpose, time, &table, &columns);
                    writeln!(text, "{all}").expect("a text");
                }
            }
        }
    }
    let lines = text.lines().map(str::trim_end);
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn who_may_see_what_is_as_it_was_reviewed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/access_matrix.txt");
    let found = matrix();
    if std::env::var_os("WEFT_ACCEPT").is_some() {
        std::fs::write(&path, &found).expect("written");
    }
    let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
    let mut changes = String::new();
    let mut lines = found
        .lines()
        .zip(reviewed.lines().chain(std::iter::repeat("(no line)")));
    for (found, reviewed) in lines.by_ref().filter(|(found, reviewed)| found != reviewed) {
        writeln!(changes, "was {reviewed}\nis  {found}").expect("a text");
    }
    assert!(
        found == reviewed,
        "rights are not what they were:\n{changes}\nIf that is meant, review tests/data/access_matrix.txt after \
         WEFT_ACCEPT=1 cargo test --test it who_may_see_what"
    );
}

/// What the matrix says of now is what everybody is told, column by column, at both doors.
#[test]
fn a_mesh_shows_what_the_matrix_says() {
    run(async {
        let mut options = MeshOptions::empty();
        options.users = PEOPLE
            .iter()
            .map(|(name, groups)| {
                let groups = groups.iter().map(|group| (*group).to_owned());
                ((*name).to_owned(), groups.collect())
            })
            .collect();
        let mesh = Mesh::publish_with(options, &products(), Vec::new()).await;
        for domain in ["sales", "crm"] {
            let mut owner = mesh.sign_in_at(domain, "owner").await;
            for sql in GRANTS
                .iter()
                .filter(|sql| sql.contains(&format!(" {domain}.")))
            {
                owner.query(sql).await.expect("given");
            }
            let epoch = mesh.node(domain).epoch();
            mesh.wait_for(domain, |entry| entry.epoch >= epoch).await;
        }
        let grants = grants();
        let mut wrong = Vec::new();
        let mut seen = BTreeSet::new();
        for (who, _) in PEOPLE {
            let mut doors = vec![
                ("", mesh.sign_in(who).await),
                ("sales", mesh.sign_in_at("sales", who).await),
                ("crm", mesh.sign_in_at("crm", who).await),
            ];
            for purpose in PURPOSES {
                for (_, client) in &mut doors {
                    let said = purpose.unwrap_or_default();
                    let set = client.query(&format!("SET weft.purpose = '{said}'")).await;
                    set.expect("a purpose, or none");
                }
                for (table, columns) in tables() {
                    let all = columns.join(", ");
                    let reads = columns.iter().map(|it| vec![*it]).chain([columns.clone()]);
                    for columns in reads {
                        let expected = decided(&grants, who, purpose, NOW, &table, &columns);
                        seen.insert(expected.clone());
                        for (door, client) in &mut doors {
                            if !door.is_empty() && !table.starts_with(&format!("{door}.")) {
                                continue;
                            }
                            let allowed = reads_anything(client, &table, &columns).await;
                            if allowed != (expected != "-") {
                                wrong.push(format!(
                                    "{who} for {purpose:?} at `{door}`: {columns:?} of {all} of {table}: {expected}, and read: {allowed}"
                                ));
                            }
                        }
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
        assert!(seen.len() >= 4, "every sort of right was tried: {seen:?}");
    });
}

async fn reads_anything(client: &mut Client, table: &str, columns: &[&str]) -> bool {
    let sql = format!("SELECT {} FROM {table}", columns.join(", "));
    client.query(&sql).await.is_ok()
}
