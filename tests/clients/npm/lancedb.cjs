// @lancedb/arrow-flight-sql-client.
"use strict";

const { assert, packages, run, plain, ORDERS, LINES, TYPES } = require("./common.cjs");
const { Client } = packages("@lancedb/arrow-flight-sql-client");

function connect({ host, port, user: username, password }) {
  return Client.connect({ host: `${host}:${port}`, username, password, insecure: true });
}

async function batches(told, sql) {
  const client = await connect(told);
  return (await client.query(sql)).collectToArrow();
}

run({
  async query(told) {
    const sql = `SELECT o_orderkey, o_orderstatus FROM ${ORDERS} ORDER BY o_orderkey LIMIT 3`;
    const [batch] = await batches(told, sql);
    assert.deepEqual([...batch.getChild("o_orderstatus")], ["O", "O", "F"]);
    await assert.rejects(batches(told, "SELECT nope FROM nowhere"));
  },
  async empty(told) {
    const found = await batches(told, `SELECT o_comment FROM ${ORDERS} WHERE false`);
    assert.equal(found.reduce((rows, batch) => rows + batch.numRows, 0), 0);
  },
  async large(told) {
    const found = await batches(told, `SELECT * FROM ${LINES}`);
    assert.equal(found.reduce((rows, batch) => rows + batch.numRows, 0), 60175);
    assert.ok(found.length > 1);
  },
  async types(told) {
    const wrong = [];
    for (const [sql, type, value] of TYPES) {
      const [batch] = await batches(told, `SELECT ${sql} AS v`);
      const found = [batch.schema.fields[0].type.toString(), plain(batch.getChildAt(0).get(0))];
      if (found[0] !== type || found[1] !== value) wrong.push([sql, type, value, ...found]);
    }
    assert.deepEqual(wrong, []);
  },
  async refused(told) {
    await assert.rejects(connect(told), /password is wrong/);
  },
  async lost(told) {
    const client = await connect(told);
    const sql = `SELECT a.l_comment FROM ${LINES} a CROSS JOIN ${LINES} b`;
    const result = await client.query(sql);
    await assert.rejects(async () => {
      for await (const batch of result.toArrowStream()) {
        if (batch.numRows > 0) console.log("running");
      }
    });
  },
});
