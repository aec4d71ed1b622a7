//! Two meshes over twin worlds, and the people who ask both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use datafusion::prelude::SessionContext;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::asker::Asker;
use super::copy::{Copied, is_answer_of};
use super::outcome::{differences, failure_code};
use super::queries::Attempt;
use super::rights::Rights;
use super::twins::Twins;
use super::{DOMAINS, HiddenCompared, HiddenPairs, PEOPLE};
use crate::mesh::{Mesh, MeshOptions};
use crate::oracle::single_process;
use crate::random::dice::Dice;
use crate::random::world::World;

/// People who ask at a time.
const WORKERS: usize = 3;
/// How often is asked where two answers differ: what crosses before a query ends early, and with that
/// what EXPLAIN ANALYZE counts, depends on which of its parts is the first to end. Both meshes then say
/// one of the same few things.
const TRIES: usize = 40;
/// As long as an end that nobody waits for may take until it is in a log.
const ALL_IS_WRITTEN: Duration = Duration::from_millis(300);

/// Two meshes over twin worlds.
pub(super) struct Place {
    asked: HiddenPairs,
    number: u64,
    seed: u64,
    twins: Twins,
    people: Vec<Rights>,
    meshes: [Mesh; 2],
    /// The next person to ask.
    next: AtomicUsize,
    compared: Mutex<HiddenCompared>,
    folder: tempfile::TempDir,
}

impl Place {
    pub(super) async fn new(asked: &HiddenPairs, number: u64) -> Self {
        let seed = asked.seed.wrapping_add(number.wrapping_mul(1_000_003));
        let twins = Twins::of(seed);
        let people: Vec<Rights> = (0..PEOPLE).map(|it| Rights::of(seed, it, &twins)).collect();
        let folder = tempfile::tempdir().expect("folder");
        let start = async |which: usize| {
            let data = folder.path().join(format!("world-{which}"));
            let domains = twins.write(which, &data).into_iter();
            let domains = domains.map(|(domain, data)| (domain.to_owned(), data, Vec::new()));
            let mesh = Mesh::start(MeshOptions {
                domains: domains.collect(),
                ..options(&people)
            })
            .await;
            for domain in DOMAINS {
                let problems = mesh.node(domain).problems();
                assert!(problems.is_empty(), "{problems:?}");
            }
            give(&mesh, &people, &twins, asked.wide).await;
            mesh
        };
        let (one, other) = tokio::join!(start(0), start(1));
        Self {
            asked: asked.clone(),
            number,
            seed,
            twins,
            people,
            meshes: [one, other],
            next: AtomicUsize::new(0),
            compared: Mutex::default(),
            folder,
        }
    }

