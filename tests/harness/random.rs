//! Queries made by chance, answered by a mesh of three domains and by one process over the same
//! files. Both must say the same, whatever keys the domains let travel to one another.
//!
//! ```text
//! cargo test --test it random                          500 queries, the same ones every time
//! WEFT_RANDOM_QUERIES=20000 WEFT_RANDOM_SEED=7 …       any number of others
//! WEFT_RANDOM_ONLY=3:41 …                              the 42nd query of the fourth world again
//! WEFT_RANDOM_DIFFERENCES=20 …                         goes on after a difference
//! WEFT_RANDOM_PRINT=1 …                                prints every query, with `--nocapture`
//! ```
//!
//! On a difference, the query is made smaller while both still differ. What is printed then (seed,
//! tables with their rows, SQL, both answers, the mesh's plan) is all that is needed to see it again,
//! in other engines too.

pub(crate) mod dice;
pub(crate) mod generate;
mod order;
mod print;
pub(crate) mod query;
mod shrink;
pub(crate) mod verdict;
pub(crate) mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::prelude::SessionContext;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use weft_coordinator::plan::Optimization;

use crate::client::Client;
use crate::mesh::{Mesh, MeshOptions};
use crate::oracle::single_process;
use crate::world::grant;
use dice::Dice;
use generate::Generator;
use query::Query;
use verdict::{Difference, Verdict, judge};
use world::World;

/// Queries over one world at a time.
const WORKERS: usize = 4;
/// How many smaller queries are tried to find the smallest.
const TRIES: usize = 1_500;

/// What to ask.
#[derive(Debug, Clone)]
pub struct RandomQueries {
    /// How many answers are to be compared.
    pub queries: usize,
    /// How many of them over one world.
    pub per_world: usize,
    /// Determines everything.
    pub seed: u64,
    /// Only this query of this world.
    pub only: Option<(u64, u64)>,
    /// When to stop.
    pub differences: usize,
    /// Whether to print every query.
    pub print: bool,
    /// Whether to take the last row of every table from the one process, to see that it is missed.
    pub spoiled: bool,
}

impl RandomQueries {
    /// `queries` of `seed`, unless the environment says otherwise.
    pub fn from_env(queries: usize, seed: u64) -> Self {
        let queries = number("WEFT_RANDOM_QUERIES").unwrap_or(queries);
        let only = env::var("WEFT_RANDOM_ONLY").ok().map(|only| {
            let (world, query) = only.split_once(':').expect("WEFT_RANDOM_ONLY=WORLD:QUERY");
            let number = |text: &str| text.parse().expect("WEFT_RANDOM_ONLY=WORLD:QUERY");
            (number(world), number(query))
        });
        Self {
            queries,
            // A mesh takes a second to start.
            per_world: (queries / 5).clamp(20, 200),
            seed: number("WEFT_RANDOM_SEED").map_or(seed, |seed| seed as u64),
            only,
            differences: number("WEFT_RANDOM_DIFFERENCES").unwrap_or(1),
            print: number("WEFT_RANDOM_PRINT").is_some(),
            spoiled: false,
        }
    }

    /// Queries until the first difference, which there must be: the one process misses rows.
    pub fn spoiled(seed: u64) -> Self {
        Self {
            queries: 50,
            per_world: 50,
            seed,
            only: None,
            differences: 1,
            print: false,
            spoiled: true,
        }
    }
}

fn number(variable: &str) -> Option<usize> {
    let value = env::var(variable).ok()?;
    Some(value.parse().expect(variable))
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Compared {
    /// Answers that were the same.
    pub same: usize,
    /// Those of them with rows.
    pub with_rows: usize,
    /// Queries for which keys of one domain went to another.
    pub with_keys: usize,
    /// Queries for which rows of one domain went to another.
    pub with_shipments: usize,
    /// Queries that one process does not plan, by reason.
    pub refused: BTreeMap<String, usize>,
    /// Queries that one process did not finish.
    pub skipped: usize,
    /// Everything about each difference.
    pub differences: Vec<String>,
    /// The smallest query of each.
    pub smallest: Vec<String>,
}

impl Compared {
    /// How many queries in a hundred one process does not plan.
    pub fn refused_share(&self) -> usize {
        let refused: usize = self.refused.values().sum();
        100 * refused / (self.same + refused + self.skipped).max(1)
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} answers are the same, {} of them with rows, {} by way of keys, {} of shipped rows; one process refused {} % and did not finish {}; {} differ",
            self.same,
            self.with_rows,
            self.with_keys,
            self.with_shipments,
            self.refused_share(),
            self.skipped,
            self.differences.len()
        )?;
        let mut refused: Vec<_> = self.refused.iter().collect();
        refused.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in refused {
            writeln!(f, "{count:6} refused: {reason}")?;
        }
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        Ok(())
    }
}

