//! Masked cells, asked for in every way that does not name the mask.

use super::people::{Attack, Control, Told, attack, withstand};

#[test]
fn guesses_at_masked_cells_meet_the_mask() {
    withstand(&[
        attack(
            "equality",
            "SELECT count(*) AS n FROM $P WHERE ssn = '111-22-3333'",
            &["0"],
            &["1"],
        ),
        attack(
            "inequality",
            "SELECT count(*) AS n FROM $P WHERE ssn <> '111-22-3333'",
            &["2"],
            &["4"],
        ),
        attack(
            "comparison",
            "SELECT count(*) AS n FROM $P WHERE ssn < '2'",
            &["0"],
            &["1"],
        ),
        attack(
            "LIKE",
            "SELECT count(*) AS n FROM $P WHERE ssn LIKE '1%'",
            &["0"],
            &["1"],
        ),
        attack(
            "IN",
            "SELECT count(*) AS n FROM $P WHERE ssn IN ('111-22-3333', 'a', 'b', 'c')",
            &["0"],
            &["1"],
        ),
        attack(
            "a pattern",
            "SELECT count(*) AS n FROM $P WHERE regexp_like(ssn, '^1.1')",
            &["0"],
            &["1"],
        ),
        attack(
            "a digest",
            "SELECT count(*) AS n FROM $P WHERE md5(ssn) = md5('111-22-3333')",
            &["0"],
            &["1"],
        ),
        attack(
            "a part",
            "SELECT count(*) AS n FROM $P WHERE substr(ssn, 1, 3) = '111'",
            &["0"],
            &["1"],
        ),
        attack(
            "a place",
            "SELECT count(*) AS n FROM $P WHERE strpos(ssn, '11-2') > 0",
            &["0"],
            &["1"],
        ),
        attack(
            "a start",
            "SELECT count(*) AS n FROM $P WHERE starts_with(ssn, '111')",
            &["0"],
            &["1"],
        ),
        attack(
            "a concatenation",
            "SELECT count(*) AS n FROM $P WHERE ssn || 'x' = '111-22-3333x'",
            &["0"],
            &["1"],
        ),
        attack(
            "a join on guesses",
            "SELECT count(*) AS n FROM $P p JOIN (VALUES ('111-22-3333'), ('SECRET-9999')) v(g) ON p.ssn = v.g",
            &["0"],
            &["2"],
        ),
        attack(
            "USING",
            "SELECT buyer FROM $P JOIN $G USING (ssn) ORDER BY 1",
            &["1"],
            &["1", "3"],
        ),
        attack(
            "a join across domains",
            "SELECT count(*) AS n FROM $P p JOIN $G g ON p.ssn = g.ssn AND g.salary > 1",
            &["0"],
            &["2"],
        ),
        attack(
            "a join on masked numbers",
            "SELECT count(*) AS n FROM $P p JOIN $G g ON p.salary = g.salary",
            &["0"],
            &["2"],
        ),
        attack(
            "IN across domains",
            "SELECT count(*) AS n FROM $G g WHERE g.salary IN (SELECT salary FROM $P)",
            &["0"],
            &["2"],
        ),
        attack(
            "EXISTS across domains",
            "SELECT count(*) AS n FROM $G g WHERE EXISTS (SELECT 1 FROM $P p WHERE p.salary = g.salary)",
            &["0"],
            &["2"],
        ),
        attack(
            "INTERSECT",
            "SELECT ssn FROM $P INTERSECT SELECT '111-22-3333'",
            &[],
            &["111-22-3333"],
        ),
        attack(
            "CASE",
            "SELECT sum(CASE ssn WHEN '111-22-3333' THEN 1 ELSE 0 END) AS n FROM $P",
            &["0"],
            &["1"],
        ),
        attack(
            "HAVING",
            "SELECT count(*) AS n FROM (SELECT ssn FROM $P GROUP BY ssn HAVING min(ssn) LIKE '1%')",
            &["0"],
            &["1"],
        ),
        attack(
            "a condition in an aggregate",
            "SELECT count(*) FILTER (WHERE ssn LIKE '111%') AS n FROM $P",
            &["0"],
            &["1"],
        ),
        attack(
            "a day",
            "SELECT count(*) AS n FROM $P WHERE born = DATE '1990-05-06'",
            &["0"],
            &["1"],
        ),
        attack(
            "a span of days",
            "SELECT count(*) AS n FROM $P WHERE born BETWEEN DATE '1990-05-01' AND DATE '1990-05-31'",
            &["0"],
            &["1"],
        ),
        attack(
            "a number",
            "SELECT count(*) AS n FROM $P WHERE salary > 55000",
            &["0"],
            &["4"],
        ),
        attack(
            "NULL",
            "SELECT count(*) AS n FROM $P WHERE salary IS NOT NULL",
            &["0"],
            &["5"],
        ),
    ]);
}