    pub(super) async fn compare(self: Arc<Self>, wanted: usize) -> HiddenCompared {
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            let place = Arc::clone(&self);
            workers.spawn(async move {
                loop {
                    let person = place.next.fetch_add(1, Ordering::Relaxed);
                    if person >= PEOPLE {
                        return;
                    }
                    place.ask_all(person, wanted).await;
                }
            });
        }
        while let Some(worker) = workers.join_next().await {
            worker.expect("a worker ends well");
        }
        std::mem::take(&mut *self.compared.lock().await)
    }

    /// The pairs of one person: every tenth.
    async fn ask_all(&self, person: usize, wanted: usize) {
        let mut pairs: Vec<usize> = (0..wanted).filter(|it| it % PEOPLE == person).collect();
        if let Some((_, only)) = self.asked.only {
            pairs.retain(|pair| *pair == only);
            if only % PEOPLE == person && pairs.is_empty() {
                pairs.push(only);
            }
        }
        if pairs.is_empty() {
            return;
        }
        let rights = &self.people[person];
        let seen = rights.seen(&self.twins);
        let mut dice = Dice::of_part(self.seed, (1 << 42) + person as u64);
        let near = *dice.pick(&DOMAINS);
        let (mut one, mut other) = tokio::join!(
            Asker::new(&self.meshes[0], rights, near, self.asked.thorough),
            Asker::new(&self.meshes[1], rights, near, self.asked.thorough)
        );
        if dice.chance(50) {
            // Where costs do not decide, more keys and rows go from domain to domain.
            one.set("weft.optimizer.weigh = off").await;
            other.set("weft.optimizer.weigh = off").await;
        }
        if !self.asked.wide {
            self.surroundings(person, &seen, &mut one, &mut other).await;
        }
        let copy = match rights.are_plain() && !self.asked.wide {
            true => Some(self.copy(person, &seen).await),
            false => None,
        };
        for pair in pairs {
            let dice = Dice::of_part(self.seed, pair as u64);
            let attempt = match rights.show_groups() {
                true => Attempt::over_groups(dice, &seen),
                false => Attempt::of(dice, &seen),
            };
            self.ask(pair, person, &attempt, &mut one, &mut other, copy.as_ref())
                .await;
        }
    }

    /// One process over what a person sees, and nothing else.
    async fn copy(&self, person: usize, seen: &World) -> SessionContext {
        let folder = self.folder.path().join(format!("copy-{person}"));
        let domains = seen.write(&folder);
        let domains: Vec<_> = domains
            .iter()
            .map(|(domain, data)| (*domain, data.as_path()))
            .collect();
        single_process(&domains).await
    }

    async fn ask(
        &self,
        pair: usize,
        person: usize,
        attempt: &Attempt,
        one: &mut Asker,
        other: &mut Asker,
        copy: Option<&SessionContext>,
    ) {
        let at_once = Duration::ZERO;
        let (left, right) = tokio::join!(one.told(attempt, at_once), other.told(attempt, at_once));
        let mut unsteady = BTreeMap::new();
        let mut apart = BTreeMap::new();
        for aspect in differences(&left, &right) {
            let mut seen = [&left, &right].map(|told| BTreeSet::from([told[aspect].clone()]));
            // Who sees everything is told other things for good reason.
            let tries = if self.asked.wide { 1 } else { TRIES };
            for _ in 1..tries {
                if !seen[0].is_disjoint(&seen[1]) {
                    break;
                }
                let (left, right) = tokio::join!(
                    one.told(attempt, ALL_IS_WRITTEN),
                    other.told(attempt, ALL_IS_WRITTEN)
                );
                seen[0].insert(left[aspect].clone());
                seen[1].insert(right[aspect].clone());
            }
            let reported = match seen[0].is_disjoint(&seen[1]) {
                true => &mut apart,
                false => &mut unsteady,
            };
            reported.insert(aspect, seen);
        }
        let report = |told: BTreeMap<&str, [BTreeSet<String>; 2]>| {
            let mut report = self.head(person, Some(pair), &attempt.sql);
            for (aspect, [left, right]) in told {
                report.push_str(&format!(
                    "-- {aspect} of the first:\n{}\n-- {aspect} of the second:\n{}\n",
                    left.into_iter().collect::<Vec<_>>().join("\n-- or:\n"),
                    right.into_iter().collect::<Vec<_>>().join("\n-- or:\n")
                ));
            }
            report
        };
        let mut compared = self.compared.lock().await;
        compared.pairs += 1;
        let told = &left["answer"];
        if self.asked.print {
            let start = told.lines().nth(usize::from(failure_code(told).is_none()));
            println!("{}:{pair} {}\n   {start:?}", self.number, attempt.sql);
        }
        match failure_code(told) {
            Some(code) => *compared.failed.entry(code.to_owned()).or_default() += 1,
            None => compared.with_rows += usize::from(told.lines().count() > 1),
        }
        if !unsteady.is_empty() {
            compared.unsteady.push(report(unsteady));
        }
        if !apart.is_empty() {
            compared.leaks.push(report(apart));
        }
        drop(compared);
        // The same is asked of random queries elsewhere.
        let Some(copy) = copy.filter(|_| !pair.is_multiple_of(3) || self.asked.thorough) else {
            return;
        };
        let verdict = is_answer_of(copy, attempt, told).await;
        let mut compared = self.compared.lock().await;
        match verdict {
            Copied::Same => compared.copied += 1,
            Copied::Unknown => {}
            Copied::Other(copied) => {
                let head = self.head(person, Some(pair), &attempt.sql);
                let report = format!("{head}-- the mesh:\n{told}\n-- the copy:\n{copied}\n");
                compared.wrong.push(report);
            }
        }
    }

    /// What a person is told that belongs to no query.
    async fn surroundings(&self, person: usize, seen: &World, one: &mut Asker, other: &mut Asker) {
        let (mut left, mut right) = tokio::join!(one.surroundings(seen), other.surroundings(seen));
        for _ in 0..3 {
            if differences(&left, &right).is_empty() {
                return;
            }
            // On a busy machine a node can seem to be gone for a moment.
            for mesh in &self.meshes {
                mesh.wait_for_all().await;
            }
            (left, right) = tokio::join!(one.surroundings(seen), other.surroundings(seen));
        }
        let mut compared = self.compared.lock().await;
        for aspect in differences(&left, &right) {
            let head = self.head(person, None, aspect);
            let (left, right) = (&left[aspect], &right[aspect]);
            let report = format!("{head}-- the first:\n{left}\n-- the second:\n{right}\n");
            compared.leaks.push(report);
        }
    }

    /// All that is needed to see it again.
    fn head(&self, person: usize, pair: Option<usize>, what: &str) -> String {
        let rights = &self.people[person];
        let given = match self.asked.wide {
            true => rights.wide_statements(&self.twins),
            false => rights.statements(&self.twins),
        };
        let given: Vec<String> = given.into_iter().map(|(_, sql)| sql + ";\n").collect();
        format!(
            "\n== WEFT_HIDDEN_SEED={} WEFT_HIDDEN_ONLY={}:{}\n{}-- zone: {:?}\n{what};\n",
            self.asked.seed,
            self.number,
            pair.unwrap_or(person),
            given.concat(),
            rights.zone
        )
    }
}

fn options(people: &[Rights]) -> MeshOptions {
    let mut options = MeshOptions::empty();
    let groups = DOMAINS.map(|domain| format!("{domain}-owners"));
    options.users = vec![("owner".to_owned(), groups.to_vec())];
    for rights in people {
        options.users.push((rights.user.clone(), Vec::new()));
        if let Some(zone) = rights.zone {
            let attributes = [("zone".to_owned(), zone.to_owned())].into();
            options.attributes.insert(rights.user.clone(), attributes);
        }
    }
    options
}

/// Has the owners give all rights, and waits until everybody knows them and what follows from them.
async fn give(mesh: &Mesh, people: &[Rights], twins: &Twins, wide: bool) {
    for domain in DOMAINS {
        let mut owner = mesh.sign_in_at(domain, "owner").await;
        for rights in people {
            let statements = match wide {
                true => rights.wide_statements(twins),
                false => rights.statements(twins),
            };
            for (_, sql) in statements.into_iter().filter(|(of, _)| *of == domain) {
                if let Err(error) = owner.query(&sql).await {
                    panic!("{sql}: {error}");
                }
            }
        }
        let epoch = mesh.node(domain).epoch();
        mesh.wait_for(domain, |entry| entry.epoch >= epoch).await;
    }
    for rights in people {
        let mut client = mesh.sign_in(&rights.user).await;
        client.query("SHOW TABLES").await.expect("tables");
    }
    for domain in DOMAINS {
        mesh.wait_for_statistics(domain).await;
    }
}
