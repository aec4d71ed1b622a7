//! Which guesses are worth a question, and what an answer changes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{LogicalPlan, col, lit};
use weft_governance::{ProductRef, ServerId};
use weft_plan::{
    ColumnStatistics, FragmentFunctions, ProductTable, QuerySession, Selectivities, Semantics,
    TableStatistics, Tables, plan_query, session_config, table_references,
};

use super::{Question, informed, questions};
use crate::plan::{Optimizations, Site, Sites, pieces};

/// Rows of the table that is asked about.
const ROWS: u64 = 1_000_000;

/// What joins the two tables.
const JOINED: &str = "SELECT s.id, i.kind FROM north.d.sale s JOIN south.d.item i ON s.item = i.id";

/// Two domains with a table each, of which the first has a given number of rows.
struct World {
    tables: Vec<ProductTable>,
    sites: Sites,
    session: QuerySession,
}

impl World {
    fn of(rows: u64) -> Self {
        let semantics = Semantics {
            time_zone: "+00:00".to_owned(),
            query_start_ns: 0,
        };
        let mut world = Self {
            tables: Vec::new(),
            sites: Sites::new(),
            session: SessionStateBuilder::new_with_default_features()
                .with_config(session_config(&semantics, 2).expect("settings"))
                .build()
                .into(),
        };
        world.add("north", "sale", rows, &["id", "item", "price"], &["note"]);
        world.add("north", "shop", 10, &["id"], &["town"]);
        world.add("south", "item", 100, &["id"], &["kind"]);
        world
    }

    fn add(&mut self, domain: &str, name: &str, rows: u64, numbers: &[&str], texts: &[&str]) {
        let field = |name: &&str, data_type: DataType| Field::new(*name, data_type, true);
        let numbers = numbers.iter().map(|name| field(name, DataType::Int64));
        let texts = texts.iter().map(|name| field(name, DataType::Utf8));
        let schema: SchemaRef = Arc::new(Schema::new(numbers.chain(texts).collect::<Vec<_>>()));
        let column = |field: &Arc<Field>| {
            let number = |number: i64| {
                let known = field.data_type() == &DataType::Int64;
                known.then_some(ScalarValue::Int64(Some(number)))
            };
            ColumnStatistics {
                distinct: Some(1_000),
                low: number(1),
                high: number(1_000),
                ..ColumnStatistics::default()
            }
        };
        let statistics = TableStatistics {
            rows,
            columns: schema.fields().iter().map(column).collect(),
        };
        let product = ProductRef::new(domain.parse().expect("name"), "d").expect("name");
        let table = product.table(name).expect("name");
        let site = Site {
            node: ServerId::node(domain.parse().expect("name"), "n1").expect("name"),
            domain: domain.parse().expect("name"),
            functions: Arc::new(FragmentFunctions::of_this_version().names()),
        };
        self.sites.insert(table.clone(), Arc::new(site));
        let table = ProductTable::new(table, schema);
        self.tables
            .push(table.with_statistics(Some(Arc::new(statistics))));
    }

    fn plan(&self, sql: &str) -> LogicalPlan {
        let parsed = || match weft_sql::parse(sql, &weft_sql::Caps::default()) {
            Ok(weft_sql::Statement::Query(query)) => *query,
            other => panic!("{other:?}"),
        };
        let mut tables = Tables::new();
        for reference in table_references(&parsed()).expect("names") {
            let full = reference.to_string();
            let mut known = self.tables.iter();
            let table = known.find(|table| table.table().to_string() == full);
            tables.insert(reference, Arc::new(table.expect("a table").clone()));
        }
        let plan = plan_query(&self.session.state, &tables, parsed()).expect("planned");
        self.session.state.optimize(&plan).expect("optimized")
    }

    fn questions(&self, sql: &str) -> Vec<Question> {
        let steps = Optimizations::default();
        questions(&self.plan(sql), &self.sites, &steps, &self.session).expect("questions")
    }

    /// The conditions that are asked about.
    fn asked(&self, sql: &str) -> Vec<String> {
        let conditions = self.questions(sql).into_iter().flat_map(|it| it.conditions);
        conditions.map(|it| it.to_string()).collect()
    }
}

#[track_caller]
fn check(condition: &str, asked: &[&str]) {
    let sql = format!("{JOINED} WHERE {condition}");
    assert_eq!(World::of(ROWS).asked(&sql), asked, "{condition}");
}

#[test]
fn what_statistics_say_nothing_of_is_asked() {
    check("s.note LIKE '%x%'", &["note LIKE Utf8(\"%x%\")"]);
    check(
        "s.note LIKE '%x%' AND s.price > 500",
        &["note LIKE Utf8(\"%x%\")"],
    );
    check("length(s.note) = 3", &["character_length(note) = Int32(3)"]);
    check("s.price * s.item < 1000", &["price * item < Int64(1000)"]);
    check(
        "s.note LIKE '%x%' OR s.price = 3",
        &["note LIKE Utf8(\"%x%\") OR price = Int64(3)"],
    );
}

