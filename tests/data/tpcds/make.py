#!/usr/bin/env python3
"""TPC-DS by DuckDB: the data, the texts of the 99 queries, and DuckDB's answers to them.

    python tests/data/tpcds/make.py data DIR
    python tests/data/tpcds/make.py answers DIR QUERIES ANSWERS

`data` fills DIR, unless it is there, with tables/NAME.parquet and queries/qNN.sql as the `tpcds`
extension inside the wheel duckdb==1.1.3 has them. `answers` answers each QUERIES/qNN.sql over those
tables into ANSWERS/qNN.arrow. README.md beside this file tells which rows are in the tables.
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import duckdb
import pyarrow

# Below scale 1 the smallest tables have one row each, and a quarter of the answers none.
SCALE = 1

# One customer in so many is kept, with everything that he ever bought or returned; one item in so
# many is kept in the inventory.
ONE_IN = 50
REST = 7

# Customers and items that the most particular questions are about, and who would be thinned out.
WITNESSES = [
    1026, 1134, 5756, 6107, 7020, 8681, 8891, 10226, 12239, 12263, 12635, 12702, 13155, 13323,
    14433, 15032, 15204, 15467, 15580, 17373, 17457, 18825, 26774, 26788, 28405, 33046, 38356,
    38417, 38776, 39643, 41475, 41755, 45519, 45663, 46891, 48268, 49375, 49907, 51484, 54652,
    57221, 59736, 60025, 60505, 60867, 62676, 63083, 68424, 70982, 82198, 88110, 89741, 92054,
    96196,
]
STOCKED = [7255, 10123, 11300]

# By table: which of its rows are kept. Facts first, then what they speak of.
FACTS = {
    "store_sales": "ss_ticket_number in (select n from ticket)",
    "store_returns": "sr_ticket_number in (select n from ticket)",
    "catalog_sales": "cs_order_number in (select n from catalog_order)",
    "catalog_returns": "cr_order_number in (select n from catalog_order)",
    "web_sales": "ws_order_number in (select n from web_order)",
    "web_returns": "wr_order_number in (select n from web_order)",
    "inventory": f"inv_item_sk % {ONE_IN} = {REST} or inv_item_sk in (select unnest($stocked))",
}

# Purchases: the facts, their number, and who paid for them (which is unknown in some of the rows).
PURCHASES = {
    "ticket": ("store_sales", "ss_ticket_number", "ss_customer_sk"),
    "catalog_order": ("catalog_sales", "cs_order_number", "cs_bill_customer_sk"),
    "web_order": ("web_sales", "ws_order_number", "ws_bill_customer_sk"),
}

# Tables that grow with the scale are kept as far as something kept refers to them.
REFERRED = {
    "customer": ("c_customer_sk", "customer_sk"),
    "customer_address": ("ca_address_sk", "addr_sk"),
    "customer_demographics": ("cd_demo_sk", "cdemo_sk"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    data = commands.add_parser("data")
    data.add_argument("folder", type=Path)
    answers = commands.add_parser("answers")
    answers.add_argument("folder", type=Path)
    answers.add_argument("queries", type=Path)
    answers.add_argument("answers", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "data":
        make_data(arguments.folder)
    else:
        answer(arguments.folder, arguments.queries, arguments.answers)


def make_data(folder: Path) -> None:
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    try:
        generate(scratch)
        # Whole or not at all; who comes second finds it there.
        os.rename(scratch, folder)
    except OSError:
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def generate(folder: Path) -> None:
    tables, queries = folder / "tables", folder / "queries"
    tables.mkdir()
    queries.mkdir()
    connection = duckdb.connect()
    connection.execute("load tpcds")
    connection.execute(f"call dsdgen(sf = {SCALE})")
    thin(connection)
    for (table,) in connection.execute("select table_name from duckdb_tables()").fetchall():
        connection.execute(f"copy {table} to '{tables / table}.parquet' (format parquet)")
    for number, text in connection.execute("from tpcds_queries()").fetchall():
        (queries / f"q{number:02}.sql").write_text(text)


def thin(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "create temp table buyer as"
        f" select c_customer_sk as k from customer where c_customer_sk % {ONE_IN} = {REST}"
        " union select unnest($witnesses)",
        {"witnesses": WITNESSES},
    )
    for purchase, (table, number, payer) in PURCHASES.items():
        connection.execute(
            f"create temp table {purchase} as select {number} as n from {table}"
            f" group by {number} having max({payer}) in (select k from buyer)"
        )
    for table, condition in FACTS.items():
        values = {"stocked": STOCKED} if "$stocked" in condition else {}
        replace(connection, table, condition, values)
    for table, (key, suffix) in REFERRED.items():
        columns = connection.execute(
            "select table_name, column_name from duckdb_columns()"
            f" where table_name <> '{table}' and column_name like '%{suffix}'"
            " and table_name not in (select table_name from duckdb_tables() where temporary)"
        ).fetchall()
        known = " union ".join(f"select {column} from {table}" for table, column in columns)
        replace(connection, table, f"{key} in ({known})", {})
    for purchase in ["buyer", *PURCHASES]:
        connection.execute(f"drop table {purchase}")


def replace(connection: duckdb.DuckDBPyConnection, table: str, condition: str, values: dict) -> None:
    connection.execute(f"create table kept as select * from {table} where {condition}", values)
    connection.execute(f"drop table {table}")
    connection.execute(f"alter table kept rename to {table}")


def answer(folder: Path, queries: Path, answers: Path) -> None:
    answers.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    for table in sorted((folder / "tables").glob("*.parquet")):
        connection.execute(f"create table {table.stem} as from read_parquet('{table}')")
    for query in sorted(queries.glob("q*.sql")):
        table = connection.sql(query.read_text()).arrow()
        with pyarrow.OSFile(str(answers / f"{query.stem}.arrow"), "wb") as file:
            with pyarrow.ipc.new_stream(file, table.schema) as writer:
                writer.write_table(table)


if __name__ == "__main__":
    main()
