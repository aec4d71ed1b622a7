// @lakehouse-rs/flight-sql-client: an older client in Rust, behind bindings. It prepares every query. Where
// a sign-in or a stream fails its worker panics with what the server said, and its promise never settles.
"use strict";

const { assert, packages, run, plain, endless, ORDERS, LINES, TYPES } = require("./common.cjs");
const { createFlightSqlClient } = packages("@lakehouse-rs/flight-sql-client");
const { tableFromIPC } = packages("apache-arrow");

function connect({ host, port, user: username, password }) {
  return createFlightSqlClient({ host, port, tls: false, username, password, headers: [] });
}

async function fetched(told, sql) {
  const client = await connect(told);
  return tableFromIPC(await client.query(sql));
}

run({
  async query(told) {
    const sql = `SELECT o_orderkey, o_orderstatus FROM ${ORDERS} ORDER BY o_orderkey LIMIT 3`;
    const table = await fetched(told, sql);
    assert.deepEqual([...table.getChild("o_orderstatus")], ["O", "O", "F"]);
    await assert.rejects(fetched(told, "SELECT nope FROM nowhere"));
  },
  async empty(told) {
    const table = await fetched(told, `SELECT o_comment FROM ${ORDERS} WHERE false`);
    assert.equal(table.numRows, 0);
  },
  async large(told) {
    const table = await fetched(told, `SELECT * FROM ${LINES}`);
    assert.equal(table.numRows, 60175);
  },
  async types(told) {
    const wrong = [];
    for (const [sql, type, value] of TYPES) {
      const table = await fetched(told, `SELECT ${sql} AS v`);
      const found = [table.schema.fields[0].type.toString(), plain(table.getChildAt(0).get(0))];
      if (found[0] !== type || found[1] !== value) wrong.push([sql, type, value, ...found]);
    }
    assert.deepEqual(wrong, []);
  },
  async metadata(told) {
    const client = await connect(told);
    const names = (buffer, column) => [...tableFromIPC(buffer).getChild(column)];
    assert.ok(names(await client.getCatalogs(), "catalog_name").includes("sales"));
    assert.deepEqual(names(await client.getDbSchemas({ catalog: "sales" }), "db_schema_name"), ["orders"]);
    const tables = await client.getTables({ tableNameFilterPattern: "line%", includeSchema: true });
    assert.deepEqual(names(tables, "table_name"), ["lineitem"]);
  },
  async refused(told) {
    await connect(told);
  },
  async lost(told) {
    const client = await connect(told);
    await endless((sql) => client.query(sql));
  },
});