/// Compares as many answers as `asked`.
pub async fn compare_random_queries(asked: &RandomQueries) -> Compared {
    let mut compared = Compared::default();
    let mut world = asked.only.map_or(0, |(world, _)| world);
    while compared.same < asked.queries && compared.differences.len() < asked.differences {
        let wanted = asked.per_world.min(asked.queries - compared.same);
        let place = Place::new(asked, world).await;
        compared.add(Arc::new(place).compare(wanted).await);
        world += 1;
        if asked.only.is_some() {
            break;
        }
        if asked.queries > 1_000 {
            println!(
                "after {world} worlds: {} the same, {} differ",
                compared.same,
                compared.differences.len()
            );
        }
    }
    compared
}

/// One world, in a mesh and in one process.
struct Place {
    asked: RandomQueries,
    number: u64,
    seed: u64,
    world: World,
    oracle: SessionContext,
    mesh: Mesh,
    /// The number of the next query.
    next: AtomicUsize,
    compared: Mutex<Compared>,
    _folder: tempfile::TempDir,
}

impl Place {
    async fn new(asked: &RandomQueries, number: u64) -> Self {
        let seed = asked.seed.wrapping_add(number.wrapping_mul(1_000_003));
        let world = World::of(seed);
        let folder = tempfile::tempdir().expect("folder");
        let domains = world.write(&folder.path().join("mesh"));
        let mut known = domains.clone();
        if asked.spoiled {
            known = World::of(seed)
                .spoiled()
                .write(&folder.path().join("spoiled"));
        }
        let known = known.iter();
        let known: Vec<_> = known
            .map(|(domain, data)| (*domain, data.as_path()))
            .collect();
        let oracle = single_process(&known).await;
        let domains = domains
            .into_iter()
            .map(|(domain, data)| {
                let own = World::products().filter(|(owner, _)| *owner == domain);
                let grants = own.map(|(_, product)| grant("analyst", product));
                (domain.to_owned(), data, grants.collect())
            })
            .collect();
        let mesh = Mesh::start(MeshOptions {
            domains,
            ..MeshOptions::empty()
        })
        .await;
        Self {
            asked: asked.clone(),
            number,
            seed,
            world,
            oracle,
            mesh,
            next: AtomicUsize::new(0),
            compared: Mutex::default(),
            _folder: folder,
        }
    }

