//! What goes down to the nodes, and that it answers as one process does.

use datafusion::prelude::SessionContext;
use harness::{Client, Mesh, Published, Rows, grant, run, single_process};
use weft_coordinator::plan::Optimization;

const LEFT: Published<'static> = Published {
    domain: "left",
    product: "a",
    tables: &[
        (
            "t",
            &[
                ("*id", "integer", "bigint"),
                ("grp", "string", "varchar"),
                ("x", "integer", "bigint"),
                ("y", "integer", "bigint"),
                ("price", "number", "decimal(10,2)"),
                ("day", "date", "date"),
            ],
            "1,a,10,1,1.50,2024-01-01\n2,a,20,,2.25,2024-01-02\n3,b,30,3,,2024-02-01\n4,b,,4,0.00,2024-02-29\n5,,50,5,9.99,\n6,c,10,6,-1.00,1999-12-31",
        ),
        (
            "u",
            &[
                ("tid", "integer", "bigint"),
                ("tag", "string", "varchar"),
                ("n", "integer", "bigint"),
            ],
            "1,p,7\n1,q,8\n3,p,9\n,r,1\n9,s,\n6,p,2",
        ),
    ],
};

const RIGHT: Published<'static> = Published {
    domain: "right",
    product: "b",
    tables: &[
        (
            "t",
            &[
                ("id", "integer", "bigint"),
                ("name", "string", "varchar"),
                ("x", "integer", "bigint"),
            ],
            "1,uno,11\n3,tres,3\n3,drei,33\n,nada,0\n8,ocho,\n12,doce,12",
        ),
        (
            "w",
            &[("id", "integer", "bigint"), ("kg", "integer", "bigint")],
            "1,100\n2,200\n12,\n,5",
        ),
    ],
};

struct Both {
    _mesh: Mesh,
    _folder: tempfile::TempDir,
    analyst: Client,
    oracle: SessionContext,
}

impl Both {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        for product in [&LEFT, &RIGHT] {
            product.write(&folder.path().join(product.domain));
        }
        let (left, right) = (folder.path().join("left"), folder.path().join("right"));
        let oracle = single_process(&[("left", &left), ("right", &right)]).await;
        let grants = vec![
            ("left", grant("analyst", "a")),
            ("right", grant("analyst", "b")),
        ];
        let mesh = Mesh::publish(&[LEFT, RIGHT], grants).await;
        let mut analyst = mesh.sign_in("analyst").await;
        // What these tests are not about: the order of joins, keys that flow, and rows that are grouped.
        for step in ["order", "reduce", "preaggregate"] {
            let off = format!("SET weft.optimizer.{step} = off");
            analyst.query(&off).await.expect("set");
        }
        Self {
            _mesh: mesh,
            _folder: folder,
            analyst,
            oracle,
        }
    }

    /// The explanation of a query whose answer is that of one process.
    async fn explained(&mut self, sql: &str) -> Result<Rows, String> {
        self.compared(sql).await?;
        let plan = self.analyst.query(&format!("EXPLAIN {sql}")).await;
        plan.map_err(|error| format!("{sql}: {error}"))
    }

    async fn compared(&mut self, sql: &str) -> Result<(), String> {
        let told = |error: &dyn std::error::Error| {
            let cause = error.source();
            let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{sql}: {error}{cause}")
        };
        let federated = self
            .analyst
            .query(sql)
            .await
            .map_err(|error| told(&error))?;
        let batches = match self.oracle.sql(sql).await {
            Ok(frame) => frame.collect().await,
            Err(error) => Err(error),
        };
        let alone = Rows::of(&batches.map_err(|error| told(&error))?);
        let (federated, alone) = (federated.sorted(), alone.sorted());
        if federated.rows() == alone.rows() {
            Ok(())
        } else {
            Err(format!(
                "{sql}\nfederated:\n{federated}in one process:\n{alone}"
            ))
        }
    }
}

fn at<'a>(plan: &'a Rows, place: &str) -> Vec<&'a str> {
    let rows = plan.rows().iter().filter(|row| row[0] == place);
    rows.map(|row| row[1].trim_end()).collect()
}

/// How a plan differs from what it should be, line by line: place, indented plan.
fn difference(sql: &str, plan: &Rows, expected: &[&str]) -> Option<String> {
    let line = |row: &Vec<String>| format!("{}: {}", row[0], row[1]);
    let shown: Vec<String> = plan.rows().iter().map(line).collect();
    let lines = shown.join("\n");
    (shown != expected).then(|| format!("{sql}\nis planned as\n{lines}\n"))
}

/// Whatever one domain can run alone leaves nothing above its fragment.
#[test]
fn nothing_of_one_domain_stays_above_its_fragment() {
    run(async {
        let mut both = Both::start().await;
        let mut above = Vec::new();
        for sql in ALONE {
            match both.explained(sql).await {
                Ok(plan) if at(&plan, "coordinator") == ["RemoteFragment: #0 at left"] => {}
                Ok(plan) => above.push(format!("{sql}\n{plan}")),
                Err(error) => above.push(error),
            }
        }
        assert!(above.is_empty(), "{}", above.join("\n"));
    });
}

