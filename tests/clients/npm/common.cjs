// What the clients from npm have in common: where packages are found, and how a case ends.
"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const { createRequire } = require("node:module");

const packages = createRequire(path.join(process.env.WEFT_TEST_NODE_MODULES, "package.json"));
const [, , wanted, told] = process.argv;

const ORDERS = "sales.orders.orders";
const LINES = "sales.orders.lineitem";

// A type, a value of it in SQL, its type and its value as they arrive.
const TYPES = [
  ["true", "Bool", "true"],
  ["arrow_cast(-128, 'Int8')", "Int8", "-128"],
  ["arrow_cast(9223372036854775807, 'Int64')", "Int64", "9223372036854775807"],
  ["arrow_cast(18446744073709551615, 'UInt64')", "Uint64", "18446744073709551615"],
  ["arrow_cast(1.5, 'Float32')", "Float32", "1.5"],
  ["arrow_cast(-0.1, 'Float64')", "Float64", "-0.1"],
  ["arrow_cast('ü☃', 'Utf8View')", "Utf8", "ü☃"],
  ["arrow_cast('ü☃', 'LargeUtf8')", "LargeUtf8", "ü☃"],
  ["arrow_cast('a', 'Dictionary(Int32, Utf8)')", "Utf8", "a"],
  ["X'00ff'", "Binary", "0,255"],
  ["arrow_cast([1, 2, NULL], 'List(Int64)')", "List<Int64>", "[1,2,null]"],
  ["named_struct('a', 1, 'b', 'x')", "Struct<{a:Int64, b:Utf8}>", '{"a":1,"b":"x"}'],
  ["CAST(NULL AS BIGINT)", "Int64", "null"],
];

function plain(value) {
  if (value === null || value === undefined) return "null";
  if (typeof value === "object" && !(value instanceof Uint8Array) && value.toJSON) {
    const text = (_, it) => (typeof it === "bigint" ? Number(it) : it);
    return JSON.stringify(value.toJSON(), text);
  }
  return value.toString();
}

function run(cases) {
  cases[wanted](JSON.parse(told)).then(
    () => process.exit(0),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}

// Runs by `query` what does not end while anybody waits for it: it is to fail.
async function endless(query) {
  const sql = `SELECT a.l_comment FROM ${LINES} a CROSS JOIN ${LINES} b LIMIT 40000000`;
  const running = query(sql);
  console.log("running");
  await assert.rejects(running);
}

module.exports = { assert, packages, run, plain, endless, ORDERS, LINES, TYPES };