    async fn compare(self: Arc<Self>, wanted: usize) -> Compared {
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            let place = Arc::clone(&self);
            workers.spawn(async move { place.work(wanted).await });
        }
        while let Some(worker) = workers.join_next().await {
            worker.expect("a worker ends well");
        }
        let mut compared = std::mem::take(&mut *self.compared.lock().await);
        compared.with_keys = self.queries_with("key%").await;
        compared.with_shipments = self.queries_with("shipped%").await;
        compared
    }

    /// Queries, of those that the coordinator remembers, for which data went to a node in a form
    /// like this.
    async fn queries_with(&self, form: &str) -> usize {
        let mut client = self.mesh.sign_in("analyst").await;
        let asked = format!(
            "SELECT count(DISTINCT query_id) AS queries FROM system.runtime.flows \
             WHERE form LIKE '{form}'"
        );
        let counted = client.query(&asked).await.expect("flows");
        counted.column("queries")[0].parse().expect("a number")
    }

    async fn work(&self, wanted: usize) {
        let mut client = self.mesh.sign_in("analyst").await;
        if let Some((_, query)) = self.asked.only {
            if self.next.fetch_add(1, Ordering::Relaxed) == 0 {
                self.ask(&mut client, query).await;
            }
            return;
        }
        loop {
            {
                let compared = self.compared.lock().await;
                let differences = compared.differences.len();
                if compared.same >= wanted || differences >= self.asked.differences {
                    return;
                }
            }
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            self.ask(&mut client, number as u64).await;
        }
    }

    async fn ask(&self, client: &mut Client, number: u64) {
        let mut dice = Dice::of_part(self.seed, number);
        let without = steps_left_out(&mut dice);
        let query = Generator::new(dice, &self.world).query();
        for step in &without {
            let off = format!("SET weft.optimizer.{} = off", step.name());
            let off = client.query(&off).await;
            off.expect("a step can be left out");
        }
        if self.asked.print {
            println!("{}:{number} {query}", self.number);
        }
        let verdict = self.verdict(client, &query).await;
        self.record(client, number, query, verdict, &without).await;
        for step in &without {
            let on = format!("SET weft.optimizer.{} = on", step.name());
            let on = client.query(&on).await;
            on.expect("a step can be taken again");
        }
    }

    async fn record(
        &self,
        client: &mut Client,
        number: u64,
        query: Query,
        verdict: Verdict,
        without: &BTreeSet<Optimization>,
    ) {
        match verdict {
            Verdict::Same(rows) => {
                let mut compared = self.compared.lock().await;
                compared.same += 1;
                compared.with_rows += usize::from(rows > 0);
            }
            Verdict::Refused(reason) => {
                if self.asked.print {
                    println!("{}:{number} refused: {reason}", self.number);
                }
                let reason: String = reason.chars().take(90).collect();
                let reason = reason.replace('\n', " ");
                *self
                    .compared
                    .lock()
                    .await
                    .refused
                    .entry(reason)
                    .or_default() += 1;
            }
            Verdict::Skipped => self.compared.lock().await.skipped += 1,
            Verdict::Different(first) => {
                // Also where looking for a smaller query takes longer than anybody waits.
                println!("{}:{number} differs: {}", self.number, first.told);
                let (smallest, difference) = self.shrink(client, &query, first).await;
                let difference = difference.told;
                let without = without.iter().map(|step| step.name());
                let without: Vec<&str> = without.collect();
                let sql = smallest.to_string();
                let plan = match client.query(&format!("EXPLAIN {sql}")).await {
                    Ok(plan) => plan.to_string(),
                    Err(error) => format!("EXPLAIN: {error}"),
                };
                let flows = match client.query(&format!("EXPLAIN FLOW {sql}")).await {
                    Ok(flows) => flows.to_string(),
                    Err(error) => format!("EXPLAIN FLOW: {error}"),
                };
                let report = format!(
                    "\n== WEFT_RANDOM_SEED={} WEFT_RANDOM_ONLY={}:{number}, steps left out: {without:?}\n{}\n-- as made:\n-- {query}\n\n{sql};\n\n{difference}\n{plan}\n{flows}",
                    self.asked.seed,
                    self.number,
                    self.world.script(&sql),
                );
                if self.asked.differences > 1 {
                    println!("{report}");
                }
                let mut compared = self.compared.lock().await;
                compared.differences.push(report);
                compared.smallest.push(sql);
            }
        }
    }

    async fn verdict(&self, client: &mut Client, query: &Query) -> Verdict {
        judge(&self.oracle, &self.mesh, client, query).await
    }

    /// The smallest query found that still differs, and how.
    async fn shrink(
        &self,
        client: &mut Client,
        query: &Query,
        first: Difference,
    ) -> (Query, Difference) {
        let mut smallest = query.clone();
        let mut difference = first;
        let mut tries = 0;
        'smaller: loop {
            for candidate in smallest.simpler() {
                tries += 1;
                if tries > TRIES {
                    break 'smaller;
                }
                if let Verdict::Different(now) = self.verdict(client, &candidate).await
                    && now.sort == difference.sort
                {
                    (smallest, difference) = (candidate, now);
                    continue 'smaller;
                }
            }
            break;
        }
        (smallest, difference)
    }
}

/// The steps of the planner that a query does without. For every other query all possible keys flow:
/// of tables this small, few are worth their way.
fn steps_left_out(dice: &mut Dice) -> BTreeSet<Optimization> {
    let mut without = BTreeSet::new();
    // Where costs do not decide, rows that can be shipped are, and few keys are left to flow.
    if dice.chance(60) {
        without.insert(Optimization::Weigh);
        if dice.chance(50) {
            without.insert(Optimization::Ship);
        }
    }
    if dice.chance(20) {
        // Of tables this small nothing is asked.
        let steps = Optimization::ALL.into_iter();
        let steps: Vec<_> = steps.filter(|step| *step != Optimization::Ask).collect();
        without.insert(*dice.pick(&steps));
    }
    without
}

impl Compared {
    fn add(&mut self, other: Self) {
        let Self {
            same,
            with_rows,
            with_keys,
            with_shipments,
            refused,
            skipped,
            differences,
            smallest,
        } = other;
        self.same += same;
        self.with_rows += with_rows;
        self.with_keys += with_keys;
        self.with_shipments += with_shipments;
        self.skipped += skipped;
        self.differences.extend(differences);
        self.smallest.extend(smallest);
        for (reason, count) in refused {
            *self.refused.entry(reason).or_default() += count;
        }
    }
}