const ALONE: &[&str] = &[
    // Joins.
    "SELECT t.id, u.tag FROM left.a.t JOIN left.a.u ON t.id = u.tid",
    "SELECT t.id, u.tag FROM left.a.t JOIN left.a.u ON t.id = u.tid AND t.x > u.n",
    "SELECT t.id, u.tag FROM left.a.t LEFT JOIN left.a.u ON t.id = u.tid",
    "SELECT t.id, u.tag FROM left.a.t LEFT JOIN left.a.u ON t.id = u.tid AND u.n > 7",
    "SELECT t.id, u.tag FROM left.a.t RIGHT JOIN left.a.u ON t.id = u.tid",
    "SELECT t.id, u.tag FROM left.a.t FULL JOIN left.a.u ON t.id = u.tid",
    "SELECT t.id, u.tag FROM left.a.t FULL JOIN left.a.u ON t.id = u.tid AND t.x > u.n",
    "SELECT id FROM left.a.t LEFT SEMI JOIN left.a.u ON t.id = u.tid",
    "SELECT id FROM left.a.t LEFT ANTI JOIN left.a.u ON t.id = u.tid",
    "SELECT tag FROM left.a.t RIGHT SEMI JOIN left.a.u ON t.id = u.tid",
    "SELECT tag FROM left.a.t RIGHT ANTI JOIN left.a.u ON t.id = u.tid",
    "SELECT id FROM left.a.t WHERE id IN (SELECT tid FROM left.a.u WHERE n > 1)",
    "SELECT id FROM left.a.t WHERE id NOT IN (SELECT tid FROM left.a.u WHERE tid > 0)",
    "SELECT id FROM left.a.t WHERE id NOT IN (SELECT tid FROM left.a.u)",
    "SELECT id FROM left.a.t WHERE EXISTS (SELECT 1 FROM left.a.u WHERE u.tid = t.id AND u.n > t.y)",
    "SELECT id FROM left.a.t WHERE NOT EXISTS (SELECT 1 FROM left.a.u WHERE u.tid = t.id)",
    "SELECT id FROM left.a.t WHERE x > 40 OR id IN (SELECT tid FROM left.a.u)",
    "SELECT id FROM left.a.t WHERE x > 40 OR EXISTS (SELECT 1 FROM left.a.u WHERE u.tid = t.id)",
    "SELECT t.id, u.tag FROM left.a.t CROSS JOIN left.a.u",
    "SELECT t.id, u.tag FROM left.a.t, left.a.u WHERE t.id < u.tid",
    "SELECT a.id, b.id FROM left.a.t a JOIN left.a.t b ON a.y IS NOT DISTINCT FROM b.y",
    "SELECT tid, o.tag, u.n FROM left.a.u JOIN left.a.u o USING (tid)",
    // Aggregates.
    "SELECT grp, count(*), sum(x), avg(price), min(day) FROM left.a.t GROUP BY grp",
    "SELECT count(*) FROM left.a.t",
    "SELECT grp, count(*) FILTER (WHERE x > 10), sum(x) FILTER (WHERE y IS NULL) FROM left.a.t GROUP BY grp",
    "SELECT count(DISTINCT x), count(DISTINCT grp), sum(x) FROM left.a.t",
    "SELECT grp, count(DISTINCT x) FROM left.a.t GROUP BY grp",
    "SELECT grp, string_agg(CAST(id AS varchar), ',' ORDER BY x DESC NULLS LAST, id) FROM left.a.t GROUP BY grp",
    "SELECT grp, array_agg(id ORDER BY id) FROM left.a.t GROUP BY grp",
    "SELECT grp, first_value(id ORDER BY price DESC NULLS LAST), last_value(id ORDER BY price NULLS FIRST) FROM left.a.t GROUP BY grp",
    "SELECT grp, x, count(*), grouping(grp) FROM left.a.t GROUP BY GROUPING SETS ((grp, x), (grp), ())",
    "SELECT grp, x, sum(y) FROM left.a.t GROUP BY ROLLUP (grp, x)",
    "SELECT grp, x, sum(y) FROM left.a.t GROUP BY CUBE (grp, x)",
    "SELECT grp, sum(x) FROM left.a.t GROUP BY grp HAVING count(*) > 1 AND sum(x) > 10",
    "SELECT date_trunc('month', day), sum(price) FROM left.a.t GROUP BY 1",
    "SELECT median(x), stddev(x), corr(x, y) FROM left.a.t",
    // Windows.
    "SELECT id, rank() OVER (PARTITION BY grp ORDER BY x NULLS FIRST) FROM left.a.t",
    "SELECT id, sum(x) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM left.a.t",
    "SELECT id, sum(x) OVER (ORDER BY x NULLS FIRST RANGE BETWEEN 10 PRECEDING AND CURRENT ROW) FROM left.a.t",
    "SELECT id, max(x) OVER (ORDER BY id GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) FROM left.a.t",
    "SELECT id, lag(x, 1, 0) OVER (ORDER BY id), lead(x) OVER (ORDER BY id), first_value(x) IGNORE NULLS OVER (ORDER BY id) FROM left.a.t",
    "SELECT id, ntile(3) OVER (ORDER BY id), row_number() OVER (ORDER BY id DESC) FROM left.a.t",
    "SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY grp ORDER BY id) r FROM left.a.t) WHERE r = 1",
    "SELECT grp, sum(sum(x)) OVER (ORDER BY grp NULLS FIRST) FROM left.a.t GROUP BY grp",
    // Order and limit.
    "SELECT id FROM left.a.t ORDER BY id LIMIT 2",
    "SELECT id FROM left.a.t ORDER BY price DESC NULLS LAST, id LIMIT 2 OFFSET 1",
    "SELECT id FROM left.a.t ORDER BY id OFFSET 4",
    "SELECT grp FROM left.a.t ORDER BY id LIMIT 3",
    "SELECT count(*) FROM (SELECT id FROM left.a.t LIMIT 3)",
    "SELECT grp, count(*) AS n FROM left.a.t GROUP BY grp ORDER BY n DESC, grp NULLS LAST LIMIT 2",
    "SELECT t.id, u.tag FROM left.a.t LEFT JOIN left.a.u ON t.id = u.tid ORDER BY t.id, u.tag LIMIT 2",
    // Sets.
    "SELECT id FROM left.a.t UNION ALL SELECT tid FROM left.a.u",
    "SELECT id FROM left.a.t UNION SELECT tid FROM left.a.u",
    "SELECT id FROM left.a.t UNION SELECT tid FROM left.a.u ORDER BY 1 NULLS FIRST LIMIT 3",
    "SELECT id FROM left.a.t INTERSECT SELECT tid FROM left.a.u",
    "SELECT tid FROM left.a.u INTERSECT ALL SELECT id FROM left.a.t",
    "SELECT id FROM left.a.t EXCEPT SELECT tid FROM left.a.u",
    "SELECT tid FROM left.a.u EXCEPT ALL SELECT id FROM left.a.t",
    "SELECT id, price FROM left.a.t UNION ALL SELECT tid, n FROM left.a.u",
    "SELECT DISTINCT grp FROM left.a.t",
    "SELECT DISTINCT ON (grp) grp, id FROM left.a.t ORDER BY grp NULLS FIRST, price DESC NULLS LAST",
    // Lists.
    "SELECT id, unnest(make_array(x, y)) FROM left.a.t",
    "SELECT id, unnest(make_array(x, y)), unnest(make_array(id)) FROM left.a.t",
    "SELECT grp, v FROM (SELECT grp, unnest(array_agg(id)) AS v FROM left.a.t GROUP BY grp) WHERE v > 2",
    "SELECT sum(v) FROM (SELECT unnest(make_array(x, y, id)) AS v FROM left.a.t)",
    // Values.
    "SELECT t.id, v.label FROM left.a.t JOIN (VALUES (1, 'one'), (3, 'three'), (NULL, 'none')) AS v(id, label) ON v.id = t.id",
    "SELECT v.label, t.id FROM (VALUES (DATE '2024-01-01', 1.5), (NULL, 2)) AS v(day, label) LEFT JOIN left.a.t ON t.day = v.day",
    "SELECT id FROM left.a.t UNION ALL VALUES (100), (NULL)",
    "SELECT id, one FROM left.a.t CROSS JOIN (SELECT 1 AS one)",
    "SELECT id FROM left.a.t UNION ALL SELECT 7",
    // Names used twice.
    "WITH c AS (SELECT grp, sum(x) AS s FROM left.a.t GROUP BY grp) SELECT a.grp, b.s FROM c a JOIN c b ON a.s < b.s",
    "WITH c AS (SELECT id, x FROM left.a.t WHERE x > 10) SELECT * FROM c UNION ALL SELECT * FROM c WHERE id > 2",
    // Subqueries.
    "SELECT id FROM left.a.t WHERE price > (SELECT avg(price) FROM left.a.t)",
    "SELECT id, (SELECT max(n) FROM left.a.u) FROM left.a.t",
    "SELECT id, (SELECT max(n) FROM left.a.u WHERE u.tid = t.id) FROM left.a.t",
    "SELECT id FROM left.a.t WHERE x > (SELECT avg(o.x) FROM left.a.t o WHERE o.grp = t.grp)",
    "SELECT id FROM left.a.t WHERE x > ALL (SELECT n FROM left.a.u WHERE n IS NOT NULL)",
    "SELECT id FROM left.a.t WHERE x = ANY (SELECT n FROM left.a.u)",
    "SELECT grp FROM left.a.t GROUP BY grp HAVING sum(x) > (SELECT min(n) FROM left.a.u)",
    // Expressions.
    "SELECT price * 2, CASE WHEN x > 10 THEN 'much' ELSE grp END, coalesce(y, 0) FROM left.a.t",
    "SELECT upper(grp) || '!', extract(year FROM day), substr(grp, 1, 1) FROM left.a.t WHERE grp LIKE 'a%' OR day BETWEEN DATE '2024-01-01' AND DATE '2024-12-31'",
];

