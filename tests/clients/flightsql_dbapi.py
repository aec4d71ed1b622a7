"""flightsql-dbapi, by itself, with SQLAlchemy 1.4 as Superset has it, and in a notebook by JupySQL."""

import textwrap
from urllib.parse import quote

import flightsql
import flightsql.sqlalchemy  # Registers the dialect.
import nbformat
import sqlalchemy
from flightsql import FlightSQLClient
from flightsql.client import TableRef
from mesh import refused
from nbclient import NotebookClient

ORDERS = "sales.orders.orders"
LINES = "sales.orders.lineitem"


def cases(mesh):
    host, port = mesh.address.rsplit(":", 1)
    place = {"host": host, "port": int(port), "insecure": True}

    def client(password=None, **other):
        return FlightSQLClient(user="analyst", password=password or mesh.password, **place, **other)

    def fetched(opened, sql):
        info = opened.execute(sql)
        return opened.do_get(info.endpoints[0].ticket).read_all()

    def query():
        opened = client()
        assert fetched(opened, f"SELECT count(*) FROM {ORDERS}").to_pydict() == {"count(*)": [15000]}
        with refused("nope"):
            opened.execute("SELECT nope")

    def empty():
        none = fetched(client(), f"SELECT o_comment FROM {ORDERS} WHERE false")
        assert none.num_rows == 0 and none.column_names == ["o_comment"]

    def large():
        assert fetched(client(), f"SELECT * FROM {LINES}").num_rows == 60175

    def metadata():
        opened = client()

        def told(info):
            return opened.do_get(info.endpoints[0].ticket).read_all().to_pylist()

        assert {"catalog_name": "sales"} in told(opened.get_catalogs())
        assert told(opened.get_db_schemas(catalog="sales"))[0]["db_schema_name"] == "orders"
        (lines,) = told(opened.get_tables(include_schema=True, table_name_filter_pattern="line%"))
        assert lines["table_name"] == "lineitem" and lines["table_schema"], lines
        assert {"table_type": "TABLE"} in told(opened.get_table_types())
        lines = TableRef(catalog="sales", db_schema="orders", table="lineitem")
        assert len(told(opened.get_primary_keys(lines))) == 2
        assert len(told(opened.get_imported_keys(lines))) == 3
        assert len(told(opened.get_sql_info([0, 2, 3, 504]))) == 4

    def connects():
        connection = flightsql.connect(client())
        assert connection.flightsql_get_schema_names()
        connection.close()

    def sign_in():
        with refused("password is wrong"):
            client("wrong")
        with refused("no valid sign-in"):
            FlightSQLClient(**place).execute("SELECT 1")

    def updates():
        # It reads the answer before it ends its stream.
        assert client().execute_update("USE sales.orders") == 0
        with refused("read-only"):
            client().execute_update("CREATE TABLE t (a INT)")

    def cursor():
        connection = flightsql.connect(client())
        with connection.cursor() as opened:
            opened.execute(f"SELECT o_orderkey FROM {ORDERS} ORDER BY 1 LIMIT 2")
            found = [tuple(row) for row in opened.fetchall()]
            assert found == [(1,), (2,)], found

    def parameters():
        connection = flightsql.connect(client())
        with connection.cursor() as opened:
            # It binds unions of types, which are not taken, and passes over the refusal.
            with refused("none is bound"):
                opened.execute(f"SELECT count(*) FROM {ORDERS} WHERE o_orderstatus = ?", ("F",))

    def endless():
        opened = client()
        sql = f"SELECT a.l_comment FROM {LINES} a CROSS JOIN {LINES} b"
        reader = opened.do_get(opened.execute(sql).endpoints[0].ticket)
        assert reader.read_chunk().data.num_rows > 0
        return reader

    def cancelled():
        reader = endless()
        reader.cancel()
        with refused():
            while True:
                reader.read_chunk()
        mesh.wait_until_idle("sales")

    def lost():
        reader = endless()
        mesh.kill("sales")
        try:
            with refused("sales"):
                while True:
                    reader.read_chunk()
        finally:
            mesh.start("sales")

    url = f"datafusion+flightsql://analyst:{quote(mesh.password)}@{mesh.address}?insecure=True"

    def alchemy():
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as connection:
            sql = sqlalchemy.text(f"SELECT count(*) FROM {ORDERS} WHERE o_orderstatus = :s")
            # The dialect writes values into the text where it compiles it.
            found = connection.execute(sql.bindparams(s="F")).scalar()
            assert found == 7304, repr(found)
            assert connection.execute(sqlalchemy.text("SELECT 1 WHERE false")).fetchall() == []

    def notebook():
        cells = [
            "import flightsql.sqlalchemy",
            "%load_ext sql",
            f"%sql {url}",
            f"%sql SELECT count(*) AS n FROM {ORDERS} WHERE o_orderstatus = 'F'",
            f"found = %sql SELECT o_orderkey FROM {ORDERS} ORDER BY o_orderkey LIMIT 3",
            "assert [row[0] for row in found] == [1, 2, 3], found",
            textwrap.dedent(
                f"""\
                %%sql
                SELECT r_name, count(*) FROM {ORDERS}
                JOIN crm.customers.customer ON o_custkey = c_custkey
                JOIN crm.customers.nation ON c_nationkey = n_nationkey
                JOIN crm.customers.region ON n_regionkey = r_regionkey
                GROUP BY r_name"""
            ),
        ]
        written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(it) for it in cells])
        NotebookClient(written, timeout=60, kernel_name="python3").execute()
        shown = str(written.cells[3].outputs)
        assert "7304" in shown, shown
        shown = str(written.cells[6].outputs)
        assert "EUROPE" in shown, shown

    yield "connect", connects
    yield "wrong password", sign_in
    yield "query", query
    yield "query by a cursor", cursor
    yield "empty result", empty
    yield "parameters, which it cannot bind", parameters
    yield "metadata", metadata
    yield "large result", large
    yield "cancel", cancelled
    yield "node killed in mid-stream", lost
    yield "updates", updates
    yield "SQLAlchemy 1.4", alchemy
    yield "a notebook with JupySQL", notebook