#[test]
fn what_is_known_or_seldom_far_off_is_not_asked() {
    for condition in [
        "s.price > 500",
        "s.price BETWEEN 10 AND 900",
        "s.price = 3 OR s.price > 10",
        "s.price IN (1, 2, 3)",
        "s.note <> 'x'",
        "s.note NOT LIKE '%x%'",
        "s.price < s.item",
        "s.note IS NOT NULL",
        "s.price > 1000 * random()",
        "i.kind LIKE '%x%'",
    ] {
        check(condition, &[]);
    }
}

#[test]
fn a_guess_that_decides_about_little_is_not_asked() {
    let sql = format!("{JOINED} WHERE s.note LIKE '%x%'");
    assert_eq!(
        World::of(super::LEAST_ROWS).asked(&sql),
        Vec::<String>::new()
    );
    assert_eq!(World::of(200_000).asked(&sql).len(), 1, "20,000 are left");
    assert_eq!(World::of(super::LEAST_ROWS - 1).asked(&sql).len(), 0);
    let few = format!("{sql} AND s.price = 3");
    assert_eq!(World::of(ROWS).asked(&few).len(), 0);
    assert_eq!(World::of(300 * ROWS).asked(&few).len(), 1);
}

#[test]
fn a_query_over_one_node_asks_nothing() {
    let sql = "SELECT s.id FROM north.d.sale s JOIN north.d.shop h ON s.item = h.id WHERE s.note LIKE '%x%'";
    assert_eq!(World::of(ROWS).asked(sql).len(), 0);
}

#[test]
fn only_a_few_questions_are_asked_and_none_twice() {
    let select = |pattern: &str| format!("{JOINED} WHERE s.note LIKE '{pattern}'");
    let union = |patterns: &[&str]| {
        let parts: Vec<_> = patterns.iter().map(|it| select(it)).collect();
        parts.join(" UNION ALL ")
    };
    let world = World::of(ROWS);
    assert_eq!(world.asked(&union(&["a%", "b%", "a%"])).len(), 2);
    let many = union(&["a%", "b%", "c%", "d%", "e%", "f%"]);
    assert_eq!(world.asked(&many).len(), super::MOST);
}

#[test]
fn the_node_counts_the_first_rows_of_the_table_and_reads_no_other_columns() {
    let sql = format!("{JOINED} WHERE s.note LIKE '%x%' AND length(s.note) = 3");
    let questions = World::of(10 * ROWS).questions(&sql);
    let [question] = questions.as_slice() else {
        panic!("one question: {questions:?}");
    };
    assert_eq!(question.columns(), ["note"]);
    let plan = question.fragment.plan.display_indent().to_string();
    let lines: Vec<&str> = plan.lines().map(str::trim).collect();
    assert!(lines[0].starts_with("Aggregate: groupBy=[[]]"), "{plan}");
    assert_eq!(lines[1], "Limit: skip=0, fetch=50000");
    assert_eq!(lines[2], "TableScan: north.d.sale projection=[note]");
    assert_eq!(lines.len(), 3);
    assert_eq!(question.fragment.site.domain.to_string(), "north");

    assert_eq!(question.shares(&[1_000, 250, 0]), Some(vec![0.25, 0.001]));
    assert_eq!(question.shares(&[0, 0, 0]), None);
    assert_eq!(question.shares(&[1_000, 250]), None);
    assert_eq!(question.shares(&[]), None);
}

#[test]
fn an_answer_takes_the_place_of_the_guess() {
    let world = World::of(ROWS);
    let sql = format!("{JOINED} WHERE s.note LIKE '%x%' AND s.price = 3");
    let mut selectivities = Selectivities::default();
    selectivities.insert(&col("note").like(lit("%x%")), 0.001);
    let counted = HashMap::from([(world.tables[0].table().clone(), Arc::new(selectivities))]);
    let rows = |plan: LogicalPlan| {
        let steps = Optimizations::default();
        let cut = pieces(plan, &world.sites, &steps, &world.session).expect("pieces");
        let mut fragments = cut.fragments.iter();
        let sale = fragments.find(|it| it.site.domain.to_string() == "north");
        sale.expect("a fragment").estimate.rows.round()
    };
    assert_eq!(rows(world.plan(&sql)), 100.0, "a tenth of a thousandth");
    let informed = informed(world.plan(&sql), &counted).expect("informed");
    assert_eq!(rows(informed), 1.0);
}
