"""ADBC through its DB-API: what notebooks and scripts use."""

import datetime
import decimal
import os
import threading
import warnings

import adbc_driver_flightsql.dbapi as flightsql
import adbc_driver_manager
import pyarrow
from adbc_driver_flightsql import ConnectionOptions, DatabaseOptions
from mesh import refused

ORDERS = "sales.orders.orders"
LINES = "sales.orders.lineitem"
# More rows than anyone waits for, from one node.
ENDLESS = f"SELECT a.l_comment, a.l_orderkey, b.l_comment AS other FROM {LINES} a CROSS JOIN {LINES} b"


def connect(place, **options):
    return flightsql.connect(place.uri, db_kwargs={**place.options, **options}, autocommit=True)


def cases(mesh):
    for place in (lambda: mesh.coordinator), (lambda: mesh.node("sales")):
        where = place().name
        for name, case in everywhere(mesh, place):
            yield f"{where}: {name}", case
    for name, case in at_the_coordinator(mesh):
        yield f"coordinator: {name}", case


def everywhere(mesh, place):
    def analyst(**options):
        return connect(place(), **mesh.user(), **options)

    def rows(sql, parameters=None, **options):
        with analyst(**options) as connection, connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    def connects():
        with analyst() as connection:
            assert connection.adbc_get_info()["vendor_name"] == "Weft"

    def query():
        found = rows(f"SELECT o_orderkey, o_orderstatus FROM {ORDERS} ORDER BY o_orderkey LIMIT 3")
        assert found == [(1, "O"), (2, "O"), (3, "F")], found

    def wrong_password():
        with refused("password is wrong"):
            connect(place(), username="analyst", password="wrong")

    def no_sign_in():
        for header in {}, {DatabaseOptions.AUTHORIZATION_HEADER.value: "Bearer None"}:
            with refused("no valid sign-in"), connect(place(), **header) as connection:
                connection.execute("SELECT 1")

    def empty():
        with analyst() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT o_orderkey, o_comment FROM {ORDERS} WHERE false")
            table = cursor.fetch_arrow_table()
            assert table.num_rows == 0 and table.column_names == ["o_orderkey", "o_comment"]

    def parameters():
        count = f"SELECT count(*) FROM {ORDERS} WHERE"
        assert rows(f"{count} o_orderstatus = ? AND o_totalprice > ?", ("F", 100_000)) == [(4718,)]
        assert rows(f"{count} o_orderstatus = $2 AND o_totalprice > $1", (100_000, "F")) == [(4718,)]
        price = decimal.Decimal("100000.00")
        assert rows(f"{count} o_orderstatus = ? AND o_totalprice > ?", ("F", price)) == [(4718,)]
        day = datetime.date(1995, 1, 1)
        assert rows(f"{count} o_orderdate < ?", (day,)) == rows(f"{count} o_orderdate < '1995-01-01'")
        assert rows(f"{count} o_orderstatus = ?", (None,)) == [(0,)]
        assert rows("SELECT ? IS NULL, coalesce(?, 'none')", (None, None)) == [(True, "none")]
        assert rows("SELECT 'really?' || ?", (" what?",)) == [("really? what?",)]
        assert rows('SELECT ? AS "what?" -- ? or ?\n', (7,)) == [(7,)]
        hostile = "'; DROP TABLE x; -- ? $1 ü \u2603"
        assert rows("SELECT CAST(? AS VARCHAR)", (hostile,)) == [(hostile,)]

    def wrong_parameters():
        sql = f"SELECT count(*) FROM {ORDERS} WHERE o_orderstatus = ? AND o_orderkey > ?"
        with refused("2 parameters"):
            rows(sql, ("F",))
        with refused("2 parameters"):
            rows(sql)
        with refused():
            rows(sql, ("F", "no number"))

    def rebinding():
        with analyst() as connection, connection.cursor() as cursor:
            sql = f"SELECT count(*) FROM {ORDERS} WHERE o_orderkey <= ?"
            for last, expected in (1, 1), (3, 3), (7, 7), (0, 0):
                cursor.execute(sql, (last,))
                assert cursor.fetchall() == [(expected,)]

    def many_rows_bound():
        with analyst() as connection, connection.cursor() as cursor:
            sql = f"SELECT o_orderkey, ? AS tag FROM {ORDERS} WHERE o_orderkey = ?"
            rows = pyarrow.table({"tag": ["a", "b", "c"], "key": [1, 0, 3]})
            cursor.adbc_prepare(sql)
            cursor.execute(sql, rows)
            assert cursor.fetchall() == [(1, "a"), (3, "c")]

    def metadata():
        with analyst() as connection:
            assert "Weft" in str(connection.adbc_get_info())
            schema = connection.adbc_get_table_schema("orders", catalog_filter="sales")
            assert schema.field("o_orderkey").type == pyarrow.int64(), schema
            assert "TABLE" in connection.adbc_get_table_types()
            found = connection.adbc_get_objects(table_name_filter="line%").read_all().to_pylist()
            sales = next(it for it in found if it["catalog_name"] == "sales")
            (product,) = sales["catalog_db_schemas"]
            (table,) = product["db_schema_tables"]
            assert (product["db_schema_name"], table["table_name"]) == ("orders", "lineitem")
            columns = {it["column_name"]: it for it in table["table_columns"]}
            assert columns["l_quantity"]["xdbc_type_name"] == "DECIMAL", columns["l_quantity"]
            told = connection.adbc_get_table_schema("orders", catalog_filter="sales")
            told = told.field("o_orderkey").metadata
            assert b"Number of the order" in told[b"ARROW:FLIGHT:SQL:REMARKS"], told
            assert told[b"ARROW:FLIGHT:SQL:DB_SCHEMA_NAME"] == b"orders", told
            assert connection.adbc_get_objects(table_name_filter=ENDLESS).read_all() is not None

    def columns_of_a_result():
        with analyst() as connection, connection.cursor() as cursor:
            sql = f"SELECT o_orderkey AS key, 1 + o_orderkey AS more FROM {ORDERS} WHERE o_orderkey < ?"
            announced = cursor.adbc_execute_schema(sql, (3,))
            cursor.execute(sql, (3,))
            arrived = cursor.fetch_arrow_table().schema
            assert arrived.equals(announced, check_metadata=True), (announced, arrived)
            told = arrived.field("key").metadata
            assert told[b"ARROW:FLIGHT:SQL:TABLE_NAME"] == b"orders", told
            assert b"Number of the order" in told[b"ARROW:FLIGHT:SQL:REMARKS"], told
            assert b"ARROW:FLIGHT:SQL:TABLE_NAME" not in arrived.field("more").metadata

    def current_place():
        with analyst() as connection, connection.cursor() as cursor:
            connection.adbc_current_catalog = "sales"
            connection.adbc_current_db_schema = "orders"
            assert connection.adbc_current_catalog == "sales"
            cursor.execute("SELECT count(*) FROM orders")
            assert cursor.fetchall() == [(15000,)]

    def large():
        with analyst() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {LINES}")
            reader = cursor.fetch_record_batch()
            sizes = [batch.num_rows for batch in reader]
            assert sum(sizes) == 60175 and len(sizes) > 1, sizes

    def cancelled():
        with analyst() as connection, connection.cursor() as cursor:
            cursor.execute(ENDLESS)
            reader = cursor.fetch_record_batch()
            assert reader.read_next_batch().num_rows > 0
            cursor.adbc_cancel()
            with refused():
                while True:
                    reader.read_next_batch()
        mesh.wait_until_idle("sales")

    def left():
        connection = analyst()
        cursor = connection.cursor()
        cursor.execute(ENDLESS)
        assert cursor.fetch_record_batch().read_next_batch().num_rows > 0
        cursor.close()
        connection.close()
        mesh.wait_until_idle("sales")

    def too_slow():
        limits = {ConnectionOptions.TIMEOUT_FETCH.value: "1"}
        connection = flightsql.connect(
            place().uri,
            db_kwargs={**place().options, **mesh.user()},
            conn_kwargs=limits,
            autocommit=True,
        )
        with connection, connection.cursor() as cursor:
            with refused("DeadlineExceeded", kinds=(OSError, adbc_driver_manager.OperationalError)):
                cursor.execute(ENDLESS)
                reader = cursor.fetch_record_batch()
                while True:
                    reader.read_next_batch()
        mesh.wait_until_idle("sales")

    def node_lost():
        at_the_node = place().name != "coordinator"
        connection = analyst()
        cursor = connection.cursor()
        cursor.execute(ENDLESS)
        reader = cursor.fetch_record_batch()
        assert reader.read_next_batch().num_rows > 0
        mesh.kill("sales")
        try:
            with refused(kinds=(OSError, adbc_driver_manager.OperationalError)) as it:
                while True:
                    reader.read_next_batch()
            assert "sales" in str(it.error) or at_the_node, it.error
            if at_the_node:
                with refused("connection"):
                    cursor.close()
        finally:
            mesh.start("sales")
        if not at_the_node:
            cursor.execute("SELECT 1")
            assert cursor.fetchall() == [(1,)]
            cursor.close()
            connection.close()

    def read_only():
        unsupported = (adbc_driver_manager.NotSupportedError,)
        with analyst() as connection, connection.cursor() as cursor:
            for sql in (
                "CREATE TABLE t (a INT)",
                "DROP TABLE sales.orders.orders",
                f"INSERT INTO {ORDERS} VALUES (1)",
                f"UPDATE {ORDERS} SET o_comment = ''",
                f"DELETE FROM {ORDERS}",
                "BEGIN",
            ):
                with refused(kinds=unsupported):
                    cursor.execute(sql)
                # With parameters the driver takes the refusal for that of a bulk ingestion.
                with connection.cursor() as other:
                    with refused(kinds=(*unsupported, adbc_driver_manager.ProgrammingError)):
                        other.executemany(sql, [(1,)])
            cursor.execute("SELECT 1")
            assert cursor.fetchall() == [(1,)]
        block = pyarrow.table({"a": list(range(1_000_000))})
        with analyst() as connection:
            for mode in "create", "append", "replace", "create_append":
                with connection.cursor() as cursor:
                    with refused("cannot be written", kinds=unsupported):
                        cursor.adbc_ingest("t", block, mode=mode)
        with analyst() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchall() == [(1,)]

    def no_transactions():
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with flightsql.connect(
                place().uri, db_kwargs={**place().options, **mesh.user()}
            ) as connection:
                assert any("autocommit" in str(it.message) for it in warned), warned
                assert connection.execute("SELECT 1").fetchall() == [(1,)]

    def names():
        assert rows(f'SELECT "o_orderkey" AS "Größe ☃ \'x\'" FROM "sales"."orders"."orders" LIMIT 1')
        with analyst() as connection, connection.cursor() as cursor:
            cursor.execute(f'SELECT O_ORDERKEY AS "Größe ☃", 1 AS "a""b", 2 AS "A" FROM {ORDERS} LIMIT 1')
            assert cursor.fetch_arrow_table().column_names == ["Größe ☃", 'a"b', "A"]
        with refused("one statement at a time"):
            rows("SELECT 1; SELECT 2")
        assert rows("SELECT 1;") == [(1,)]
        with refused("O_ORDERKEY"):
            rows(f'SELECT "O_ORDERKEY" FROM {ORDERS}')

    def errors():
        for sql, kind in (
            ("SELEC 1", adbc_driver_manager.ProgrammingError),
            ("SELECT nope FROM sales.orders.orders", adbc_driver_manager.ProgrammingError),
            ("SELECT 1 FROM sales.orders.nope", adbc_driver_manager.ProgrammingError),
        ):
            with refused(kinds=(kind,)) as it:
                rows(sql)
            details = dict(it.error.details)
            assert details[b"weft-code"].startswith(b"WEFT-"), details
        outsider = connect(place(), **mesh.user("outsider"))
        with outsider, outsider.cursor() as cursor:
            denied = ("not granted", "REQUEST ACCESS")
            # At a node there is no such table for those who may see nothing of it.
            words = denied if place().name == "coordinator" else ("no table",)
            with refused(*words, kinds=(adbc_driver_manager.Error,)):
                cursor.execute(f"SELECT 1 FROM {ORDERS}")

    def long_rows():
        short = "SELECT count(*) FROM sales.orders.orders"
        with analyst() as connection, connection.cursor() as cursor:
            block = "a" * 3_000_000
            cursor.execute("SELECT CAST(? AS VARCHAR) AS a, 1 AS b UNION ALL SELECT 'x', 2", (block,))
            assert sorted(len(it) for it, _ in cursor.fetchall()) == [1, 3_000_000]
            with refused("a row is larger", "substr"):
                cursor.execute("SELECT CAST(? AS VARCHAR) AS a", ("a" * 5_000_000,))
                cursor.fetchall()
            cursor.execute(short)
            assert cursor.fetchall() == [(15000,)]
        header = {f"{DatabaseOptions.RPC_CALL_HEADER_PREFIX.value}x-weft-max-message": "16777216"}
        found = rows("SELECT CAST(? AS VARCHAR)", ("a" * 5_000_000,), **header)
        assert len(found[0][0]) == 5_000_000

    def compressed():
        header = {f"{DatabaseOptions.RPC_CALL_HEADER_PREFIX.value}x-weft-compression": "lz4"}
        assert len(rows(f"SELECT * FROM {ORDERS}", **header)) == 15000

    def failure_while_running():
        sql = f"SELECT 1 / (o_orderkey - 7) FROM {ORDERS}"
        with analyst() as connection, connection.cursor() as cursor:
            with refused("failed on the data", "TRY_CAST") as it:
                cursor.execute(sql)
                cursor.fetchall()
            if place().name == "coordinator":
                details = dict(it.error.details)
                (state,) = connection.execute(
                    "SELECT state FROM system.runtime.queries WHERE query_id = ?",
                    (details[b"weft-query"].decode(),),
                ).fetchone()
                assert state == "failed", state

    def two_cursors():
        with analyst() as connection, connection.cursor() as one, connection.cursor() as other:
            one.execute(f"SELECT l_orderkey FROM {LINES}")
            other.execute(f"SELECT o_orderkey FROM {ORDERS}")
            first, second = one.fetch_record_batch(), other.fetch_record_batch()
            found = [first.read_next_batch().num_rows, second.read_next_batch().num_rows]
            found = [found[0] + first.read_all().num_rows, found[1] + second.read_all().num_rows]
            assert found == [60175, 15000], found

    def at_once():
        failures = []
        token = mesh.token(place().name)
        options = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"}

        def one():
            try:
                with connect(place(), **options) as connection:
                    for _ in range(3):
                        with connection.cursor() as cursor:
                            cursor.execute(f"SELECT count(*) FROM {ORDERS} WHERE o_orderkey > ?", (0,))
                            assert cursor.fetchall() == [(15000,)]
            except Exception as error:
                failures.append(error)

        many = 200 if os.environ.get("WEFT_TEST_FULL") else 12
        threads = [threading.Thread(target=one) for _ in range(many)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures

    yield "connect", connects
    yield "query", query
    yield "wrong password", wrong_password
    yield "no sign-in", no_sign_in
    yield "empty result", empty
    yield "parameters", parameters
    yield "parameters that do not fit", wrong_parameters
    yield "parameters bound again", rebinding
    yield "several rows of parameters", many_rows_bound
    yield "metadata", metadata
    yield "columns of a result", columns_of_a_result
    yield "current catalog", current_place
    yield "large result", large
    yield "cancel", cancelled
    yield "cancel, by leaving", left
    yield "timeout of the client", too_slow
    yield "long rows", long_rows
    yield "compression", compressed
    yield "two cursors", two_cursors
    yield "many connections", at_once
    yield "names", names
    yield "errors", errors
    yield "failure while running", failure_while_running
    yield "read-only", read_only
    yield "no transactions", no_transactions
    yield "node killed in mid-stream", node_lost


def at_the_coordinator(mesh):
    def joined():
        with connect(mesh.coordinator, **mesh.user()) as connection:
            found = connection.execute(
                """
                SELECT r_name, count(*) FROM sales.orders.orders
                JOIN crm.customers.customer ON o_custkey = c_custkey
                JOIN crm.customers.nation ON c_nationkey = n_nationkey
                JOIN crm.customers.region ON n_regionkey = r_regionkey
                GROUP BY r_name
                """
            ).fetchall()
            assert len(found) == 5 and sum(n for _, n in found) == 15000, found

    def commands():
        with connect(mesh.coordinator, **mesh.user()) as connection:
            with connection.cursor() as cursor:
                # Nothing is fetched: the command has run all the same.
                cursor.execute("USE sales.orders")
            with connection.cursor() as cursor:
                cursor.executemany("SET timezone = '+05:00'", [()])
                cursor.execute("SELECT count(*) FROM orders")
                assert cursor.fetchall() == [(15000,)]

    def domain_down():
        with connect(mesh.coordinator, **mesh.user()) as connection:
            connection.adbc_get_objects().read_all()
            mesh.kill("crm")
            try:
                found = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
                assert {it["catalog_name"] for it in found} >= {"crm", "sales", "supply"}, found
                assert connection.execute(f"SELECT count(*) FROM {ORDERS}").fetchall() == [(15000,)]
                with refused("crm"):
                    connection.execute("SELECT count(*) FROM crm.customers.nation").fetchall()
            finally:
                mesh.start("crm")

    yield "join over domains", joined
    yield "commands run without a fetch", commands
    yield "metadata while a domain is down", domain_down
