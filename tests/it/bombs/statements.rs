//! The statements.

use weft_governance::code::{
    CANCELLED, DEADLINE, EVALUATION, NOT_FOUND, PLAN, RESOURCES, SYNTAX, TOO_COMPLEX, UNSUPPORTED,
};

use super::{ANSWER, Bomb};

const TABLE: &str = "sales.numbers.t";

fn bomb(name: &'static str, sql: impl Into<String>, ends: &'static [&'static str]) -> Bomb {
    Bomb {
        name,
        sql: sql.into(),
        ends,
    }
}

fn times(text: &str, times: usize) -> String {
    text.repeat(times)
}

/// `SELECT first` in so many subqueries that each select `select`.
fn nested(levels: usize, first: &str, select: &str) -> String {
    (0..levels).fold(format!("SELECT {first} AS x"), |from, level| {
        format!("SELECT {select} AS x FROM ({from}) t{level}")
    })
}

/// Definitions that each use the one before, `uses` with its name in place of `@`.
fn defined(levels: usize, first: &str, uses: &str) -> String {
    let with = (1..=levels).fold(format!("WITH t0 AS ({first})"), |with, level| {
        let uses = uses.replace('@', &format!("t{}", level - 1));
        format!("{with}, t{level} AS ({uses})")
    });
    format!("{with} SELECT * FROM t{levels}")
}

/// Too long, too deep, too wide.
pub(super) fn large() -> Vec<Bomb> {
    const REFUSED: &[&str] = &[TOO_COMPLEX];
    const DEEP: &[&str] = &[TOO_COMPLEX, SYNTAX, PLAN];
    let numbers = |count: usize| {
        let numbers: Vec<String> = (0..count).map(|number| number.to_string()).collect();
        numbers.join(", ")
    };
    vec![
        bomb(
            "and chain",
            format!("SELECT 1 WHERE {}true", times("1 = 1 AND ", 10_000)),
            REFUSED,
        ),
        bomb(
            "or chain",
            format!("SELECT 1 WHERE {}true", times("1 = 1 OR ", 10_000)),
            REFUSED,
        ),
        bomb(
            "sum chain",
            format!("SELECT {}1", times("1 + ", 10_000)),
            REFUSED,
        ),
        bomb(
            "not chain",
            format!("SELECT {}true", times("NOT ", 10_000)),
            REFUSED,
        ),
        bomb(
            "minus chain",
            format!("SELECT {}1", times("- ", 10_000)),
            REFUSED,
        ),
        bomb(
            "concatenation chain",
            format!("SELECT {}'a'", times("'a' || ", 10_000)),
            REFUSED,
        ),
        bomb(
            "comparison chain",
            format!("SELECT {}1", times("1 = ", 10_000)),
            REFUSED,
        ),
        bomb(
            "cast chain",
            format!("SELECT 1{}", times("::bigint", 10_000)),
            REFUSED,
        ),
        bomb(
            "subscript chain",
            format!("SELECT [1]{}", times("[1]", 10_000)),
            DEEP,
        ),
        bomb(
            "union chain",
            format!("{}SELECT 1", times("SELECT 1 UNION ALL ", 10_000)),
            REFUSED,
        ),
        bomb(
            "intersect chain",
            format!("{}SELECT 1", times("SELECT 1 INTERSECT ", 10_000)),
            REFUSED,
        ),
        bomb(
            "join chain",
            format!(
                "SELECT 1 FROM {TABLE} {}",
                times("NATURAL JOIN sales.numbers.t ", 5_000)
            ),
            REFUSED,
        ),
        bomb(
            "comma joins",
            format!("SELECT 1 FROM {}{TABLE}", times("sales.numbers.t, ", 5_000)),
            REFUSED,
        ),
        bomb(
            "parentheses",
            format!("SELECT {}1{}", times("(", 10_000), times(")", 10_000)),
            DEEP,
        ),
        bomb(
            "subqueries",
            format!(
                "{}SELECT 1{}",
                times("SELECT * FROM (", 5_000),
                times(") x", 5_000)
            ),
            DEEP,
        ),
        bomb(
            "scalar subqueries",
            format!("{}1{}", times("SELECT (", 60), times(")", 60)),
            DEEP,
        ),
        bomb(
            "cases",
            format!(
                "SELECT {}1{}",
                times("CASE WHEN true THEN ", 5_000),
                times(" END", 5_000)
            ),
            DEEP,
        ),
        bomb(
            "calls",
            format!("SELECT {}1{}", times("abs(", 5_000), times(")", 5_000)),
            DEEP,
        ),
        bomb(
            "lists",
            format!("SELECT {}1{}", times("[", 5_000), times("]", 5_000)),
            DEEP,
        ),
        bomb(
            "types",
            format!(
                "SELECT NULL::{}int{}",
                times("array<", 5_000),
                times(">", 5_000)
            ),
            DEEP,
        ),
        bomb(
            "in list",
            format!("SELECT 1 WHERE 1 IN ({})", numbers(100_000)),
            REFUSED,
        ),
        bomb(
            "values",
            format!("VALUES {}(1)", times("(1), ", 50_000)),
            REFUSED,
        ),
        bomb("columns", format!("SELECT {}", numbers(100_000)), REFUSED),
        bomb(
            "text of 2 MB",
            format!("SELECT '{}'", times("x", 2 << 20)),
            REFUSED,
        ),
        bomb(
            "spaces of 2 MB",
            format!("SELECT {}1", times(" ", 2 << 20)),
            REFUSED,
        ),
        bomb(
            "name of 900 kB",
            format!("SELECT \"{}\"", times("x", 900_000)),
            &[PLAN],
        ),
        bomb(
            "table of 900 kB",
            format!("SELECT 1 FROM \"{}\"", times("x", 900_000)),
            &[NOT_FOUND, PLAN],
        ),
        bomb("nothing but quotes", times("'", 99_999), &[SYNTAX]),
    ]
}

/// Short, and much once they are taken apart.
pub(super) fn multiplying() -> Vec<Bomb> {
    const REFUSED: &[&str] = &[TOO_COMPLEX];
    let columns: Vec<String> = (0..24).map(|column| format!("id + {column}")).collect();
    let columns = columns.join(", ");
    vec![
        bomb(
            "doubling definitions",
            defined(40, "SELECT 1 AS x", "SELECT a.x FROM @ a, @ b"),
            REFUSED,
        ),
        bomb(
            "doubling unions",
            defined(
                40,
                "SELECT 1 AS x",
                "SELECT x FROM @ UNION ALL SELECT x FROM @",
            ),
            REFUSED,
        ),
        bomb(
            "doubling sums",
            defined(
                60,
                &format!("SELECT id AS x FROM {TABLE}"),
                "SELECT x + x AS x FROM @ WHERE x + x > 0",
            ),
            REFUSED,
        ),
        bomb(
            "nested sums",
            format!(
                "SELECT 1 FROM ({}) t WHERE x > 0",
                nested(16, "1", "x + x + x + x")
            ),
            REFUSED,
        ),
        bomb(
            "doubling cases",
            defined(
                60,
                &format!("SELECT id AS x FROM {TABLE}"),
                "SELECT CASE WHEN x > 0 THEN x ELSE -x END AS x FROM @ WHERE x > 1",
            ),
            REFUSED,
        ),
        bomb(
            "cube",
            format!("SELECT count(*) FROM {TABLE} GROUP BY CUBE ({columns})"),
            &[PLAN, UNSUPPORTED, TOO_COMPLEX, RESOURCES, DEADLINE],
        ),
        bomb(
            "in list within the caps",
            {
                let list: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
                format!(
                    "SELECT count(*) FROM {TABLE} WHERE id IN ({})",
                    list.join(",")
                )
            },
            &[ANSWER, DEADLINE, RESOURCES, TOO_COMPLEX],
        ),
        bomb(
            "correlated subqueries",
            (0..12).fold(
                format!("SELECT 1 FROM {TABLE} z WHERE z.id = 1"),
                |inner, level| format!("SELECT 1 FROM {TABLE} a{level} WHERE EXISTS ({inner})"),
            ),
            &[ANSWER, DEADLINE, RESOURCES, TOO_COMPLEX, SYNTAX, CANCELLED],
        ),
    ]
}

/// Much out of nothing.
pub(super) fn making() -> Vec<Bomb> {
    const REFUSED: &[&str] = &[RESOURCES];
    let a_million = |what: &str| format!("repeat('{what}', 1000000)");
    vec![
        bomb("repeat", "SELECT repeat('x', 1000000000)", REFUSED),
        bomb(
            "repeat for each row",
            format!("SELECT repeat('x', id * 1000) FROM {TABLE}"),
            REFUSED,
        ),
        bomb(
            "repeat of repeat",
            "SELECT repeat(repeat('x', 1000000), 1000000)",
            REFUSED,
        ),
        bomb(
            "repeat by the largest number",
            "SELECT repeat('xx', 9223372036854775807)",
            REFUSED,
        ),
        bomb("lpad", "SELECT lpad('x', 1000000000, 'y')", REFUSED),
        bomb(
            "rpad for each row",
            format!("SELECT rpad('x', 100000 + id) FROM {TABLE}"),
            REFUSED,
        ),
        bomb(
            "long texts compared",
            format!("SELECT levenshtein({}, {})", a_million("a"), a_million("b")),
            REFUSED,
        ),
        bomb("range", "SELECT range(1000000000)", REFUSED),
        bomb(
            "range without an end",
            "SELECT range(-9223372036854775807, 9223372036854775807)",
            REFUSED,
        ),
        bomb("series", "SELECT generate_series(1, 1000000000)", REFUSED),
        bomb(
            "series of moments",
            "SELECT generate_series(TIMESTAMP '1970-01-01', TIMESTAMP '2200-01-01', INTERVAL '1 second')",
            REFUSED,
        ),
        bomb(
            "series as rows",
            "SELECT count(*) FROM (SELECT unnest(generate_series(1, 1000000000)))",
            REFUSED,
        ),
        bomb("list", "SELECT array_repeat(1, 1000000000)", REFUSED),
        bomb(
            "longer list",
            "SELECT array_resize([1], 1000000000, 1)",
            REFUSED,
        ),
        bomb(
            "replace",
            format!(
                "SELECT replace({}, 'a', {})",
                a_million("a"),
                a_million("b")
            ),
            REFUSED,
        ),
        bomb(
            "replace by pattern",
            format!(
                "SELECT regexp_replace({}, 'a', {}, 'g')",
                a_million("a"),
                a_million("b")
            ),
            REFUSED,
        ),
        bomb(
            "written list",
            format!("SELECT array_to_string(range(1000000), {})", a_million("b")),
            // On a slow machine the list alone takes longer than it may.
            &[RESOURCES, DEADLINE],
        ),
        bomb(
            "doubling text",
            defined(
                40,
                &format!("SELECT 'abcdefgh' || id AS x FROM {TABLE}"),
                "SELECT x || x AS x FROM @ ORDER BY x LIMIT 100000",
            ),
            &[RESOURCES, TOO_COMPLEX, DEADLINE],
        ),
        bomb(
            "doubling lists",
            nested(7, "range(100000)", "array_concat(x, x, x, x)"),
            REFUSED,
        ),
    ]
}

/// Small plans that run for ever or hold everything.
pub(super) fn running() -> Vec<Bomb> {
    const ENDED: &[&str] = &[RESOURCES, DEADLINE];
    let cube = format!("{TABLE} a, {TABLE} b, {TABLE} c");
    let likes = format!("%{}b", times("a%", 200));
    vec![
        bomb(
            "infinite recursion",
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
            ENDED,
        ),
        bomb(
            "doubling recursion",
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + m FROM r, (VALUES (1), (2)) v(m)) SELECT count(*) FROM r",
            ENDED,
        ),
        bomb(
            "growing recursion",
            "WITH RECURSIVE r AS (SELECT 'x' AS n UNION ALL SELECT n || n FROM r) SELECT count(n) FROM r",
            ENDED,
        ),
        bomb(
            "cross join of 10¹⁵ rows",
            format!("SELECT count(*) FROM {cube} WHERE a.id + b.id + c.id < 0"),
            ENDED,
        ),
        bomb(
            "sorted cross join",
            format!("SELECT * FROM {TABLE} a, {TABLE} b ORDER BY a.id * b.id, a.id"),
            ENDED,
        ),
        bomb(
            "distinct cross join",
            format!("SELECT count(DISTINCT a.id * b.id + a.id) FROM {TABLE} a, {TABLE} b"),
            ENDED,
        ),
        bomb(
            "cross join in windows",
            format!("SELECT sum(a.id) OVER (ORDER BY a.id * b.id) FROM {TABLE} a, {TABLE} b"),
            ENDED,
        ),
        bomb(
            "all rows of a cross join",
            format!("SELECT a.id, b.id FROM {TABLE} a, {TABLE} b"),
            ENDED,
        ),
        bomb(
            "text of all rows",
            format!("SELECT string_agg(repeat('x', 1000), '') FROM {TABLE} a, {TABLE} b"),
            ENDED,
        ),
        bomb(
            "list of all rows",
            format!("SELECT array_agg(a.id) FROM {TABLE} a, {TABLE} b"),
            ENDED,
        ),
        bomb(
            "join on one key",
            format!(
                "SELECT count(*) FROM {TABLE} a JOIN {TABLE} b ON a.id * 0 = b.id * 0 WHERE a.id + b.id < 0"
            ),
            ENDED,
        ),
        bomb(
            "unnested products",
            "SELECT count(*) FROM (SELECT unnest(range(100000)) AS n) a, (SELECT unnest(range(100000)) AS n) b WHERE a.n + b.n < 0",
            ENDED,
        ),
        bomb(
            "like",
            format!(
                "SELECT count(*) FROM (SELECT repeat('a', 100000) AS x FROM {TABLE} LIMIT 100) t WHERE x LIKE '{likes}'"
            ),
            &[ANSWER, RESOURCES, DEADLINE],
        ),
        bomb(
            "pattern that backtracks",
            "SELECT count(*) FROM (VALUES (repeat('a', 100000))) t(x) WHERE x ~ '^(a+)+$b'",
            &[ANSWER, DEADLINE],
        ),
        bomb(
            "pattern that explodes",
            "SELECT 'a' ~ '((((a{100}){100}){100}){100})'",
            &[EVALUATION, PLAN, RESOURCES],
        ),
        bomb(
            "patterns for each row",
            format!(
                "SELECT count(*) FROM {TABLE} WHERE 'a' ~ ('(a|b){{' || (id % 900 + 1) || '}}')"
            ),
            &[ANSWER, RESOURCES, DEADLINE],
        ),
        // Each is megabytes once it is compiled.
        bomb(
            "large patterns for each row",
            format!("SELECT count(*) FROM {TABLE} WHERE 'a' ~ ('\\w{{20}}' || id)"),
            &[DEADLINE],
        ),
        bomb(
            "long texts compared for each row",
            format!(
                "SELECT sum(levenshtein(repeat('a', 10000) || id, repeat('b', 10000))) FROM {TABLE}"
            ),
            &[DEADLINE],
        ),
    ]
}
