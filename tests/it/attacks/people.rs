//! Whom and what the attacks are about, and how those in SQL are judged.

use harness::{
    Client, Column, Failure, Mesh, MeshOptions, Published, Rows, grant, grant_table, run,
};
use weft_node::GrantSettings;

/// People of one country and others. Only of the others does a number fail to be one, a day to be one,
/// and a score to divide.
pub(super) const PEOPLE: Published<'static> = Published {
    domain: "crm",
    product: "people",
    tables: &[(
        "person",
        PERSON,
        "1,DE,111-22-3333,1990-05-06,50000,5,12,2020-01-01,private one\n\
         2,DE,222-33-4444,1991-07-08,60000,7,34,2020-02-01,private two\n\
         3,FR,SECRET-9999,1992-09-10,70000,0,SECRET-CODE,never,private three\n\
         4,FR,444-55-6666,,80000,0,x9,never,private four\n\
         5,,555-66-7777,1960-01-02,90000,0,notanumber,never,private five",
    )],
};

pub(super) const PERSON: &[Column<'static>] = &[
    ("id", "integer", "bigint"),
    ("country", "string", "varchar"),
    ("ssn", "string", "varchar"),
    ("born", "date", "date"),
    ("salary", "integer", "bigint"),
    ("score", "integer", "bigint"),
    ("code", "string", "varchar"),
    ("day", "string", "varchar"),
    ("note", "string", "varchar"),
];

/// Another domain, whose tables hold guesses.
pub(super) const ORDERS: Published<'static> = Published {
    domain: "sales",
    product: "orders",
    tables: &[
        (
            "guess",
            &[
                ("ssn", "string", "varchar"),
                ("buyer", "integer", "bigint"),
                ("salary", "integer", "bigint"),
            ],
            "111-22-3333,1,50000\nSECRET-9999,3,70000\nXXXXXXX3333,1,1",
        ),
        ("closed", &[("id", "integer", "bigint")], "1\n2\n3"),
    ],
};

/// What nobody but the admin may be told, in whatever form.
const SECRETS: [&str; 16] = [
    "SECRET",
    "x9",
    "notanumber",
    "never",
    "private",
    "111-22",
    "222-33",
    "444-55",
    "555-66",
    "50000",
    "60000",
    "70000",
    "80000",
    "90000",
    "1990-05",
    "1992-09",
];

/// `analyst` sees the rows of one country, no notes, and ends of numbers; `admin` sees all.
pub(super) async fn mesh() -> Mesh {
    Mesh::publish_with(options(), &[PEOPLE, ORDERS], grants()).await
}

pub(super) fn options() -> MeshOptions {
    let mut options = MeshOptions::empty();
    for domain in ["crm", "sales"] {
        let groups = vec![format!("{domain}-owners")];
        options.users.push((format!("{domain}_owner"), groups));
    }
    options
}

pub(super) fn grants() -> Vec<(&'static str, GrantSettings)> {
    let masks = [
        ("ssn", "show-last-4"),
        ("born", "truncate-to-year"),
        ("salary", "replace-with-null"),
    ];
    let columns = [
        "id", "country", "ssn", "born", "salary", "score", "code", "day",
    ];
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
    vec![
        ("crm", narrow),
        ("crm", grant("admin", "people")),
        (
            "sales",
            grant_table("analyst", "orders", "guess", None, &[]),
        ),
        ("sales", grant("admin", "orders")),
    ]
}

/// An attack in SQL by `analyst`. `$P` stands for the table of people, `$G` for that of guesses.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    pub(super) told: Told,
    pub(super) control: Control,
}

/// One that yields `rows` to the analyst, and those of `control` to who may see all.
pub(super) const fn attack(
    name: &'static str,
    sql: &'static str,
    rows: &'static [&'static str],
    control: &'static [&'static str],
) -> Attack {
    Attack {
        name,
        sql,
        told: Told::Rows(rows),
        control: Control::Rows(control),
    }
}

/// What the analyst has to be told.
pub(super) enum Told {
    /// These rows, cells apart by spaces.
    Rows(&'static [&'static str]),
    /// Nothing but an error of this code.
    Refused(&'static str),
    /// Rows that hold none of the secrets, nor these.
    Without(&'static [&'static str]),
}

/// What the same query says to the admin.
pub(super) enum Control {
    /// These rows.
    Rows(&'static [&'static str]),
    /// Something in which this stands.
    Tells(&'static str),
    /// It fails on rows that the analyst does not see.
    Fails,
}

/// Runs all of `attacks` and fails with the names of those that came through.
pub(super) fn withstand(attacks: &[Attack]) {
    withstand_in(mesh(), attacks);
}

