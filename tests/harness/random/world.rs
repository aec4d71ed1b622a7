//! Three domains with small tables: NULLs, duplicates, keys that overlap in part and differ in
//! width, columns of the same name.

mod disclosure;
mod files;
mod script;
mod value;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::dice::Dice;
use super::query::Kind;
use disclosure::Disclosures;
pub(crate) use value::{Type, Value};

/// The products and how many tables each has.
const PRODUCTS: [(&str, &str, usize); 4] = [
    ("north", "shop", 3),
    ("east", "crm", 3),
    ("south", "log", 2),
    ("south", "rates", 1),
];

/// The same few names in every table.
const COLUMNS: [(&str, &[Type]); 12] = [
    ("id", &[Type::Int, Type::Long, Type::Whole]),
    ("k", &[Type::Int, Type::Long, Type::Whole, Type::Long]),
    ("n", &[Type::Int, Type::Long]),
    ("name", &[Type::Text]),
    ("code", &[Type::Text]),
    ("note", &[Type::Text]),
    ("price", &[Type::Money, Type::Rate]),
    ("amount", &[Type::Money, Type::Rate, Type::Whole]),
    ("day", &[Type::Day]),
    ("at", &[Type::Moment]),
    ("flag", &[Type::Flag]),
    ("x", &[Type::Double]),
];

/// The products of one mesh.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) tables: Vec<Table>,
    disclosures: Disclosures,
}

/// A table with its rows.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) domain: &'static str,
    pub(crate) product: &'static str,
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// Positions of the columns of the declared key; the rows keep it.
    pub(crate) key: Vec<usize>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// How many files the rows are in, and of which format.
    files: usize,
    parquet: bool,
}

#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) of: Type,
}

impl World {
    /// The world of `seed`.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut tables = Vec::new();
        for (domain, product, count) in PRODUCTS {
            for number in 0..count {
                tables.push(Table::of(&mut dice, domain, product, number));
            }
        }
        let disclosures = Disclosures::of(seed, &tables);
        Self {
            tables,
            disclosures,
        }
    }

    /// The same without the last row of each table.
    pub(crate) fn spoiled(mut self) -> Self {
        for table in &mut self.tables {
            table.rows.pop();
        }
        self
    }

    /// The domains and products.
    pub(crate) fn products() -> impl Iterator<Item = (&'static str, &'static str)> {
        PRODUCTS
            .iter()
            .map(|(domain, product, _)| (*domain, *product))
    }

    /// Writes every product below `folder`, and says where each domain's are.
    pub(crate) fn write(&self, folder: &Path) -> Vec<(&'static str, PathBuf)> {
        let mut domains = Vec::new();
        for (domain, product) in Self::products() {
            let data = folder.join(domain);
            let tables = self.tables.iter();
            let tables = tables.filter(|table| table.domain == domain && table.product == product);
            let folder = data.join(product);
            files::write(&folder, domain, product, tables, &self.disclosures);
            if !domains.iter().any(|(known, _)| *known == domain) {
                domains.push((domain, data));
            }
        }
        domains
    }

    /// The tables that `sql` names, as statements that other engines understand too.
    pub(crate) fn script(&self, sql: &str) -> String {
        let named = self.tables.iter();
        let named = named.filter(|table| sql.contains(&format!("{} ", table.full_name())));
        script::script(named, &self.disclosures)
    }
}

impl Table {
    fn of(dice: &mut Dice, domain: &'static str, product: &'static str, number: usize) -> Self {
        let mut columns = Vec::new();
        for (name, types) in COLUMNS {
            if dice.chance(if name == "id" { 90 } else { 55 }) {
                let of = *dice.pick(types);
                columns.push(Column { name, of });
            }
        }
        if columns.is_empty() {
            columns.push(Column {
                name: "id",
                of: Type::Int,
            });
        }
        if dice.chance(50) {
            dice.shuffle(&mut columns);
        }
        let count = dice.weighted(&[(2, 0), (3, 1), (40, 12), (35, 30), (20, 60)]);
        let count = match count {
            12 | 30 | 60 => count / 2 + dice.below(count / 2 + 1),
            few => few,
        };
        // The spread of the values; with one alone, everything meets everything.
        let nulls = *dice.pick(&[0, 10, 10, 25, 50]);
        let mut rows: Vec<Vec<Value>> = (0..count)
            .map(|_| {
                let columns = columns.iter();
                let values = columns.map(|column| Value::any(dice, column.of, nulls));
                values.collect()
            })
            .collect();
        let duplicates = dice.chance(40);
        for at in 1..rows.len() {
            if duplicates && dice.chance(20) {
                rows[at] = rows[at - 1].clone();
            }
        }
        let mut table = Self {
            domain,
            product,
            // The same names in every product.
            name: ["t", "u", "v"][number].to_owned(),
            columns,
            key: Vec::new(),
            rows,
            files: if dice.chance(30) { 3 } else { 1 },
            parquet: dice.chance(70),
        };
        if dice.chance(50) {
            table.declare_key(dice);
        }
        table
    }

    /// Makes one or two columns a key, and leaves only rows that keep it.
    fn declare_key(&mut self, dice: &mut Dice) {
        let fits = |of: Type| matches!(of.kind(), Kind::Int | Kind::Decimal | Kind::Text);
        let columns = self.columns.iter().enumerate();
        let fitting = columns.filter(|(_, column)| fits(column.of));
        let mut fitting: Vec<usize> = fitting.map(|(at, _)| at).collect();
        if dice.chance(50) {
            dice.shuffle(&mut fitting);
        }
        fitting.truncate(if dice.chance(60) { 1 } else { 2 });
        if let [at] = fitting[..]
            && self.columns[at].of.kind() != Kind::Text
        {
            for (number, row) in self.rows.iter_mut().enumerate() {
                row[at] = Value::Number(number as i128 * self.columns[at].of.one());
            }
        }
        let mut seen = BTreeSet::new();
        self.rows.retain(|row| {
            let key: Vec<String> = fitting.iter().map(|at| row[*at].to_string()).collect();
            let whole = fitting.iter().all(|at| row[*at] != Value::Null);
            whole && seen.insert(key)
        });
        self.key = fitting;
    }

    /// `domain.product.table`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}.{}", self.domain, self.product, self.name)
    }
}
