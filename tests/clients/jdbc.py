"""The calls of the JDBC driver, as they were recorded: it cannot run here.

Messages are written and read by hand, so that nothing of another client is in between.
"""

import pyarrow
from mesh import refused
from pyarrow import flight

NAMES = "type.googleapis.com/arrow.flight.protocol.sql."
ORDERS = "sales.orders.orders"
LINES = "sales.orders.lineitem"


def varint(number):
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def field(number, value):
    """A field with bytes, text or a whole number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def wrapped(name, *fields):
    return field(1, NAMES + name) + field(2, b"".join(fields))


def fields(message):
    """The fields of a message by number; the last of each."""
    found, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = number()
        if tag & 7 == 0:
            found[tag >> 3] = number()
        else:
            length = number()
            found[tag >> 3] = message[at : at + length]
            at += length
    return found


class Bearer(flight.ClientMiddlewareFactory):
    """Keeps the bearer that the server gives, as the driver's own does."""

    def __init__(self, token):
        self.bearer = f"Bearer {token}"

    def start_call(self, info):
        factory = self

        class Call(flight.ClientMiddleware):
            def sending_headers(self):
                return {"authorization": factory.bearer}

            def received_headers(self, headers):
                factory.bearer = headers.get("authorization", [factory.bearer])[0]

        return Call()


class Handshake(flight.ClientAuthHandler):
    def authenticate(self, outgoing, incoming):
        outgoing.write(b"")
        incoming.read()

    def get_token(self):
        return b""


class Driver:
    """A connection by a token."""

    def __init__(self, mesh, token):
        self.middleware = Bearer(token)
        self.client = flight.FlightClient(mesh.coordinator.uri, middleware=[self.middleware])
        self.client.authenticate(Handshake())

    def act(self, name, body):
        replies = list(self.client.do_action(flight.Action(name, body)))
        return replies[0].body.to_pybytes() if replies else b""

    def info(self, command):
        return self.client.get_flight_info(flight.FlightDescriptor.for_command(command))

    def rows(self, command):
        info = self.info(command)
        (endpoint,) = info.endpoints
        table = self.client.do_get(endpoint.ticket).read_all()
        assert table.schema.equals(info.schema, check_metadata=True), (table.schema, info.schema)
        return table

    def prepare(self, sql):
        """Handle, columns of the result, columns of the parameters, whether it is an update."""
        body = wrapped("ActionCreatePreparedStatementRequest", field(1, sql))
        result = fields(fields(self.act("CreatePreparedStatement", body))[2])
        read = lambda it: pyarrow.ipc.read_schema(pyarrow.py_buffer(it)) if it else pyarrow.schema([])
        assert 3 in result and 4 in result, result
        return result[1], read(result.get(2)), read(result[3]), bool(result[4])

    def put(self, command, batch=None):
        batch = pyarrow.record_batch([], schema=pyarrow.schema([])) if batch is None else batch
        descriptor = flight.FlightDescriptor.for_command(command)
        writer, reader = self.client.do_put(descriptor, batch.schema)
        if batch.num_columns:
            writer.write_batch(batch)
        writer.done_writing()
        answer = reader.read()
        writer.close()
        return fields(answer.to_pybytes())

    def close(self, handle):
        self.act("ClosePreparedStatement", wrapped("ActionClosePreparedStatementRequest", field(1, handle)))


