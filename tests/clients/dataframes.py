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

    def pandas_reads_much():
        with analyst() as connection:
            assert len(pandas.read_sql(f"SELECT * FROM {LINES}", connection)) == 60175

    def wrong_password(read):
        with refused("password is wrong"):
            with connect(mesh.coordinator, username="analyst", password="no") as connection:
                read(connection)

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
            none = polars.read_database(f"SELECT o_comment FROM {ORDERS} WHERE false", connection)
            assert none.height == 0 and none.columns == ["o_comment"]

    def polars_binds():
        with analyst() as connection:
            few = polars.read_database(
                f"SELECT o_orderkey FROM {ORDERS} WHERE o_orderkey < ?",
                connection,
                execute_options={"parameters": (4,)},
            )
            assert sorted(few["o_orderkey"]) == [1, 2, 3]

    def polars_reads_much():
        with analyst() as connection:
            parts = polars.read_database(f"SELECT * FROM {LINES}", connection, iter_batches=True)
            heights = [part.height for part in parts]
            assert sum(heights) == 60175 and len(heights) > 1, heights

    def polars_leaves():
        with analyst() as connection:
            parts = polars.read_database(ENDLESS, connection, iter_batches=True)
            assert next(iter(parts)).height > 0
            del parts
        mesh.wait_until_idle("sales")

    def polars_loses_a_node():
        connection = analyst()
        parts = iter(polars.read_database(ENDLESS, connection, iter_batches=True))
        assert next(parts).height > 0
        mesh.kill("sales")
        try:
            with refused("sales"):
                for _ in parts:
                    pass
        finally:
            mesh.start("sales")
        del parts
        connection.close()

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

    by_adbc = "not run: it is that of the ADBC connection that it is given"
    yield "pandas: connect, query and empty result", pandas_reads
    yield "pandas: wrong password", lambda: wrong_password(lambda it: pandas.read_sql("SELECT 1", it))
    yield "pandas: parameters", lambda: "not run: it binds none with ADBC"
    yield "pandas: metadata, while a domain is down", pandas_while_a_domain_is_down
    yield "pandas: large result", pandas_reads_much
    yield "pandas: cancel", lambda: by_adbc
    yield "pandas: node killed in mid-stream", pandas_loses_a_node
    yield "pandas: is told that nothing is written", pandas_writes_nothing
    yield "polars: connect, query and empty result", polars_reads
    yield "polars: wrong password", lambda: wrong_password(lambda it: polars.read_database("SELECT 1", it))
    yield "polars: parameters", polars_binds
    yield "polars: metadata", lambda: by_adbc
    yield "polars: large result", polars_reads_much
    yield "polars: cancel, by leaving", polars_leaves
    yield "polars: node killed in mid-stream", polars_loses_a_node
    yield "DuckDB: computes on a stream, the rest is that of ADBC", duckdb_streams
