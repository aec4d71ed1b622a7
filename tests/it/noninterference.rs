//! What nobody may see changes nothing of what anybody is told.

use harness::{HiddenPairs, compare_hidden_pairs, run};

#[test]
fn hidden_rows_and_masked_cells_change_nothing_that_is_told() {
    run(async {
        let compared = compare_hidden_pairs(&HiddenPairs::from_env(500, 1)).await;
        println!("{compared}");
        assert!(
            compared.leaks.is_empty() && compared.wrong.is_empty(),
            "{compared}"
        );
        assert!(compared.unsteady.len() * 25 <= compared.pairs, "{compared}");
        assert!(compared.with_rows * 4 >= compared.pairs, "{compared}");
        assert!(compared.copied * 4 >= compared.pairs, "{compared}");
    });
}

/// The control: the worlds do differ, and the queries are such that it shows.
#[test]
fn the_same_queries_tell_the_worlds_apart_where_everything_is_granted() {
    run(async {
        let compared = compare_hidden_pairs(&HiddenPairs::granted_everything(60, 1)).await;
        assert!(compared.with_rows * 4 >= compared.pairs, "{compared}");
        assert!(
            compared.leaks.len() * 10 >= compared.with_rows * 9,
            "{compared}"
        );
    });
}