def cases(mesh):
    def connect():
        token = mesh.token()
        driver = Driver(mesh, token)
        assert driver.middleware.bearer not in ("", f"Bearer {token}"), "a session of its own"
        # `catalog=` of the URL; a failure here fails the connection.
        option = field(1, field(1, "catalog") + field(2, field(1, "sales")))
        assert driver.act("SetSessionOptions", option) == b""
        assert b"sales" in driver.act("GetSessionOptions", b"")
        assert driver.act("CloseSession", b"") == field(1, 1)

    def often():
        # Its last words may come when the server has answered already.
        token = mesh.token()
        for _ in range(100):
            Driver(mesh, token).client.close()

    def metadata():
        driver = Driver(mesh, mesh.token())
        told = driver.rows(wrapped("CommandGetSqlInfo"))
        assert told.num_rows >= 70 and told.schema.names == ["info_name", "value"]
        assert "sales" in driver.rows(wrapped("CommandGetCatalogs"))["catalog_name"].to_pylist()
        schemas = driver.rows(wrapped("CommandGetDbSchemas", field(1, "sales"), field(2, "%")))
        assert schemas["db_schema_name"].to_pylist() == ["orders"], schemas
        tables = driver.rows(wrapped("CommandGetTables", field(3, "line%"), field(5, 1)))
        assert tables["table_name"].to_pylist() == ["lineitem"], tables
        columns = pyarrow.ipc.read_schema(pyarrow.py_buffer(tables["table_schema"][0].as_py()))
        told = columns.field("l_quantity").metadata
        for name, value in ("TYPE_NAME", b"DECIMAL"), ("PRECISION", b"15"), ("SCALE", b"2"):
            assert told[f"ARROW:FLIGHT:SQL:{name}".encode()] == value, told
        assert driver.rows(wrapped("CommandGetTableTypes")).num_rows == 2
        assert driver.rows(wrapped("CommandGetXdbcTypeInfo")).num_columns == 19
        keys = driver.rows(wrapped("CommandGetPrimaryKeys", field(1, "sales"), field(3, "lineitem")))
        assert keys["column_name"].to_pylist() == ["l_orderkey", "l_linenumber"], keys
        imported = driver.rows(wrapped("CommandGetImportedKeys", field(3, "lineitem")))
        told = [".".join(it.values()) for it in imported.select(range(3)).to_pylist()]
        parts = ["supply.parts.part", "supply.parts.supplier"]
        assert told == ["sales.orders.orders", *parts], imported
        exported = driver.rows(wrapped("CommandGetExportedKeys", field(3, "orders")))
        assert exported["fk_column_name"].to_pylist() == ["l_orderkey"], exported
        crossed = wrapped("CommandGetCrossReference", field(3, "orders"), field(6, "lineitem"))
        assert driver.rows(crossed).num_rows == 1
        outsider = Driver(mesh, mesh.token("coordinator outsider"))
        seen = outsider.rows(wrapped("CommandGetTables"))["catalog_name"].to_pylist()
        assert not {"sales", "crm", "supply"} & set(seen), seen
        assert outsider.rows(wrapped("CommandGetPrimaryKeys", field(3, "orders"))).num_rows == 0

    def query():
        driver = Driver(mesh, mesh.token())
        sql = f"SELECT o_orderkey, o_comment FROM {ORDERS} WHERE o_orderkey < ? AND o_orderstatus = ?"
        handle, columns, parameters, is_update = driver.prepare(sql)
        assert columns.names == ["o_orderkey", "o_comment"] and not is_update
        assert parameters.types == [pyarrow.int64(), pyarrow.utf8()], parameters
        values = pyarrow.record_batch(
            [pyarrow.array([4], pyarrow.int64()), pyarrow.array(["O"])], schema=parameters
        )
        command = wrapped("CommandPreparedStatementQuery", field(1, handle))
        updated = driver.put(command, values)[1]
        rows = driver.rows(wrapped("CommandPreparedStatementQuery", field(1, updated)))
        assert sorted(rows["o_orderkey"].to_pylist()) == [1, 2], rows
        assert rows.schema.equals(columns, check_metadata=True)
        driver.close(updated)
        # The values went with what the server kept.
        with refused("none is bound"):
            driver.info(command)

    def updates():
        driver = Driver(mesh, mesh.token())
        handle, columns, _, is_update = driver.prepare("USE sales.orders")
        assert is_update and not columns.names
        command = wrapped("CommandPreparedStatementUpdate", field(1, handle))
        assert driver.put(command).get(1, 0) == 0
        assert driver.rows(wrapped("CommandStatementQuery", field(1, "SELECT count(*) FROM orders")))
        with refused("read-only"):
            driver.prepare("DELETE FROM orders")

    def wrong_password():
        with refused("no valid sign-in"):
            Driver(mesh, mesh.token("sales"))
        client = flight.FlightClient(mesh.coordinator.uri)
        with refused("password is wrong"):
            client.authenticate_basic_token("analyst", "wrong")

    def empty():
        driver = Driver(mesh, mesh.token())
        handle, columns, _, is_update = driver.prepare(f"SELECT o_comment FROM {ORDERS} WHERE false")
        rows = driver.rows(wrapped("CommandPreparedStatementQuery", field(1, handle)))
        assert rows.num_rows == 0 and rows.schema.equals(columns) and not is_update

    def large():
        driver = Driver(mesh, mesh.token())
        sql = f"SELECT * FROM {LINES}"
        assert driver.rows(wrapped("CommandStatementQuery", field(1, sql))).num_rows == 60175

    def endless(driver):
        sql = f"SELECT a.l_comment FROM {LINES} a CROSS JOIN {LINES} b"
        info = driver.info(wrapped("CommandStatementQuery", field(1, sql)))
        reader = driver.client.do_get(info.endpoints[0].ticket)
        assert reader.read_chunk().data.num_rows > 0
        return info, reader

    def lost():
        _, reader = endless(Driver(mesh, mesh.token()))
        mesh.kill("sales")
        try:
            with refused("sales"):
                while True:
                    reader.read_chunk()
        finally:
            mesh.start("sales")

    def interrupted():
        driver = Driver(mesh, mesh.token())
        info, reader = endless(driver)
        # CancelFlightInfo, which tools send beside the stream.
        status = driver.act("CancelFlightInfo", field(1, info.serialize()))
        assert status == field(1, 1), status
        with refused("cancelled"):
            while True:
                reader.read_chunk()
        mesh.wait_until_idle("sales")

    def kept():
        driver = Driver(mesh, mesh.token())
        sql = f"SELECT o_orderkey FROM {ORDERS} WHERE o_orderkey < 4"
        info = driver.info(wrapped("CommandStatementQuery", field(1, sql)))
        (endpoint,) = info.endpoints
        assert endpoint.expiration_time is not None
        renewed = driver.act("RenewFlightEndpoint", field(1, endpoint.serialize()))
        renewed = flight.FlightEndpoint.deserialize(renewed)
        assert driver.client.do_get(renewed.ticket).read_all().num_rows == 3

    yield "connect", connect
    yield "wrong password", wrong_password
    yield "many sign-ins in a row", often
    yield "metadata", metadata
    yield "query, with parameters", query
    yield "empty result", empty
    yield "large result", large
    yield "updates", updates
    yield "cancel beside the stream", interrupted
    yield "node killed in mid-stream", lost
    yield "kept for longer", kept
