// @firetiger-oss/flight-sql-client. It sends the token that it was given with every call.
"use strict";

const { assert, packages, run, plain, endless, ORDERS, LINES, TYPES } = require("./common.cjs");
const { FlightSQLClient } = packages("@firetiger-oss/flight-sql-client");

async function connect({ host, port, token }) {
  const client = new FlightSQLClient({ host, port, plaintext: true, token });
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
  async refused({ host, port, password }) {
    const client = new FlightSQLClient({ host, port, plaintext: true, username: "analyst", password });
    // Its message hides what the server said; the cause has it.
    const refused = (error) => /Authentication failed/.test(error.originalError?.message);
    await assert.rejects(client.connect(), refused);
    await assert.rejects(connect({ host, port, token: "none" }), refused);
  },
  async lost(told) {
    const client = await connect(told);
    await endless((sql) => client.execute(sql));
  },
});
