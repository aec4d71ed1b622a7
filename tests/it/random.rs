//! Queries made by chance: a mesh answers like one process.

use harness::{RandomQueries, compare_random_queries, run};

/// Every run asks the same; the environment can ask for others, see `harness::random`.
const SEED: u64 = 20_260_601;
const QUERIES: usize = 500;

#[test]
fn random_queries_over_three_domains_equal_one_process() {
    run(async {
        let asked = RandomQueries::from_env(QUERIES, SEED);
        let compared = compare_random_queries(&asked).await;
        println!("{compared}");
        assert!(compared.differences.is_empty(), "{compared}");
        if asked.only.is_some() {
            return;
        }
        assert!(compared.same >= asked.queries, "{compared}");
        // Otherwise the comparison says little.
        assert!(compared.with_rows * 2 > compared.same, "{compared}");
        assert!(compared.with_keys * 4 > compared.same, "{compared}");
        assert!(compared.with_shipments * 8 > compared.same, "{compared}");
        assert!(compared.refused_share() < 15, "{compared}");
    });
}

/// Otherwise the comparison above could not fail.
#[test]
fn a_missing_row_is_noticed_and_the_query_made_small() {
    run(async {
        let compared = compare_random_queries(&RandomQueries::spoiled(SEED)).await;
        let [smallest, ..] = compared.smallest.as_slice() else {
            panic!("{compared}");
        };
        assert!(!smallest.contains("JOIN"), "{smallest}");
        assert!(!smallest.contains("WHERE"), "{smallest}");
        assert!(compared.differences[0].contains(smallest), "{compared}");
    });
}
