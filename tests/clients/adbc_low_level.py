"""ADBC below its DB-API: statements, partitions, options."""

import adbc_driver_flightsql
import adbc_driver_manager
import pyarrow
from adbc_driver_manager import AdbcConnection, AdbcStatement
from adbc import ENDLESS
from mesh import refused

ORDERS = "sales.orders.orders"


class Open:
    """A database and a connection to it."""

    def __init__(self, place, **options):
        self.database = adbc_driver_flightsql.connect(
            place.uri, db_kwargs={**place.options, **options}
        )
        self.connection = AdbcConnection(self.database)

    def __enter__(self):
        return self.connection

    def __exit__(self, *_):
        self.connection.close()
        self.database.close()


def table(stream):
    return pyarrow.RecordBatchReader._import_from_c(stream.address).read_all()


def schema_of(handle):
    return pyarrow.Schema._import_from_c(handle.address)


def cases(mesh):
    for place in (lambda: mesh.coordinator), (lambda: mesh.node("sales")):
        for name, case in at(mesh, place):
            yield f"{place().name}: {name}", case


def at(mesh, place):
    def signed_in():
        return Open(place(), **mesh.user())

    def schemas():
        sql = f"SELECT o_orderkey, max(o_comment) AS c FROM {ORDERS} GROUP BY o_orderkey"
        with signed_in() as connection:
            with AdbcStatement(connection) as statement:
                statement.set_sql_query(sql)
                announced = schema_of(statement.execute_schema())
            with AdbcStatement(connection) as statement:
                statement.set_sql_query(sql)
                statement.prepare()
                assert schema_of(statement.execute_schema()).equals(announced, True)
                stream, _ = statement.execute_query()
                assert table(stream).schema.equals(announced, True)
            with AdbcStatement(connection) as statement:
                statement.set_sql_query(f"SELECT 1 FROM {ORDERS} WHERE o_orderkey > ? AND o_comment LIKE ?")
                statement.prepare()
                parameters = schema_of(statement.get_parameter_schema())
                assert parameters.names == ["$1", "$2"], parameters
                assert parameters.types == [pyarrow.int64(), pyarrow.utf8()], parameters

    def partitions():
        with signed_in() as connection, signed_in() as other:
            with AdbcStatement(connection) as statement:
                statement.set_sql_query(f"SELECT o_orderkey FROM {ORDERS}")
                (partition,), _, _ = statement.execute_partitions()
            # Another connection of the same person may fetch it.
            assert table(other.read_partition(partition)).num_rows == 15000
        with Open(place(), **mesh.user("outsider")) as outsider, signed_in() as connection:
            with AdbcStatement(connection) as statement:
                statement.set_sql_query(f"SELECT o_orderkey FROM {ORDERS}")
                (partition,), _, _ = statement.execute_partitions()
            with refused("no such ticket"):
                table(outsider.read_partition(partition))

    def incremental():
        with signed_in() as connection, AdbcStatement(connection) as statement:
            statement.set_options(**{"adbc.statement.exec.incremental": "true"})
            statement.set_sql_query(f"SELECT o_orderkey FROM {ORDERS}")
            found = []
            while True:
                partitions, _, _ = statement.execute_partitions()
                if not partitions:
                    break
                found += partitions
            assert len(found) == 1
            assert table(connection.read_partition(found[0])).num_rows == 15000
        # A query that takes long can be fetched at once as well: it runs while it is read.
        with signed_in() as connection, AdbcStatement(connection) as statement:
            statement.set_options(**{"adbc.statement.exec.incremental": "true"})
            statement.set_sql_query(ENDLESS)
            (partition,), _, _ = statement.execute_partitions()
            done = statement.get_option_float("adbc.statement.exec.progress")
            assert done == statement.get_option_float("adbc.statement.exec.max_progress"), done
            assert statement.execute_partitions()[0] == []
            stream = connection.read_partition(partition)
            reader = pyarrow.RecordBatchReader._import_from_c(stream.address)
            assert reader.read_next_batch().num_rows > 0
            reader.close()
        mesh.wait_until_idle("sales")

    def information():
        with signed_in() as connection:
            told = table(connection.get_info()).to_pylist()
            told = {it["info_name"]: it["info_value"] for it in told}
            assert told[0] == "Weft" and told[1], told
            some = table(connection.get_info([0, 1])).to_pylist()
            assert len(some) == 2, some
            kinds = table(connection.get_table_types()).to_pylist()
            assert {"table_type": "TABLE"} in kinds, kinds
            depth = adbc_driver_manager.GetObjectsDepth.COLUMNS
            objects = table(connection.get_objects(depth=depth, catalog="sales")).to_pylist()
            assert [it["catalog_name"] for it in objects] == ["sales"], objects

    def options():
        with signed_in() as connection:
            key = adbc_driver_manager.ConnectionOptions.CURRENT_CATALOG.value
            connection.set_options(**{key: "sales"})
            assert connection.get_option(key) == "sales"
            with refused("'catalog' (invalid value)"):
                connection.set_options(**{key: "nowhere"})
            assert connection.get_option(key) == "sales"
            with refused("'nonsense' (invalid name)"):
                connection.set_options(**{"adbc.flight.sql.session.option.nonsense": "1"})

    def updates():
        with signed_in() as connection, AdbcStatement(connection) as statement:
            statement.set_sql_query("SET weft.purpose = 'billing'")
            assert statement.execute_update() in (-1, 0)
        with signed_in() as connection, AdbcStatement(connection) as statement:
            statement.set_sql_query(f"SELECT 1 FROM {ORDERS}")
            with refused("returns rows"):
                statement.execute_update()

    yield "schemas before running", schemas
    yield "partitions", partitions
    yield "incremental execution", incremental
    yield "information", information
    yield "options of the session", options
    yield "updates", updates