/// Of an operator over several domains, what concerns one goes down to it.
#[test]
fn what_concerns_one_domain_goes_below_what_joins_several() {
    run(async {
        let mut both = Both::start().await;
        let mut different = Vec::new();
        for (sql, expected) in BETWEEN {
            match both.explained(sql).await {
                Ok(plan) => different.extend(difference(sql, &plan, expected)),
                Err(error) => different.push(error),
            }
        }
        assert!(different.is_empty(), "{}", different.join("\n"));
    });
}

const BETWEEN: &[(&str, &[&str])] = &[
    (
        "SELECT w.kg, u.tag FROM left.a.t t JOIN left.a.u u ON u.tid = t.id JOIN right.b.w w ON w.id = t.id AND w.id = u.tid",
        &[
            "coordinator: Projection: w.kg, u.tag",
            "coordinator:   Inner Join: t.id = w.id",
            "coordinator:     RemoteFragment: #0 at left",
            "coordinator:     RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Projection: t.id, u.tag",
            "left:   Inner Join: t.id = u.tid",
            "left:     SubqueryAlias: t",
            "left:       Filter: left.a.t.id IS NOT NULL",
            "left:         TableScan: left.a.t projection=[id]",
            "left:     SubqueryAlias: u",
            "left:       Filter: left.a.u.tid IS NOT NULL",
            "left:         TableScan: left.a.u projection=[tid, tag]",
            "right: fragment #1 at node/right/right-1",
            "right: Filter: right.b.w.id IS NOT NULL",
            "right:   TableScan: right.b.w projection=[id, kg]",
        ],
    ),
    (
        "SELECT w.kg, s.tag FROM right.b.w w LEFT JOIN (SELECT t.id, u.tid, u.tag FROM left.a.t t JOIN left.a.u u ON u.tid = t.id) s ON w.id = s.id AND w.id = s.tid",
        &[
            "coordinator: Projection: w.kg, s.tag",
            "coordinator:   Left Join: w.id = s.id",
            "coordinator:     RemoteFragment: #0 at right",
            "coordinator:     RemoteFragment: #1 at left",
            "right: fragment #0 at node/right/right-1",
            "right: TableScan: right.b.w projection=[id, kg]",
            "left: fragment #1 at node/left/left-1",
            "left: Projection: t.id, u.tag",
            "left:   Inner Join: t.id = u.tid",
            "left:     SubqueryAlias: t",
            "left:       Filter: left.a.t.id IS NOT NULL",
            "left:         TableScan: left.a.t projection=[id]",
            "left:     SubqueryAlias: u",
            "left:       Filter: left.a.u.tid IS NOT NULL",
            "left:         TableScan: left.a.u projection=[tid, tag]",
        ],
    ),
    (
        "SELECT w.kg, s.tag FROM right.b.w w LEFT JOIN (SELECT t.id, u.tid, u.tag FROM left.a.t t LEFT JOIN left.a.u u ON u.tid = t.id) s ON w.id = s.id AND w.id = s.tid",
        &[
            "coordinator: Projection: w.kg, s.tag",
            "coordinator:   Left Join: w.id = s.id, w.id = s.tid",
            "coordinator:     RemoteFragment: #0 at right",
            "coordinator:     RemoteFragment: #1 at left",
            "right: fragment #0 at node/right/right-1",
            "right: TableScan: right.b.w projection=[id, kg]",
            "left: fragment #1 at node/left/left-1",
            "left: Filter: u.tid IS NOT NULL",
            "left:   Left Join: t.id = u.tid",
            "left:     SubqueryAlias: t",
            "left:       Filter: left.a.t.id IS NOT NULL",
            "left:         TableScan: left.a.t projection=[id]",
            "left:     SubqueryAlias: u",
            "left:       Filter: left.a.u.tid IS NOT NULL",
            "left:         TableScan: left.a.u projection=[tid, tag]",
        ],
    ),
    (
        "SELECT w.kg, t.grp FROM left.a.t t JOIN right.b.w w ON w.id = t.id AND w.id = t.y",
        &[
            "coordinator: Projection: w.kg, t.grp",
            "coordinator:   Inner Join: t.id = w.id, t.y = w.id",
            "coordinator:     RemoteFragment: #0 at left",
            "coordinator:     RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Filter: left.a.t.id IS NOT NULL AND left.a.t.y IS NOT NULL",
            "left:   TableScan: left.a.t projection=[id, grp, y]",
            "right: fragment #1 at node/right/right-1",
            "right: Filter: right.b.w.id IS NOT NULL",
            "right:   TableScan: right.b.w projection=[id, kg]",
        ],
    ),
    (
        "SELECT id FROM left.a.t UNION ALL SELECT id FROM right.b.t",
        &[
            "coordinator: Union",
            "coordinator:   RemoteFragment: #0 at left",
            "coordinator:   RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: TableScan: left.a.t projection=[id]",
            "right: fragment #1 at node/right/right-1",
            "right: TableScan: right.b.t projection=[id]",
        ],
    ),
    (
        "SELECT id FROM left.a.t UNION ALL SELECT id FROM right.b.t UNION ALL SELECT tid FROM left.a.u UNION ALL SELECT id FROM right.b.w",
        &[
            "coordinator: Union",
            "coordinator:   RemoteFragment: #0 at left",
            "coordinator:   RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Union",
            "left:   TableScan: left.a.t projection=[id]",
            "left:   Projection: left.a.u.tid AS id",
            "left:     TableScan: left.a.u projection=[tid]",
            "right: fragment #1 at node/right/right-1",
            "right: Union",
            "right:   TableScan: right.b.t projection=[id]",
            "right:   TableScan: right.b.w projection=[id]",
        ],
    ),
    (
        "SELECT count(*) FROM (SELECT id FROM left.a.t UNION ALL SELECT id FROM right.b.t LIMIT 3 OFFSET 1)",
        &[
            "coordinator: Projection: count(Int64(1)) AS count(*)",
            "coordinator:   Aggregate: groupBy=[[]], aggr=[[count(Int64(1))]]",
            "coordinator:     Limit: skip=1, fetch=3",
            "coordinator:       Union",
            "coordinator:         RemoteFragment: #0 at left",
            "coordinator:         RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Limit: skip=0, fetch=4",
            "left:   TableScan: left.a.t projection=[], fetch=4",
            "right: fragment #1 at node/right/right-1",
            "right: Limit: skip=0, fetch=4",
            "right:   TableScan: right.b.t projection=[], fetch=4",
        ],
    ),
    (
        "SELECT id FROM left.a.t UNION ALL SELECT id FROM right.b.t ORDER BY id NULLS LAST LIMIT 3 OFFSET 1",
        &[
            "coordinator: Limit: skip=1, fetch=3",
            "coordinator:   Sort: id ASC NULLS LAST, fetch=4",
            "coordinator:     Union",
            "coordinator:       RemoteFragment: #0 at left",
            "coordinator:       RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Sort: left.a.t.id ASC NULLS LAST, fetch=4",
            "left:   TableScan: left.a.t projection=[id]",
            "right: fragment #1 at node/right/right-1",
            "right: Sort: right.b.t.id ASC NULLS LAST, fetch=4",
            "right:   TableScan: right.b.t projection=[id]",
        ],
    ),
    (
        "SELECT n + 1 AS m FROM (SELECT id AS n, x FROM left.a.t UNION ALL SELECT id, x FROM right.b.t) ORDER BY x DESC NULLS LAST, m LIMIT 2",
        &[
            "coordinator: Projection: m",
            "coordinator:   Sort: x DESC NULLS LAST, m ASC NULLS LAST, fetch=2",
            "coordinator:     Projection: n + Int64(1) AS m, x",
            "coordinator:       Union",
            "coordinator:         RemoteFragment: #0 at left",
            "coordinator:         RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Sort: left.a.t.x DESC NULLS LAST, n + Int64(1) ASC NULLS LAST, fetch=2",
            "left:   Projection: left.a.t.id AS n, left.a.t.x",
            "left:     TableScan: left.a.t projection=[id, x]",
            "right: fragment #1 at node/right/right-1",
            "right: Sort: right.b.t.x DESC NULLS LAST, n + Int64(1) ASC NULLS LAST, fetch=2",
            "right:   Projection: right.b.t.id AS n, right.b.t.x",
            "right:     TableScan: right.b.t projection=[id, x]",
        ],
    ),
    (
        "SELECT id FROM left.a.t UNION SELECT id FROM right.b.t",
        &[
            "coordinator: Aggregate: groupBy=[[id]], aggr=[[]]",
            "coordinator:   Union",
            "coordinator:     RemoteFragment: #0 at left",
            "coordinator:     RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: TableScan: left.a.t projection=[id]",
            "right: fragment #1 at node/right/right-1",
            "right: Aggregate: groupBy=[[right.b.t.id]], aggr=[[]]",
            "right:   TableScan: right.b.t projection=[id]",
        ],
    ),
    (
        "SELECT grp FROM left.a.t UNION SELECT name FROM right.b.t UNION SELECT tag FROM left.a.u",
        &[
            "coordinator: Aggregate: groupBy=[[grp]], aggr=[[]]",
            "coordinator:   Union",
            "coordinator:     RemoteFragment: #0 at left",
            "coordinator:     RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Aggregate: groupBy=[[grp]], aggr=[[]]",
            "left:   Union",
            "left:     TableScan: left.a.t projection=[grp]",
            "left:     Projection: left.a.u.tag AS grp",
            "left:       TableScan: left.a.u projection=[tag]",
            "right: fragment #1 at node/right/right-1",
            "right: Aggregate: groupBy=[[grp]], aggr=[[]]",
            "right:   Projection: right.b.t.name AS grp",
            "right:     TableScan: right.b.t projection=[name]",
        ],
    ),
    (
        "SELECT DISTINCT x FROM (SELECT x, id FROM left.a.t UNION ALL SELECT x, id FROM right.b.t) WHERE id > 1",
        &[
            "coordinator: Aggregate: groupBy=[[x]], aggr=[[]]",
            "coordinator:   Union",
            "coordinator:     RemoteFragment: #0 at left",
            "coordinator:     RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Aggregate: groupBy=[[left.a.t.x]], aggr=[[]]",
            "left:   Projection: left.a.t.x",
            "left:     Filter: left.a.t.id > Int64(1)",
            "left:       TableScan: left.a.t projection=[id, x]",
            "right: fragment #1 at node/right/right-1",
            "right: Aggregate: groupBy=[[right.b.t.x]], aggr=[[]]",
            "right:   Projection: right.b.t.x",
            "right:     Filter: right.b.t.id > Int64(1)",
            "right:       TableScan: right.b.t projection=[id, x]",
        ],
    ),
    (
        "SELECT t.id, r.name FROM left.a.t LEFT JOIN right.b.t r ON r.id = t.id ORDER BY t.price DESC NULLS LAST, t.id, r.name LIMIT 2",
        &[
            "coordinator: Projection: left.a.t.id, r.name",
            "coordinator:   Sort: left.a.t.price DESC NULLS LAST, left.a.t.id ASC NULLS LAST, r.name ASC NULLS LAST, fetch=2",
            "coordinator:     Projection: left.a.t.id, r.name, left.a.t.price",
            "coordinator:       Left Join: left.a.t.id = r.id",
            "coordinator:         RemoteFragment: #0 at left",
            "coordinator:         RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: TableScan: left.a.t projection=[id, price]",
            "right: fragment #1 at node/right/right-1",
            "right: Filter: right.b.t.id IS NOT NULL",
            "right:   TableScan: right.b.t projection=[id, name]",
        ],
    ),
    (
        "SELECT t.id, r.name FROM left.a.t LEFT JOIN right.b.t r ON r.id = t.id ORDER BY t.id DESC NULLS LAST LIMIT 2",
        &[
            "coordinator: Sort: left.a.t.id DESC NULLS LAST, fetch=2",
            "coordinator:   Projection: left.a.t.id, r.name",
            "coordinator:     Left Join: left.a.t.id = r.id",
            "coordinator:       RemoteFragment: #0 at left",
            "coordinator:       RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Sort: left.a.t.id DESC NULLS LAST, fetch=2",
            "left:   TableScan: left.a.t projection=[id]",
            "right: fragment #1 at node/right/right-1",
            "right: Filter: right.b.t.id IS NOT NULL",
            "right:   TableScan: right.b.t projection=[id, name]",
        ],
    ),
    (
        "SELECT t.grp, r.name FROM right.b.t r RIGHT JOIN left.a.t ON r.id = t.id ORDER BY t.x NULLS LAST, t.id LIMIT 1",
        &[
            "coordinator: Projection: left.a.t.grp, r.name",
            "coordinator:   Sort: left.a.t.x ASC NULLS LAST, left.a.t.id ASC NULLS LAST, fetch=1",
            "coordinator:     Projection: left.a.t.grp, r.name, left.a.t.x, left.a.t.id",
            "coordinator:       Right Join: r.id = left.a.t.id",
            "coordinator:         RemoteFragment: #0 at right",
            "coordinator:         RemoteFragment: #1 at left",
            "right: fragment #0 at node/right/right-1",
            "right: Filter: right.b.t.id IS NOT NULL",
            "right:   TableScan: right.b.t projection=[id, name]",
            "left: fragment #1 at node/left/left-1",
            "left: Sort: left.a.t.x ASC NULLS LAST, left.a.t.id ASC NULLS LAST, fetch=1",
            "left:   TableScan: left.a.t projection=[id, grp, x]",
        ],
    ),
    (
        "SELECT t.id, r.name FROM left.a.t JOIN right.b.t r ON r.id = t.id",
        &[
            "coordinator: Projection: left.a.t.id, r.name",
            "coordinator:   Inner Join: left.a.t.id = r.id",
            "coordinator:     RemoteFragment: #0 at left",
            "coordinator:     RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Filter: left.a.t.id IS NOT NULL",
            "left:   TableScan: left.a.t projection=[id]",
            "right: fragment #1 at node/right/right-1",
            "right: Filter: right.b.t.id IS NOT NULL",
            "right:   TableScan: right.b.t projection=[id, name]",
        ],
    ),
    (
        "SELECT t.id, r.name FROM left.a.t JOIN right.b.t r ON r.id = t.id JOIN right.b.w ON w.id = t.y",
        &[
            "coordinator: Projection: left.a.t.id, r.name",
            "coordinator:   Inner Join: left.a.t.y = right.b.w.id",
            "coordinator:     Projection: left.a.t.id, left.a.t.y, r.name",
            "coordinator:       Inner Join: left.a.t.id = r.id",
            "coordinator:         RemoteFragment: #0 at left",
            "coordinator:         RemoteFragment: #1 at right",
            "coordinator:     RemoteFragment: #2 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Filter: left.a.t.id IS NOT NULL AND left.a.t.y IS NOT NULL",
            "left:   TableScan: left.a.t projection=[id, y]",
            "right: fragment #1 at node/right/right-1",
            "right: Filter: right.b.t.id IS NOT NULL",
            "right:   TableScan: right.b.t projection=[id, name]",
            "right: fragment #2 at node/right/right-1",
            "right: Filter: right.b.w.id IS NOT NULL",
            "right:   TableScan: right.b.w projection=[id]",
        ],
    ),
    (
        "SELECT t.id, r.name FROM left.a.t JOIN right.b.t r ON r.id = t.id WHERE (t.grp = 'a' AND r.name = 'uno') OR (t.grp = 'b' AND r.name = 'tres')",
        &[
            "coordinator: Projection: left.a.t.id, r.name",
            "coordinator:   Inner Join: left.a.t.id = r.id Filter: left.a.t.grp = Utf8View(\"a\") AND r.name = Utf8View(\"uno\") OR left.a.t.grp = Utf8View(\"b\") AND r.name = Utf8View(\"tres\")",
            "coordinator:     RemoteFragment: #0 at left",
            "coordinator:     RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Filter: (left.a.t.grp = Utf8View(\"a\") OR left.a.t.grp = Utf8View(\"b\")) AND left.a.t.id IS NOT NULL",
            "left:   TableScan: left.a.t projection=[id, grp]",
            "right: fragment #1 at node/right/right-1",
            "right: Filter: (right.b.t.name = Utf8View(\"uno\") OR right.b.t.name = Utf8View(\"tres\")) AND right.b.t.id IS NOT NULL",
            "right:   TableScan: right.b.t projection=[id, name]",
        ],
    ),
    (
        "SELECT id FROM left.a.t WHERE id IN (SELECT id FROM right.b.t)",
        &[
            "coordinator: LeftSemi Join: left.a.t.id = __correlated_sq_1.id",
            "coordinator:   RemoteFragment: #0 at left",
            "coordinator:   RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Filter: left.a.t.id IS NOT NULL",
            "left:   TableScan: left.a.t projection=[id]",
            "right: fragment #1 at node/right/right-1",
            "right: Aggregate: groupBy=[[__correlated_sq_1.id]], aggr=[[]]",
            "right:   SubqueryAlias: __correlated_sq_1",
            "right:     Filter: right.b.t.id IS NOT NULL",
            "right:       TableScan: right.b.t projection=[id]",
        ],
    ),
    (
        "SELECT id FROM left.a.t WHERE id NOT IN (SELECT id FROM right.b.t)",
        &[
            "coordinator: LeftAnti Join: left.a.t.id = __correlated_sq_1.id null_aware",
            "coordinator:   RemoteFragment: #0 at left",
            "coordinator:   RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: TableScan: left.a.t projection=[id]",
            "right: fragment #1 at node/right/right-1",
            "right: Aggregate: groupBy=[[__correlated_sq_1.id]], aggr=[[]]",
            "right:   SubqueryAlias: __correlated_sq_1",
            "right:     TableScan: right.b.t projection=[id]",
        ],
    ),
    (
        "SELECT id FROM left.a.t WHERE NOT EXISTS (SELECT 1 FROM right.b.t r WHERE r.id = t.id AND r.x > t.x)",
        &[
            "coordinator: Projection: left.a.t.id",
            "coordinator:   LeftAnti Join: left.a.t.id = __correlated_sq_1.id Filter: __correlated_sq_1.x > left.a.t.x",
            "coordinator:     RemoteFragment: #0 at left",
            "coordinator:     RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: TableScan: left.a.t projection=[id, x]",
            "right: fragment #1 at node/right/right-1",
            "right: Aggregate: groupBy=[[__correlated_sq_1.id, __correlated_sq_1.x]], aggr=[[]]",
            "right:   SubqueryAlias: __correlated_sq_1",
            "right:     SubqueryAlias: r",
            "right:       Filter: right.b.t.id IS NOT NULL",
            "right:         TableScan: right.b.t projection=[id, x]",
        ],
    ),
    (
        "SELECT id FROM left.a.t WHERE x > 40 OR EXISTS (SELECT 1 FROM right.b.t r WHERE r.id = t.id)",
        &[
            "coordinator: Projection: left.a.t.id",
            "coordinator:   Filter: left.a.t.x > Int64(40) OR __correlated_sq_1.mark",
            "coordinator:     LeftMark Join: left.a.t.id = __correlated_sq_1.id",
            "coordinator:       RemoteFragment: #0 at left",
            "coordinator:       RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: TableScan: left.a.t projection=[id, x]",
            "right: fragment #1 at node/right/right-1",
            "right: Aggregate: groupBy=[[__correlated_sq_1.id]], aggr=[[]]",
            "right:   SubqueryAlias: __correlated_sq_1",
            "right:     SubqueryAlias: r",
            "right:       Filter: right.b.t.id IS NOT NULL",
            "right:         TableScan: right.b.t projection=[id]",
        ],
    ),
    (
        "SELECT id FROM left.a.t INTERSECT SELECT id FROM right.b.t",
        &[
            "coordinator: LeftSemi Join: left.a.t.id = right.b.t.id",
            "coordinator:   RemoteFragment: #0 at left",
            "coordinator:   RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Aggregate: groupBy=[[left.a.t.id]], aggr=[[]]",
            "left:   TableScan: left.a.t projection=[id]",
            "right: fragment #1 at node/right/right-1",
            "right: Aggregate: groupBy=[[right.b.t.id]], aggr=[[]]",
            "right:   TableScan: right.b.t projection=[id]",
        ],
    ),
    (
        "SELECT id FROM left.a.t EXCEPT SELECT id FROM right.b.t",
        &[
            "coordinator: LeftAnti Join: left.a.t.id = right.b.t.id",
            "coordinator:   RemoteFragment: #0 at left",
            "coordinator:   RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Aggregate: groupBy=[[left.a.t.id]], aggr=[[]]",
            "left:   TableScan: left.a.t projection=[id]",
            "right: fragment #1 at node/right/right-1",
            "right: Aggregate: groupBy=[[right.b.t.id]], aggr=[[]]",
            "right:   TableScan: right.b.t projection=[id]",
        ],
    ),
    (
        "WITH c AS (SELECT id, count(*) AS n FROM right.b.t GROUP BY id) SELECT l.id, a.n, b.n AS m FROM left.a.t l JOIN c a ON a.id = l.id JOIN c b ON b.id = l.y",
        &[
            "coordinator: Projection: l.id, a.n, b.n AS m",
            "coordinator:   Inner Join: l.y = b.id",
            "coordinator:     Projection: l.id, l.y, a.n",
            "coordinator:       Inner Join: l.id = a.id",
            "coordinator:         RemoteFragment: #0 at left",
            "coordinator:         RemoteFragment: #1 at right",
            "coordinator:     RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Filter: left.a.t.id IS NOT NULL AND left.a.t.y IS NOT NULL",
            "left:   TableScan: left.a.t projection=[id, y]",
            "right: fragment #1 at node/right/right-1",
            "right: Projection: right.b.t.id, count(Int64(1)) AS count(*) AS n",
            "right:   Aggregate: groupBy=[[right.b.t.id]], aggr=[[count(Int64(1))]]",
            "right:     Filter: right.b.t.id IS NOT NULL",
            "right:       TableScan: right.b.t projection=[id]",
        ],
    ),
    (
        "SELECT id FROM left.a.t WHERE x > (SELECT min(x) FROM right.b.t) AND y < 6",
        &[
            "coordinator: RemoteFragment: #1 at left",
            "coordinator: scalar_0:",
            "coordinator: RemoteFragment: #0 at right",
            "right: fragment #0 at node/right/right-1",
            "right: Aggregate: groupBy=[[]], aggr=[[min(right.b.t.x)]]",
            "right:   TableScan: right.b.t projection=[x]",
            "right: literal scalar_0 for fragment #1",
            "left: fragment #1 at node/left/left-1",
            "left: Projection: left.a.t.id",
            "left:   Filter: left.a.t.y < Int64(6) AND left.a.t.x > scalar_0()",
            "left:     TableScan: left.a.t projection=[id, x, y]",
        ],
    ),
    (
        "SELECT id FROM left.a.t WHERE lpad(grp, 3, '.') = '..a' AND x > 10",
        &[
            "coordinator: Projection: left.a.t.id",
            "coordinator:   Filter: lpad(left.a.t.grp, Int64(3), Utf8(\".\")) = Utf8(\"..a\")",
            "coordinator:     RemoteFragment: #0 at left",
            "left: fragment #0 at node/left/left-1",
            "left: Filter: left.a.t.x > Int64(10)",
            "left:   TableScan: left.a.t projection=[id, grp, x]",
        ],
    ),
    (
        "SELECT lpad(grp, 3, '.') AS padded FROM left.a.t ORDER BY id LIMIT 2",
        &[
            "coordinator: Projection: padded",
            "coordinator:   Sort: left.a.t.id ASC NULLS LAST, fetch=2",
            "coordinator:     Projection: lpad(left.a.t.grp, Int64(3), Utf8(\".\")) AS padded, left.a.t.id",
            "coordinator:       RemoteFragment: #0 at left",
            "left: fragment #0 at node/left/left-1",
            "left: Sort: left.a.t.id ASC NULLS LAST, fetch=2",
            "left:   TableScan: left.a.t projection=[id, grp]",
        ],
    ),
    (
        "WITH RECURSIVE r AS (SELECT id, y FROM left.a.t WHERE id = 1 UNION ALL SELECT t.id, t.y FROM r JOIN left.a.t ON t.id = r.y + 2) SELECT id, y FROM r",
        &[
            "coordinator: SubqueryAlias: r",
            "coordinator:   RecursiveQuery: is_distinct=false",
            "coordinator:     RemoteFragment: #0 at left",
            "coordinator:     Projection: left.a.t.id, left.a.t.y",
            "coordinator:       Inner Join: r.y + Int64(2) = left.a.t.id",
            "coordinator:         Filter: r.y + Int64(2) IS NOT NULL",
            "coordinator:           TableScan: r projection=[y]",
            "coordinator:         RemoteFragment: #1 at left",
            "left: fragment #0 at node/left/left-1",
            "left: Filter: left.a.t.id = Int64(1)",
            "left:   TableScan: left.a.t projection=[id, y]",
            "left: fragment #1 at node/left/left-1",
            "left: Filter: left.a.t.id IS NOT NULL",
            "left:   TableScan: left.a.t projection=[id, y]",
        ],
    ),
    (
        "WITH RECURSIVE r AS (SELECT id FROM left.a.t WHERE id = 1 UNION ALL SELECT r.id + 2 FROM r JOIN right.b.t b ON b.id = r.id) SELECT id FROM r",
        &[
            "coordinator: SubqueryAlias: r",
            "coordinator:   RecursiveQuery: is_distinct=false",
            "coordinator:     RemoteFragment: #0 at left",
            "coordinator:     Projection: r.id + Int64(2)",
            "coordinator:       Inner Join: r.id = b.id",
            "coordinator:         Filter: r.id IS NOT NULL",
            "coordinator:           TableScan: r projection=[id]",
            "coordinator:         RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Filter: left.a.t.id = Int64(1)",
            "left:   TableScan: left.a.t projection=[id]",
            "right: fragment #1 at node/right/right-1",
            "right: Filter: right.b.t.id IS NOT NULL",
            "right:   TableScan: right.b.t projection=[id]",
        ],
    ),
    (
        "SELECT v.id, t.grp, r.name FROM (VALUES (1), (3)) v(id) JOIN left.a.t ON t.id = v.id JOIN right.b.t r ON r.id = t.id",
        &[
            "coordinator: Projection: v.id, left.a.t.grp, r.name",
            "coordinator:   Inner Join: left.a.t.id = r.id",
            "coordinator:     RemoteFragment: #0 at left",
            "coordinator:     RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Inner Join: v.id = left.a.t.id",
            "left:   SubqueryAlias: v",
            "left:     Projection: column1 AS id",
            "left:       Filter: column1 IS NOT NULL",
            "left:         Values: (Int64(1)), (Int64(3))",
            "left:   Filter: left.a.t.id IS NOT NULL",
            "left:     TableScan: left.a.t projection=[id, grp]",
            "right: fragment #1 at node/right/right-1",
            "right: Filter: right.b.t.id IS NOT NULL",
            "right:   TableScan: right.b.t projection=[id, name]",
        ],
    ),
    (
        "SELECT unnest(make_array(t.x, r.x)) AS v FROM left.a.t JOIN right.b.t r ON r.id = t.id",
        &[
            "coordinator: Projection: __unnest_placeholder(make_array(left.a.t.x,r.x),depth=1) AS UNNEST(make_array(left.a.t.x,r.x)) AS v",
            "coordinator:   Unnest: lists[__unnest_placeholder(make_array(left.a.t.x,r.x))|depth=1] structs[]",
            "coordinator:     Projection: make_array(left.a.t.x, r.x) AS __unnest_placeholder(make_array(left.a.t.x,r.x))",
            "coordinator:       Inner Join: left.a.t.id = r.id",
            "coordinator:         RemoteFragment: #0 at left",
            "coordinator:         RemoteFragment: #1 at right",
            "left: fragment #0 at node/left/left-1",
            "left: Filter: left.a.t.id IS NOT NULL",
            "left:   TableScan: left.a.t projection=[id, x]",
            "right: fragment #1 at node/right/right-1",
            "right: Filter: right.b.t.id IS NOT NULL",
            "right:   TableScan: right.b.t projection=[id, x]",
        ],
    ),
];

