"""Data frames and DuckDB on what ADBC fetches."""

import duckdb
import pandas
import polars
from adbc import ENDLESS, LINES, ORDERS, connect
from mesh import refused


def cases(mesh):
    def analyst():
        return connect(mesh.coordinator, **mesh.user())

    def pandas_reads():
        with analyst() as connection:
            frame = pandas.read_sql(
                f"SELECT o_orderkey, o_orderdate, o_totalprice, o_comment FROM {ORDERS} ORDER BY 1",
                connection,
            )
            assert len(frame) == 15000 and frame["o_orderkey"].iloc[0] == 1
            none = pandas.read_sql(f"SELECT o_orderkey FROM {ORDERS} WHERE false", connection)
            assert none.empty and list(none.columns) == ["o_orderkey"]
            typed = pandas.read_sql(
                f"SELECT * FROM {ORDERS} LIMIT 5", connection, dtype_backend="pyarrow"
            )
            assert len(typed) == 5

    def pandas_while_a_domain_is_down():
        with analyst() as connection:
            mesh.kill("supply")
            try:
                frame = pandas.read_sql(f"SELECT count(*) AS n FROM {ORDERS}", connection)
                assert frame["n"].iloc[0] == 15000
            finally:
                mesh.start("supply")

    def pandas_writes_nothing():
        with analyst() as connection:
            with refused("Failed to insert") as it:
                pandas.DataFrame({"a": [1]}).to_sql("t", connection, index=False)
            assert "cannot be written" in str(it.error.__cause__), it.error.__cause__

    def pandas_loses_a_node():
        with analyst() as connection, connection.cursor() as cursor:
            cursor.execute(ENDLESS)
            reader = cursor.fetch_record_batch()
            reader.read_next_batch()
            mesh.kill("sales")
            try:
                with refused():
                    reader.read_pandas()
            finally:
                mesh.start("sales")

    def polars_reads():
        with analyst() as connection:
            frame = polars.read_database(f"SELECT * FROM {ORDERS}", connection)
            assert frame.height == 15000
            few = polars.read_database(
                f"SELECT o_orderkey FROM {ORDERS} WHERE o_orderkey < ?",
                connection,
                execute_options={"parameters": (4,)},
            )
            assert sorted(few["o_orderkey"]) == [1, 2, 3]
            none = polars.read_database(f"SELECT o_comment FROM {ORDERS} WHERE false", connection)
            assert none.height == 0 and none.columns == ["o_comment"]
            parts = polars.read_database(f"SELECT * FROM {LINES}", connection, iter_batches=True)
            heights = [part.height for part in parts]
            assert sum(heights) == 60175 and len(heights) > 1, heights
        with refused("password is wrong"):
            with connect(mesh.coordinator, username="analyst", password="no") as connection:
                polars.read_database("SELECT 1", connection)

    def duckdb_streams():
        with analyst() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT l_returnflag, l_quantity, l_shipdate FROM {LINES}")
            lines = cursor.fetch_record_batch()
            found = duckdb.sql(
                "SELECT l_returnflag, count(*), sum(l_quantity) FROM lines GROUP BY 1 ORDER BY 1"
            ).fetchall()
            assert [flag for flag, _, _ in found] == ["A", "N", "R"], found
            assert sum(n for _, n, _ in found) == 60175, found
            cursor.execute(f"SELECT o_orderkey FROM {ORDERS} WHERE false")
            nothing = cursor.fetch_arrow_table()
            assert duckdb.sql("SELECT count(*) FROM nothing").fetchall() == [(0,)]
            del lines, nothing

    yield "pandas reads", pandas_reads
    yield "pandas reads while a domain is down", pandas_while_a_domain_is_down
    yield "pandas is told that nothing is written", pandas_writes_nothing
    yield "pandas loses a node in mid-stream", pandas_loses_a_node
    yield "polars reads", polars_reads
    yield "DuckDB computes on a stream", duckdb_streams
