"""flightsql-dbapi, by itself, with SQLAlchemy 1.4 as Superset has it, and in a notebook by JupySQL."""

import textwrap
from urllib.parse import quote

import flightsql
import flightsql.sqlalchemy  # Registers the dialect.
import nbformat
import sqlalchemy
from flightsql import FlightSQLClient
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
        assert fetched(opened, f"SELECT * FROM {ORDERS} WHERE false").num_rows == 0
        assert fetched(opened, f"SELECT * FROM {LINES}").num_rows == 60175
        with refused("nope"):
            opened.execute("SELECT nope")

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
            # It binds unions of types, which are not taken, and passes over the refusal.
            with refused("none is bound"):
                opened.execute(f"SELECT count(*) FROM {ORDERS} WHERE o_orderstatus = ?", ("F",))

    def lost():
        opened = client()
        sql = f"SELECT a.l_comment FROM {LINES} a CROSS JOIN {LINES} b"
        reader = opened.do_get(opened.execute(sql).endpoints[0].ticket)
        assert reader.read_chunk().data.num_rows > 0
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

    yield "query", query
    yield "sign-in", sign_in
    yield "updates", updates
    yield "cursor", cursor
    yield "node lost in mid-stream", lost
    yield "SQLAlchemy 1.4", alchemy
    yield "a notebook with JupySQL", notebook
