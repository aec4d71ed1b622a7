"""Every type that a query can return, through ADBC: its type on the wire, extremes, and NULL."""

import datetime
import decimal
import math

import pyarrow as pa
from adbc import connect

UTC = datetime.timezone.utc
NOON = datetime.datetime(2024, 2, 29, 12, 30, 15)


def at(text, kind):
    return f"arrow_cast('{text}', '{kind}')"


# An Arrow type as the engine names it, values of it as SQL, what they are as they arrive.
TYPES = [
    ("Boolean", pa.bool_(), {"true": True, "false": False}),
    ("Int8", pa.int8(), {"-128": -128, "127": 127}),
    ("Int16", pa.int16(), {"-32768": -(2**15), "32767": 2**15 - 1}),
    ("Int32", pa.int32(), {"-2147483648": -(2**31), "2147483647": 2**31 - 1}),
    ("Int64", pa.int64(), {"-9223372036854775808": -(2**63), "9223372036854775807": 2**63 - 1}),
    ("UInt8", pa.uint8(), {"0": 0, "255": 255}),
    ("UInt16", pa.uint16(), {"65535": 2**16 - 1}),
    ("UInt32", pa.uint32(), {"4294967295": 2**32 - 1}),
    ("UInt64", pa.uint64(), {"18446744073709551615": 2**64 - 1}),
    ("Float16", pa.float16(), {"1.5": 1.5, "-65504": -65504.0}),
    ("Float32", pa.float32(), {"3.4028235e38": 3.4028234663852886e38, "1.5": 1.5}),
    (
        "Float64",
        pa.float64(),
        {
            "1.7976931348623157e308": 1.7976931348623157e308,
            "5e-324": 5e-324,
            "'inf'": math.inf,
            "'NaN'": math.nan,
        },
    ),
    (
        "Decimal128(38, 10)",
        pa.decimal128(38, 10),
        {
            "'9999999999999999999999999999.9999999999'": decimal.Decimal(
                "9999999999999999999999999999.9999999999"
            ),
            "'-0.0000000001'": decimal.Decimal("-0.0000000001"),
        },
    ),
    ("Decimal128(3, -2)", pa.decimal128(3, -2), {"12300": decimal.Decimal("12300")}),
    ("Decimal32(5, 2)", pa.decimal128(5, 2), {"'-123.45'": decimal.Decimal("-123.45")}),
    ("Decimal64(18, 2)", pa.decimal128(18, 2), {"'1.05'": decimal.Decimal("1.05")}),
    (
        "Decimal256(76, 0)",
        pa.decimal256(76, 0),
        {f"'{'9' * 76}'": decimal.Decimal("9" * 76), "'-1'": decimal.Decimal(-1)},
    ),
    ("Utf8", pa.utf8(), {"'ü☃'": "ü☃", "''": "", "'a''b'": "a'b"}),
    ("LargeUtf8", pa.large_utf8(), {"'ü☃'": "ü☃"}),
    ("Utf8View", pa.utf8(), {"'a text that is not inlined'": "a text that is not inlined"}),
    ("Binary", pa.binary(), {"X'00ff'": b"\x00\xff", "X''": b""}),
    ("LargeBinary", pa.large_binary(), {"X'00ff'": b"\x00\xff"}),
    ("BinaryView", pa.binary(), {"X'00112233445566778899aabbccddeeff00'": bytes.fromhex("00112233445566778899aabbccddeeff00")}),
    ("FixedSizeBinary(2)", pa.binary(2), {"X'00ff'": b"\x00\xff"}),
    ("Date32", pa.date32(), {"'0001-01-01'": datetime.date(1, 1, 1), "'9999-12-31'": datetime.date(9999, 12, 31)}),
    ("Date64", pa.date64(), {"'2024-02-29'": datetime.date(2024, 2, 29)}),
    ("Time32(Second)", pa.time32("s"), {"'23:59:59'": datetime.time(23, 59, 59)}),
    ("Time32(Millisecond)", pa.time32("ms"), {"'23:59:59.999'": datetime.time(23, 59, 59, 999000)}),
    ("Time64(Microsecond)", pa.time64("us"), {"'23:59:59.999999'": datetime.time(23, 59, 59, 999999)}),
    ("Time64(Nanosecond)", pa.time64("ns"), {"'00:00:00.000001'": datetime.time(0, 0, 0, 1)}),
    ("Timestamp(Second, None)", pa.timestamp("s"), {"'9999-12-31T23:59:59'": datetime.datetime(9999, 12, 31, 23, 59, 59)}),
    ("Timestamp(Millisecond, None)", pa.timestamp("ms"), {"'2024-02-29T12:30:15'": NOON}),
    ("Timestamp(Microsecond, None)", pa.timestamp("us"), {"'0001-01-01T00:00:00'": datetime.datetime(1, 1, 1)}),
    ("Timestamp(Nanosecond, None)", pa.timestamp("ns"), {"'2024-02-29T12:30:15'": NOON}),
    (
        'Timestamp(Microsecond, Some("UTC"))',
        pa.timestamp("us", "UTC"),
        {"'2024-02-29T12:30:15Z'": NOON.replace(tzinfo=UTC)},
    ),
    (
        'Timestamp(Microsecond, Some("+05:30"))',
        pa.timestamp("us", "+05:30"),
        {"'2024-02-29T18:00:15+05:30'": NOON.replace(tzinfo=UTC)},
    ),
    (
        'Timestamp(Nanosecond, Some("Europe/Berlin"))',
        pa.timestamp("ns", "Europe/Berlin"),
        {"'2024-02-29T13:30:15+01:00'": NOON.replace(tzinfo=UTC)},
    ),
    ("Duration(Second)", pa.duration("s"), {"arrow_cast(3600, 'Int64')": datetime.timedelta(hours=1)}),
    ("Duration(Nanosecond)", pa.duration("ns"), {"arrow_cast(-1000, 'Int64')": datetime.timedelta(microseconds=-1)}),
    (
        "Interval(MonthDayNano)",
        pa.month_day_nano_interval(),
        {"INTERVAL '1 month -2 days 3 seconds'": pa.MonthDayNano([1, -2, 3 * 10**9])},
    ),
    ("List(Int32)", pa.list_(pa.int32()), {"[1, NULL, 3]": [1, None, 3]}),
    ("LargeList(Int64)", pa.large_list(pa.int64()), {"[1, 2]": [1, 2]}),
    ("FixedSizeList(2, Int64)", pa.list_(pa.int64(), 2), {"[1, 2]": [1, 2]}),
    ("List(Utf8View)", pa.list_(pa.utf8()), {"['a', NULL]": ["a", None]}),
    ("Dictionary(Int32, Utf8)", pa.utf8(), {"'a'": "a"}),
    ("Dictionary(UInt8, Utf8View)", pa.utf8(), {"'a'": "a"}),
]

