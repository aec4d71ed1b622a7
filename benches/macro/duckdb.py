"""Answers queries over Parquet files with DuckDB: a line of JSON in, a line of JSON out."""

import json
import sys
import time

import duckdb

TABLES = "orders lineitem customer nation region part supplier partsupp".split()


def answer(connection, sql):
    cpu, started = time.process_time(), time.perf_counter()
    try:
        rows = len(connection.execute(sql).fetchall())
    except duckdb.Error as error:
        return {"failed": str(error)}
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {
        "done": {
            "seconds": seconds,
            "cpu_seconds": cpu,
            "answer": {"rows": rows, "checksum": None},
        }
    }


def main(folder):
    connection = duckdb.connect()
    for table in TABLES:
        file = f"{folder}/{table}.parquet".replace("'", "''")
        connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{file}')")
    print(json.dumps({"version": duckdb.__version__}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(connection, json.loads(line)["sql"])), flush=True)


main(sys.argv[1])