#[test]
fn masked_cells_show_their_mask_under_every_name() {
    const MASKED: &[&str] = &["XXXXXXX3333", "XXXXXXX4444"];
    const PLAIN: Control = Control::Tells("111-22-3333");
    let shown = |name, sql| Attack {
        name,
        sql,
        told: Told::Rows(MASKED),
        control: PLAIN,
    };
    withstand(&[
        shown("plainly", "SELECT ssn FROM $P ORDER BY 1"),
        shown("an alias", "SELECT ssn AS id_number FROM $P ORDER BY 1"),
        shown(
            "an alias of a query",
            "SELECT s FROM (SELECT ssn AS s FROM $P) ORDER BY 1",
        ),
        shown(
            "a common table",
            "WITH w AS (SELECT ssn FROM $P) SELECT ssn FROM w ORDER BY 1",
        ),
        shown("a qualified name", "SELECT p.ssn FROM $P p ORDER BY 1"),
        shown("a quoted name", "SELECT \"ssn\" FROM $P ORDER BY 1"),
        shown(
            "a field of a struct",
            "SELECT named_struct('s', ssn)['s'] AS s FROM $P ORDER BY 1",
        ),
        shown(
            "an element of a list",
            "SELECT make_array(ssn)[1] AS s FROM $P ORDER BY 1",
        ),
        shown("groups", "SELECT ssn FROM $P GROUP BY ssn ORDER BY 1"),
        shown("distinct values", "SELECT DISTINCT ssn FROM $P ORDER BY 1"),
        shown(
            "extremes of groups",
            "SELECT min(ssn) AS s FROM $P GROUP BY id ORDER BY 1",
        ),
        shown(
            "a window",
            "SELECT first_value(ssn) OVER (PARTITION BY id) AS s FROM $P ORDER BY 1",
        ),
        shown(
            "CASE",
            "SELECT CASE WHEN id > 0 THEN ssn END AS s FROM $P ORDER BY 1",
        ),
        shown(
            "coalesce",
            "SELECT coalesce(ssn, 'none') AS s FROM $P ORDER BY 1",
        ),
        shown(
            "a function that changes nothing",
            "SELECT reverse(reverse(ssn)) AS s FROM $P ORDER BY 1",
        ),
        shown(
            "a cast",
            "SELECT CAST(ssn AS VARCHAR) AS s FROM $P ORDER BY 1",
        ),
        shown(
            "UNION",
            "SELECT ssn FROM $P UNION SELECT ssn FROM $P ORDER BY 1",
        ),
        shown(
            "a join with itself",
            "SELECT a.ssn FROM $P a JOIN $P b ON a.ssn = b.ssn ORDER BY 1",
        ),
        shown(
            "a scalar subquery",
            "SELECT (SELECT max(ssn) FROM $P b WHERE b.id = a.id) AS s FROM $P a ORDER BY 1",
        ),
        shown(
            "VALUES beside it",
            "SELECT ssn FROM $P CROSS JOIN (VALUES (1)) v(x) ORDER BY 1",
        ),
        shown(
            "a join across domains",
            "SELECT DISTINCT p.ssn FROM $P p CROSS JOIN $G g ORDER BY 1",
        ),
    ]);
}

#[test]
fn masked_cells_order_count_and_compute_as_their_mask() {
    withstand(&[
        attack(
            "order",
            "SELECT id FROM $P ORDER BY salary DESC NULLS LAST, id LIMIT 2",
            &["1", "2"],
            &["5", "4"],
        ),
        attack(
            "rank",
            "SELECT DISTINCT rank() OVER (ORDER BY salary) AS r FROM $P ORDER BY 1",
            &["1"],
            &["1", "2", "3", "4", "5"],
        ),
        attack(
            "largest",
            "SELECT max(salary) AS m FROM $P",
            &["NULL"],
            &["90000"],
        ),
        attack(
            "computed",
            "SELECT sum(salary * 2) AS s FROM $P",
            &["NULL"],
            &["700000"],
        ),
        attack(
            "replaced where it is NULL",
            "SELECT sum(coalesce(salary, 0)) AS s FROM $P",
            &["0"],
            &["350000"],
        ),
        attack(
            "distinct years",
            "SELECT count(DISTINCT born) AS d FROM $P",
            &["2"],
            &["4"],
        ),
        attack(
            "months",
            "SELECT DISTINCT CAST(extract(month FROM born) AS BIGINT) AS m FROM $P WHERE id < 3 ORDER BY 1",
            &["1"],
            &["5", "7"],
        ),
        attack(
            "greatest",
            "SELECT max(born) AS m FROM $P WHERE id < 3",
            &["1991-01-01"],
            &["1991-07-08"],
        ),
        attack(
            "difference",
            "SELECT count(*) AS n FROM $P a JOIN $P b ON a.salary < b.salary",
            &["0"],
            &["10"],
        ),
    ]);
}