# Types that have no name to cast to, as whole expressions.
EXPRESSIONS = [
    ("NULL", pa.null(), None),
    ("named_struct('a', 1, 'b', 'x')", pa.struct([("a", pa.int64()), ("b", pa.utf8())]), {"a": 1, "b": "x"}),
    (
        "[named_struct('a', [1, 2], 'b', arrow_cast('x', 'Utf8View'))]",
        pa.list_(pa.struct([("a", pa.list_(pa.int64())), ("b", pa.utf8())])),
        [{"a": [1, 2], "b": "x"}],
    ),
    ("MAP {'k': 1, 'l': NULL}", pa.map_(pa.utf8(), pa.int64()), [("k", 1), ("l", None)]),
    ("TIMESTAMP '2024-02-29 12:30:15'", pa.timestamp("ns"), NOON),
    ("DATE '2024-02-29'", pa.date32(), datetime.date(2024, 2, 29)),
    ("1.50", pa.float64(), 1.5),
    ("count(*)", pa.int64(), 1),
    ("avg(1)", pa.float64(), 1.0),
]


def same(one, other):
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    return one == other


def plain(data_type):
    """Without the names and nullability of nested fields, which engines choose freely."""
    text = str(data_type).replace(" not null", "")
    return text.replace("element: ", "item: ")


def cases(mesh):
    def returned(connection, expressions):
        columns = ", ".join(f"{sql} AS c{at}" for at, sql in enumerate(expressions))
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {columns}")
            return cursor.fetch_arrow_table()

    def check(connection, name, wanted, values):
        expressions = [f"arrow_cast({sql}, '{name}')" for sql in values]
        expressions.append(f"arrow_cast(NULL, '{name}')")
        table = returned(connection, expressions)
        for field in table.schema:
            assert plain(field.type) == plain(wanted), f"{name}: {field.type}"
        found = [column.to_pylist()[0] for column in table.columns]
        expected = [*values.values(), None]
        assert all(map(same, found, expected)), f"{name}: {found}, not {expected}"

    def by_cast(place):
        failures = []
        with connect(place, **mesh.user()) as connection:
            for name, wanted, values in TYPES:
                try:
                    check(connection, name, wanted, values)
                except Exception as error:
                    failures.append(f"{name}: {error}")
        assert not failures, "\n".join(failures)

    def by_expression(place):
        failures = []
        with connect(place, **mesh.user()) as connection:
            for sql, wanted, value in EXPRESSIONS:
                try:
                    table = returned(connection, [sql])
                    assert plain(table.schema.field(0).type) == plain(wanted), table.schema
                    (found,) = table.column(0).to_pylist()
                    assert same(found, value), f"{found}, not {value}"
                except Exception as error:
                    failures.append(f"{sql}: {error}")
        assert not failures, "\n".join(failures)

    def bound():
        values = [
            True, -(2**63), 2**63 - 1, 1.5, "ü☃", b"\x00\xff", datetime.date(2024, 2, 29), NOON,
            NOON.replace(tzinfo=UTC), datetime.time(12, 30), decimal.Decimal("1.50"), None, [1, 2],
        ]
        with connect(mesh.coordinator, **mesh.user()) as connection, connection.cursor() as cursor:
            for value in values:
                cursor.execute("SELECT ? AS v", (value,))
                (found,) = cursor.fetchone()
                assert found == value, f"{found!r}, not {value!r}"

    for place in (lambda: mesh.coordinator), (lambda: mesh.node("sales")):
        where = place().name
        yield f"{where}: types by cast", lambda place=place: by_cast(place())
        yield f"{where}: types by expression", lambda place=place: by_expression(place())
    yield "values bound come back", bound
