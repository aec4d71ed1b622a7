//! Expressions that fail on hidden rows alone, in every clause: whether they fail would tell.

use super::people::{Attack, Control, Told, withstand};

const fn attack(name: &'static str, sql: &'static str, rows: &'static [&'static str]) -> Attack {
    Attack {
        name,
        sql,
        told: Told::Rows(rows),
        control: Control::Fails,
    }
}

#[test]
fn casts_that_fail_on_hidden_rows_fail_nowhere() {
    withstand(&[
        attack(
            "cast in SELECT",
            "SELECT CAST(code AS BIGINT) AS c FROM $P ORDER BY 1",
            &["12", "34"],
        ),
        attack(
            "cast in WHERE",
            "SELECT id FROM $P WHERE CAST(code AS BIGINT) > 0 ORDER BY id",
            &["1", "2"],
        ),
        attack(
            "cast in a join condition",
            "SELECT a.id FROM $P a JOIN $P b ON CAST(a.code AS BIGINT) = CAST(b.code AS BIGINT) ORDER BY 1",
            &["1", "2"],
        ),
        attack(
            "cast in GROUP BY",
            "SELECT CAST(code AS BIGINT) AS g, count(*) AS n FROM $P GROUP BY 1 ORDER BY 1",
            &["12 1", "34 1"],
        ),
        attack(
            "cast in ORDER BY",
            "SELECT id FROM $P ORDER BY CAST(code AS BIGINT) DESC",
            &["2", "1"],
        ),
        attack(
            "cast in ORDER BY with a limit",
            "SELECT id FROM $P ORDER BY CAST(code AS BIGINT) LIMIT 1",
            &["1"],
        ),
        attack(
            "cast in an aggregate",
            "SELECT sum(CAST(code AS BIGINT)) AS s FROM $P",
            &["46"],
        ),
        attack(
            "cast in a window",
            "SELECT id, row_number() OVER (PARTITION BY CAST(code AS BIGINT) ORDER BY id) AS n FROM $P ORDER BY id",
            &["1 1", "2 1"],
        ),
        attack(
            "cast in DISTINCT",
            "SELECT DISTINCT CAST(code AS BIGINT) AS c FROM $P ORDER BY 1",
            &["12", "34"],
        ),
        attack(
            "cast in IN",
            "SELECT id FROM $P WHERE id IN (SELECT CAST(code AS BIGINT) - 11 FROM $P) ORDER BY id",
            &["1"],
        ),
        attack(
            "cast in a scalar subquery",
            "SELECT (SELECT max(CAST(code AS BIGINT)) FROM $P) AS m",
            &["34"],
        ),
        attack(
            "cast beside a condition that only hidden rows meet",
            "SELECT count(*) AS n FROM $P WHERE id = 3 AND CAST(code AS BIGINT) = 1",
            &["0"],
        ),
        attack(
            "cast at the coordinator",
            "SELECT count(*) AS n FROM $P p JOIN $G g ON p.id = g.buyer WHERE CAST(p.code AS BIGINT) + g.buyer > 0",
            &["2"],
        ),
        attack(
            "cast of a masked number that is too large",
            "SELECT count(*) AS n FROM $P WHERE CAST(salary AS TINYINT) + 1 > 0",
            &["0"],
        ),
    ]);
}

#[test]
fn divisions_that_fail_on_hidden_rows_fail_nowhere() {
    withstand(&[
        attack(
            "division in SELECT",
            "SELECT 100 / score AS q FROM $P ORDER BY 1",
            &["14", "20"],
        ),
        attack(
            "division in WHERE",
            "SELECT id FROM $P WHERE 100 / score > 1 ORDER BY id",
            &["1", "2"],
        ),
        attack(
            "remainder in WHERE",
            "SELECT id FROM $P WHERE 8 % score > 2 ORDER BY id",
            &["1"],
        ),
        attack(
            "division in an outer join",
            "SELECT a.id FROM $P a LEFT JOIN $P b ON a.id = b.id AND 100 / b.score > 1 ORDER BY 1",
            &["1", "2"],
        ),
        attack(
            "division in HAVING",
            "SELECT country AS g FROM $P GROUP BY country HAVING min(100 / score) > 0",
            &["DE"],
        ),
        attack(
            "division in FILTER",
            "SELECT count(*) FILTER (WHERE 100 / score > 1) AS n FROM $P",
            &["2"],
        ),
        attack(
            "division in the order of a window",
            "SELECT id, rank() OVER (ORDER BY 100 / score) AS r FROM $P ORDER BY id",
            &["1 2", "2 1"],
        ),
        attack(
            "division in EXISTS",
            "SELECT count(*) AS n FROM $P a WHERE EXISTS (SELECT 1 FROM $P b WHERE b.id = a.id AND 100 / b.score > 1)",
            &["2"],
        ),
        attack(
            "division beside a condition that only hidden rows meet",
            "SELECT count(*) AS n FROM $P WHERE country = 'FR' AND 100 / score > 1",
            &["0"],
        ),
        attack(
            "division at the coordinator",
            "SELECT count(*) AS n FROM $P p CROSS JOIN $G g WHERE g.buyer / p.score >= 0",
            &["6"],
        ),
    ]);
}

#[test]
fn texts_that_hidden_rows_alone_cannot_be_parsed_as_fail_nowhere() {
    withstand(&[
        attack(
            "parse in SELECT",
            "SELECT CAST(day AS DATE) AS d FROM $P ORDER BY 1",
            &["2020-01-01", "2020-02-01"],
        ),
        attack(
            "parse in WHERE",
            "SELECT id FROM $P WHERE CAST(day AS DATE) > DATE '2020-01-15'",
            &["2"],
        ),
        attack(
            "parse in CASE",
            "SELECT CASE WHEN CAST(day AS DATE) > DATE '2020-01-15' THEN 'late' ELSE 'early' END AS c FROM $P ORDER BY 1",
            &["early", "late"],
        ),
        attack(
            "parse in UNION",
            "SELECT CAST(day AS DATE) AS d FROM $P UNION SELECT DATE '2020-01-01' ORDER BY 1",
            &["2020-01-01", "2020-02-01"],
        ),
        attack(
            "parse in an aggregate",
            "SELECT max(CAST(day AS TIMESTAMP)) AS m FROM $P",
            &["2020-02-01T00:00:00"],
        ),
        attack(
            "more than one row in a scalar subquery",
            "SELECT (SELECT code FROM $P WHERE id > 1) AS m",
            &["34"],
        ),
    ]);
}
