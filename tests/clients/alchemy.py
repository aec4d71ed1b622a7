"""SQLAlchemy 2 over ADBC, by the dialect `adbc+flightsql` of the package `sqlalchemy-adbc`."""

from urllib.parse import quote

import sqlalchemy
from adbc import ENDLESS
from mesh import refused


def cases(mesh):
    def engine(password=None):
        password = quote(password or mesh.password)
        return sqlalchemy.create_engine(
            f"adbc+flightsql://{mesh.address}?tls=false&username=analyst&password={password}"
        )

    def query():
        with engine().connect() as connection:
            sql = "SELECT count(*) FROM sales.orders.orders WHERE o_orderstatus = :s AND o_orderkey > :k"
            found = connection.execute(sqlalchemy.text(sql), {"s": "F", "k": 0}).scalar_one()
            assert found == 7304, found
            null = connection.execute(sqlalchemy.text("SELECT :n IS NULL"), {"n": None}).scalar_one()
            assert null is True

    def connects():
        with engine().connect() as connection:
            assert connection.execute(sqlalchemy.text("SELECT 1")).scalar_one() == 1

    def empty():
        with engine().connect() as connection:
            sql = "SELECT o_comment FROM sales.orders.orders WHERE false"
            none = connection.execute(sqlalchemy.text(sql))
            assert list(none.keys()) == ["o_comment"] and none.all() == []

    def endless(connection):
        streaming = connection.execution_options(stream_results=True)
        found = streaming.execute(sqlalchemy.text(ENDLESS))
        assert len(found.fetchmany(10)) == 10
        return found

    def cancelled():
        with engine().connect() as connection:
            endless(connection).close()
            mesh.wait_until_idle("sales")

    def lost():
        connection = engine().connect()
        found = endless(connection)
        mesh.kill("sales")
        try:
            with refused("sales"):
                while found.fetchmany(100_000):
                    pass
        finally:
            mesh.start("sales")
        connection.invalidate()
        connection.close()

    def constructed():
        orders = sqlalchemy.table(
            "orders",
            sqlalchemy.column("o_orderkey"),
            sqlalchemy.column("o_orderstatus"),
            schema="sales.orders",
        )
        orders.schema = sqlalchemy.sql.quoted_name("sales.orders", quote=False)
        wanted = (
            sqlalchemy.select(orders.c.o_orderkey)
            .where(orders.c.o_orderkey.in_([1, 2, 3]), orders.c.o_orderstatus == "O")
            .order_by(orders.c.o_orderkey.desc())
        )
        with engine().connect() as connection:
            assert connection.execute(wanted).scalars().all() == [2, 1]

    def reflection():
        inspector = sqlalchemy.inspect(engine())
        assert "orders" in inspector.get_schema_names(), inspector.get_schema_names()
        # Its `get_table_names` looks for a kind `table` in lower case, which no Flight SQL server has.
        assert inspector.has_table("lineitem", schema="orders")
        assert not inspector.has_table("nothing", schema="orders")
        columns = {it["name"]: it for it in inspector.get_columns("orders", schema="orders")}
        assert set(columns) >= {"o_orderkey", "o_comment"}, columns

    def wrong_password():
        with refused("password is wrong"):
            engine("wrong").connect()

    def large():
        with engine().connect() as connection:
            found = connection.execute(sqlalchemy.text("SELECT l_orderkey FROM sales.orders.lineitem"))
            assert len(found.all()) == 60175

    def pool():
        pooled = engine()
        for _ in range(3):
            with pooled.connect() as connection:
                assert connection.execute(sqlalchemy.text("SELECT 1")).scalar_one() == 1

    yield "connect", connects
    yield "wrong password", wrong_password
    yield "query, constructed", constructed
    yield "empty result", empty
    yield "parameters, by name", query
    yield "metadata, by reflection", reflection
    yield "large result", large
    yield "cancel, by closing the result", cancelled
    yield "node killed in mid-stream", lost
    yield "pooled connections", pool
