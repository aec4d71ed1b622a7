"""Results that ADBC fetches at the node that makes them, or here if it cannot reach that."""

import adbc_driver_flightsql.dbapi
from adbc_driver_flightsql import DatabaseOptions
from mesh import refused

DIRECT = DatabaseOptions.RPC_CALL_HEADER_PREFIX.value + "x-weft-direct"
ORDERS = "SELECT o_orderkey, o_comment FROM sales.orders.orders ORDER BY o_orderkey"
FETCHED = """SELECT count(*) FROM system.events.log
             WHERE kind = 'admitted' AND details LIKE '%fetched directly%'"""


def connect(mesh, **options):
    node = mesh.node("sales").options
    options = {**node, **mesh.user(), **options}
    return adbc_driver_flightsql.dbapi.connect(
        mesh.coordinator.uri, db_kwargs=options, autocommit=True
    )


def fetched_at_the_node(mesh):
    place = mesh.node("sales")
    with adbc_driver_flightsql.dbapi.connect(
        place.uri, db_kwargs={**place.options, **mesh.user("owner")}, autocommit=True
    ) as connection, connection.cursor() as cursor:
        cursor.execute(FETCHED)
        return cursor.fetchone()[0]


def rows(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetch_arrow_table()


def cases(mesh):
    def at_the_node():
        before = fetched_at_the_node(mesh)
        with connect(mesh) as here, connect(mesh, **{DIRECT: "1"}) as there:
            expected = rows(here, ORDERS)
            assert fetched_at_the_node(mesh) == before
            answer = rows(there, ORDERS)
            assert answer.equals(expected, check_metadata=True)
            assert fetched_at_the_node(mesh) == before + 1
            few = "SELECT o_orderkey FROM sales.orders.orders WHERE o_orderkey < ?"
            assert rows(there, few, [8]).num_rows == rows(here, few, [8]).num_rows > 0
            assert rows(there, few, [-1]).num_rows == 0
        assert fetched_at_the_node(mesh) == before + 3

    def by_the_coordinator():
        before = fetched_at_the_node(mesh)
        join = """SELECT c_name, o_orderkey FROM sales.orders.orders JOIN crm.customers.customer
                  ON o_custkey = c_custkey ORDER BY o_orderkey LIMIT 5"""
        with connect(mesh, **{DIRECT: "1"}) as connection:
            assert rows(connection, join).num_rows == 5
            assert rows(connection, "SELECT 1 AS one").to_pylist() == [{"one": 1}]
            with refused("nowhere"):
                rows(connection, "SELECT * FROM sales.orders.nowhere")
        assert fetched_at_the_node(mesh) == before

    def with_errors():
        with connect(mesh, **{DIRECT: "1"}) as connection:
            with refused("an expression of the query failed"):
                rows(connection, "SELECT 1 / (o_orderkey - o_orderkey) FROM sales.orders.orders")
            assert rows(connection, ORDERS).num_rows > 0

    yield "rows are fetched at the node", at_the_node
    yield "what a node cannot answer alone is fetched here", by_the_coordinator
    yield "errors of the node arrive", with_errors
