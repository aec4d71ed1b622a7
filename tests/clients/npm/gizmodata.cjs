// @gizmodata/gizmosql-client.
"use strict";

const { assert, packages, run, plain, endless, ORDERS, LINES, TYPES } = require("./common.cjs");
const { FlightSQLClient } = packages("@gizmodata/gizmosql-client");

async function connect({ host, port, tls, user: username, password }) {
  const place = { host, port, plaintext: !tls, tlsSkipVerify: tls };
  const client = new FlightSQLClient({ ...place, username, password });
  await client.connect();
  return client;
}

run({
  async query(told) {
    const client = await connect(told);
    const sql = `SELECT o_orderkey, o_orderstatus FROM ${ORDERS} ORDER BY o_orderkey LIMIT 3`;
    const table = await client.execute(sql);
    assert.deepEqual([...table.getChild("o_orderstatus")], ["O", "O", "F"]);
    await assert.rejects(client.execute("SELECT nope FROM nowhere"));
  },
  async empty(told) {
    const client = await connect(told);
    const table = await client.execute(`SELECT o_comment FROM ${ORDERS} WHERE false`);
    assert.equal(table.numRows, 0);
    assert.equal(table.schema.fields[0].name, "o_comment");
  },
  async large(told) {
    const client = await connect(told);
    const table = await client.execute(`SELECT * FROM ${LINES}`);
    assert.equal(table.numRows, 60175);
    assert.ok(table.batches.length > 1);
  },
  async types(told) {
    const wrong = [];
    const client = await connect(told);
    for (const [sql, type, value] of TYPES) {
      const table = await client.execute(`SELECT ${sql} AS v`);
      const found = [table.schema.fields[0].type.toString(), plain(table.getChildAt(0).get(0))];
      if (found[0] !== type || found[1] !== value) wrong.push([sql, type, value, ...found]);
    }
    assert.deepEqual(wrong, []);
  },
  async metadata(told) {
    const client = await connect(told);
    assert.ok((await client.getCatalogs()).includes("sales"));
    assert.ok((await client.getTables("sales")).some((it) => it.tableName === "lineitem"));
    assert.ok((await client.getTableTypes()).includes("TABLE"));
    assert.ok((await client.getSqlInfo()).size > 10);
    await client.getSchemas();
  },
  async refused(told) {
    await assert.rejects(connect(told), /password is wrong/);
  },
  async lost(told) {
    const client = await connect(told);
    await endless((sql) => client.execute(sql));
  },
});
