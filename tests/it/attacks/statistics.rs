//! Counts, extremes, statistics and explanations: those of visible rows and shown cells.

use super::people::{Attack, Control, Told, attack, withstand};

#[test]
fn aggregates_are_those_of_visible_rows() {
    withstand(&[
        attack("count", "SELECT count(*) AS n FROM $P", &["2"], &["5"]),
        attack(
            "count of no column",
            "SELECT count(*) AS n FROM (SELECT 1 AS o FROM $P)",
            &["2"],
            &["5"],
        ),
        attack(
            "count of hidden rows",
            "SELECT count(*) AS n FROM $P WHERE country = 'FR'",
            &["0"],
            &["2"],
        ),
        attack(
            "count of rows that the filter does not know",
            "SELECT count(*) AS n FROM $P WHERE country IS NULL",
            &["0"],
            &["1"],
        ),
        attack(
            "count of a column with NULLs",
            "SELECT count(born) AS n FROM $P",
            &["2"],
            &["4"],
        ),
        attack(
            "extremes",
            "SELECT min(id) AS l, max(id) AS h FROM $P",
            &["1 2"],
            &["1 5"],
        ),
        attack(
            "extremes of the filtered column",
            "SELECT max(country) AS h FROM $P",
            &["DE"],
            &["FR"],
        ),
        attack("sum", "SELECT sum(score) AS s FROM $P", &["12"], &["12"]),
        attack(
            "average",
            "SELECT avg(id) AS a FROM $P",
            &["1.500000000e0"],
            &["3.000000000e0"],
        ),
        attack(
            "distinct values",
            "SELECT count(DISTINCT country) AS d FROM $P",
            &["1"],
            &["2"],
        ),
        attack(
            "about how many distinct values",
            "SELECT approx_distinct(id) AS d FROM $P",
            &["2"],
            &["5"],
        ),
        attack(
            "groups",
            "SELECT country AS c, count(*) AS n FROM $P GROUP BY country ORDER BY 1 NULLS LAST",
            &["DE 2"],
            &["DE 2", "FR 2", "NULL 1"],
        ),
        attack(
            "totals of groups",
            "SELECT count(*) AS n FROM $P GROUP BY ROLLUP (country) ORDER BY 1",
            &["2", "2"],
            &["1", "2", "2", "5"],
        ),
        attack(
            "any",
            "SELECT bool_or(country = 'FR') AS b FROM $P",
            &["false"],
            &["true"],
        ),
        attack(
            "rows after the last",
            "SELECT id FROM $P ORDER BY id OFFSET 2",
            &[],
            &["3", "4", "5"],
        ),
        attack(
            "count over a window",
            "SELECT DISTINCT count(*) OVER () AS n FROM $P",
            &["2"],
            &["5"],
        ),
        attack(
            "median",
            "SELECT median(id) AS m FROM $P",
            &["1.500000000e0"],
            &["3.000000000e0"],
        ),
        attack(
            "the last value",
            "SELECT last_value(id ORDER BY id) AS l FROM $P",
            &["2"],
            &["5"],
        ),
        attack(
            "lists",
            "SELECT array_to_string(array_agg(id ORDER BY id), ',') AS l FROM $P",
            &["1,2"],
            &["1,2,3,4,5"],
        ),
        attack(
            "rows of an outer join",
            "SELECT count(*) AS n FROM $G g LEFT JOIN $P p ON p.id = g.buyer WHERE p.id IS NULL",
            &["1"],
            &["0"],
        ),
        attack(
            "rows of an anti join",
            "SELECT count(*) AS n FROM $G g WHERE g.buyer NOT IN (SELECT id FROM $P)",
            &["1"],
            &["0"],
        ),
        attack(
            "a difference",
            "SELECT buyer FROM $G EXCEPT SELECT id FROM $P",
            &["3"],
            &[],
        ),
    ]);
}

/// What a query is expected to take, and what it took.
#[test]
fn what_is_known_of_tables_and_what_crossed_is_of_visible_rows() {
    let without = |words| Told::Without(words);
    let explained = |name, sql, words, control| Attack {
        name,
        sql,
        told: without(words),
        control: Control::Tells(control),
    };
    withstand(&[
        explained("SHOW STATS", "SHOW STATS FOR $P", &["FR", "note"], "5"),
        explained(
            "EXPLAIN",
            "EXPLAIN SELECT id, country FROM $P",
            &["FR", "'DE'"],
            "fragment",
        ),
        explained(
            "EXPLAIN FLOW",
            "EXPLAIN FLOW SELECT id FROM $P",
            &["5"],
            "5",
        ),
        explained(
            "EXPLAIN ANALYZE",
            "EXPLAIN ANALYZE SELECT id FROM $P",
            &["5"],
            "5",
        ),
        explained(
            "EXPLAIN ANALYZE of an aggregate",
            "EXPLAIN ANALYZE SELECT country, count(*) AS n FROM $P GROUP BY country",
            &["3"],
            "3",
        ),
        explained(
            "EXPLAIN ANALYZE FLOW",
            "EXPLAIN ANALYZE FLOW SELECT p.id FROM $P p JOIN $G g ON p.id = g.buyer",
            &["5"],
            "crm",
        ),
        explained(
            "columns in the catalog",
            "SELECT * FROM system.catalog.columns",
            &["note"],
            "note",
        ),
        explained("DESCRIBE", "SHOW COLUMNS FROM $P", &["note"], "note"),
        explained(
            "rows of flows",
            "SELECT max(rows) AS r FROM system.runtime.flows",
            &["5"],
            "5",
        ),
    ]);
}
