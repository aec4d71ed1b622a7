//! Two meshes that differ only in rows and cells that nobody in them may see, and people with grants
//! made by chance who ask queries made by chance. Whatever they are told must be the same in both
//! meshes: rows, errors, explanations, counters, statistics, metadata. And it must be what one process
//! answers over a copy of the tables that holds no more than the grants show.
//!
//! How long an answer takes is not compared.
//!
//! ```text
//! cargo test --test it noninterference                 500 pairs of grants and queries, always the same
//! WEFT_HIDDEN_PAIRS=10000 WEFT_HIDDEN_SEED=7 …         any number of others
//! WEFT_HIDDEN_FROM=3 …                                begins with the fourth world
//! WEFT_HIDDEN_ONLY=3:41 …                              the pair 41 of the fourth world again
//! WEFT_HIDDEN_PRINT=1 …                                prints every query, with `--nocapture`
//! ```

mod asker;
mod copy;
mod filter;
mod outcome;
mod place;
mod queries;
mod rights;
mod twins;

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::sync::Arc;

use place::Place;

/// People of one world.
const PEOPLE: usize = 10;
const DOMAINS: [&str; 3] = ["north", "east", "south"];

/// What to compare.
#[derive(Debug, Clone)]
pub struct HiddenPairs {
    /// How many pairs of a grant and a query.
    pub pairs: usize,
    /// How many of them over one world.
    pub per_world: usize,
    /// Determines everything.
    pub seed: u64,
    /// The first world.
    pub from: u64,
    /// Only this pair of this world.
    pub only: Option<(u64, usize)>,
    /// Whether to explain every query in every way, not each in one.
    pub thorough: bool,
    /// Whether to print every query.
    pub print: bool,
    /// Whether the people are granted everything, to see that it shows.
    pub wide: bool,
}

impl HiddenPairs {
    /// `pairs` of `seed`, unless the environment says otherwise.
    pub fn from_env(pairs: usize, seed: u64) -> Self {
        let number = |variable: &str| -> Option<u64> {
            let value = env::var(variable).ok()?;
            Some(value.parse().expect(variable))
        };
        let only = env::var("WEFT_HIDDEN_ONLY").ok().map(|only| {
            let (world, pair) = only.split_once(':').expect("WEFT_HIDDEN_ONLY=WORLD:PAIR");
            let world = world.parse().expect("WEFT_HIDDEN_ONLY=WORLD:PAIR");
            (world, pair.parse().expect("WEFT_HIDDEN_ONLY=WORLD:PAIR"))
        });
        let pairs = number("WEFT_HIDDEN_PAIRS").map_or(pairs, |pairs| pairs as usize);
        Self {
            pairs,
            // Two meshes take seconds to start and to know their tables.
            per_world: (pairs / 2).clamp(PEOPLE, 250),
            seed: number("WEFT_HIDDEN_SEED").unwrap_or(seed),
            from: number("WEFT_HIDDEN_FROM").unwrap_or_default(),
            thorough: pairs > 1_000 || only.is_some(),
            only,
            print: number("WEFT_HIDDEN_PRINT").is_some(),
            wide: false,
        }
    }

    /// `pairs` of `seed` by people who may see everything.
    pub fn granted_everything(pairs: usize, seed: u64) -> Self {
        Self {
            pairs,
            per_world: pairs,
            seed,
            from: 0,
            only: None,
            thorough: false,
            print: false,
            wide: true,
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct HiddenCompared {
    /// Pairs.
    pub pairs: usize,
    /// Those of them with rows.
    pub with_rows: usize,
    /// Those that were refused or failed, by code.
    pub failed: BTreeMap<String, usize>,
    /// Everything about each pair of which both meshes say now one, now another of the same things.
    pub unsteady: Vec<String>,
    /// Everything about each pair of which both meshes say something else.
    pub leaks: Vec<String>,
    /// Pairs that were answered over a copy too.
    pub copied: usize,
    /// Everything about each pair that is answered otherwise over the copy.
    pub wrong: Vec<String>,
}

impl fmt::Display for HiddenCompared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} pairs, {} with rows, {} unsteady, {} told apart; {} answered over a copy, {} otherwise",
            self.pairs,
            self.with_rows,
            self.unsteady.len(),
            self.leaks.len(),
            self.copied,
            self.wrong.len()
        )?;
        for (code, count) in &self.failed {
            writeln!(f, "{count:6} {code}")?;
        }
        let apart = self.leaks.iter().chain(&self.wrong).take(20);
        for report in apart.chain(self.unsteady.iter().take(3)) {
            writeln!(f, "{report}")?;
        }
        Ok(())
    }
}

/// Compares as many pairs as `asked`.
pub async fn compare_hidden_pairs(asked: &HiddenPairs) -> HiddenCompared {
    let mut compared = HiddenCompared::default();
    let mut world = asked.only.map_or(asked.from, |(world, _)| world);
    while compared.pairs < asked.pairs {
        let wanted = asked.per_world.min(asked.pairs - compared.pairs);
        let place = Place::new(asked, world).await;
        let of_world = Arc::new(place).compare(wanted).await;
        if asked.pairs > 1_000 {
            let apart = of_world.leaks.iter().chain(&of_world.wrong);
            apart.for_each(|report| println!("{report}"));
        }
        compared.add(of_world);
        world += 1;
        if asked.only.is_some() {
            break;
        }
        if asked.pairs > 1_000 {
            println!(
                "after {world} worlds: {} pairs, {} told apart, {} wrong",
                compared.pairs,
                compared.leaks.len(),
                compared.wrong.len()
            );
        }
    }
    compared
}

impl HiddenCompared {
    fn add(&mut self, other: Self) {
        let Self {
            pairs,
            with_rows,
            failed,
            unsteady,
            leaks,
            copied,
            wrong,
        } = other;
        self.pairs += pairs;
        self.with_rows += with_rows;
        for (code, count) in failed {
            *self.failed.entry(code).or_default() += count;
        }
        self.unsteady.extend(unsteady);
        self.leaks.extend(leaks);
        self.copied += copied;
        self.wrong.extend(wrong);
    }
}