/// Each step of the planner changes what crosses and never what is answered.
#[test]
fn every_step_can_be_left_out() {
    run(async {
        let mut both = Both::start().await;
        let mut wrong = Vec::new();
        for step in Optimization::ALL {
            let name = step.name();
            let set = format!("SET weft.optimizer.{name} = off");
            both.analyst.query(&set).await.expect("set");
            for (sql, _) in BETWEEN {
                if let Err(error) = both.compared(sql).await {
                    wrong.push(format!("without {name}: {error}"));
                }
            }
            let set = format!("SET weft.optimizer.{name} = on");
            both.analyst.query(&set).await.expect("set");
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// What is read twice in the same way is one fragment.
#[test]
fn a_name_that_is_used_twice_is_shipped_once() {
    run(async {
        let mut both = Both::start().await;
        let sql = "WITH c AS (SELECT id, count(*) AS n FROM right.b.t GROUP BY id) SELECT l.id, a.n, b.n AS m FROM left.a.t l JOIN c a ON a.id = l.id JOIN c b ON b.id = l.y";
        let fragments = async |both: &mut Both| {
            let plan = both.explained(sql).await.expect("the same answer");
            let shown = at(&plan, "right");
            shown
                .iter()
                .filter(|line| line.starts_with("fragment"))
                .count()
        };
        assert_eq!(fragments(&mut both).await, 1);
        let set = "SET weft.optimizer.share = off";
        both.analyst.query(set).await.expect("set");
        assert_eq!(fragments(&mut both).await, 2);
    });
}