/// The same in another mesh.
pub(super) fn withstand_in(mesh: impl Future<Output = Mesh>, attacks: &[Attack]) {
    run(async {
        let mesh = mesh.await;
        let mut through = Vec::new();
        let mut far = mesh.sign_in("analyst").await;
        let mut near = mesh.sign_in_at("crm", "analyst").await;
        let mut admin = mesh.sign_in("admin").await;
        for user in [&mut far, &mut admin] {
            user.query("SHOW STATS FOR crm.people.person")
                .await
                .expect("granted");
        }
        mesh.wait_for_statistics("crm").await;
        for attack in attacks {
            let sql = attack.sql();
            let mut doors = vec![("the coordinator", &mut far)];
            if attack.fits_the_node() {
                doors.push(("the node", &mut near));
            }
            for (door, client) in doors {
                if let Err(told) = attack.told.judge(client.query(&sql).await) {
                    through.push(format!("{} by {door}: {told}", attack.name));
                }
            }
            if let Err(told) = attack.control.judge(&mut admin, &sql).await {
                through.push(format!("{}: the control: {told}", attack.name));
            }
        }
        assert!(through.is_empty(), "\n{}", through.join("\n"));
    });
}

impl Attack {
    /// The same, whose control fails.
    pub(super) fn failing(self) -> Self {
        Self {
            control: Control::Fails,
            ..self
        }
    }

    fn sql(&self) -> String {
        self.sql
            .replace("$P", "crm.people.person")
            .replace("$G", "sales.orders.guess")
    }

    /// What the node of one domain answers by itself.
    fn fits_the_node(&self) -> bool {
        let foreign = ["$G", "EXPLAIN", "SHOW", "system.", "sales."];
        foreign.iter().all(|it| !self.sql.contains(it))
    }
}

impl Told {
    fn judge(&self, answer: Result<Rows, Failure>) -> Result<(), String> {
        let told = told(&answer);
        if let Some(secret) = secret_in(&told) {
            return Err(format!("`{secret}` is told: {told}"));
        }
        match (self, answer) {
            (Self::Rows(expected), Ok(rows)) if lines(&rows) == *expected => Ok(()),
            (Self::Refused(code), Err(error)) if error.code() == *code => Ok(()),
            (Self::Without(words), Ok(rows)) if !words.iter().any(|it| tells(&rows, it)) => Ok(()),
            _ => Err(told),
        }
    }
}

impl Control {
    async fn judge(&self, admin: &mut Client, sql: &str) -> Result<(), String> {
        let answer = admin.query(sql).await;
        match (self, &answer) {
            (Self::Rows(expected), Ok(rows)) if lines(rows) == *expected => Ok(()),
            (Self::Tells(word), Ok(rows)) if tells(rows, word) => Ok(()),
            (Self::Fails, Err(_)) => Ok(()),
            _ => Err(told(&answer)),
        }
    }
}

/// Whether a cell is `word`, or has it in a text.
fn tells(rows: &Rows, word: &str) -> bool {
    let number = word.parse::<u64>().is_ok();
    let mut cells = rows.rows().iter().flatten();
    cells.any(|cell| cell == word || !number && cell.contains(word))
}

/// All that an answer tells.
fn told(answer: &Result<Rows, Failure>) -> String {
    match answer {
        Ok(rows) => format!("{} {rows}", rows.columns().join(" ")),
        Err(error) => format!("{} {error} {:?}", error.code(), error.hint()),
    }
}

pub(super) fn lines(rows: &Rows) -> Vec<String> {
    rows.rows().iter().map(|row| row.join(" ")).collect()
}

/// Attacks that are more than a statement, each with its name.
#[derive(Default)]
pub(super) struct Cases {
    through: Vec<String>,
    /// How many there were.
    pub(super) count: usize,
}

impl Cases {
    /// It has to be refused with one of `codes`.
    pub(super) fn refused(&mut self, name: &str, codes: &[&str], answer: Result<Rows, Failure>) {
        self.count += 1;
        match &answer {
            Err(error) if codes.contains(&error.code()) && !holds_secret(&answer) => {}
            _ => self.through.push(format!("{name}: {}", told(&answer))),
        }
    }

    /// It has to be told just these rows, in whatever order.
    pub(super) fn tells(&mut self, name: &str, rows: &[&str], answer: Result<Rows, Failure>) {
        self.count += 1;
        let mut found = answer.as_ref().map(lines).unwrap_or_default();
        found.sort();
        if answer.is_err() || found != rows {
            self.through.push(format!("{name}: {}", told(&answer)));
        }
    }

    /// Fails with the names of those that came through.
    pub(super) fn withstood(self) {
        assert!(self.through.is_empty(), "\n{}", self.through.join("\n"));
    }
}

fn holds_secret(answer: &Result<Rows, Failure>) -> bool {
    secret_in(&told(answer)).is_some()
}

/// A secret that is told, and is no part of another number.
fn secret_in(told: &str) -> Option<&'static str> {
    let stands_alone = |at: usize, secret: &str| {
        let other = |letter: char| !letter.is_ascii_digit() && letter != '.';
        told[..at].chars().next_back().is_none_or(other)
            && told[at + secret.len()..].chars().next().is_none_or(other)
    };
    SECRETS.into_iter().find(|secret| {
        let mut found = told.match_indices(secret);
        found.any(|(at, _)| stands_alone(at, secret))
    })
}
