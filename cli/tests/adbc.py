"""Signs in with the Flight SQL driver of a notebook and joins three domains.

Reads the demo's description from standard input and prints `ok`.
"""

import json
import sys

import adbc_driver_flightsql.dbapi as flightsql

demo = json.load(sys.stdin)


def connect(user, password):
    arguments = {"username": user, "password": password}
    return flightsql.connect(demo["flight_sql"], db_kwargs=arguments, autocommit=True)


def refused(user, password, sql, word):
    try:
        with connect(user, password) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            cursor.fetch_arrow_table()
    except Exception as error:
        assert word in str(error), error
    else:
        raise AssertionError(f"{sql} was not refused")


password = demo["principals"]["analyst"]["password"]
with connect("analyst", password) as connection, connection.cursor() as cursor:
    cursor.execute(
        """
        SELECT r_name, count(*) AS n, sum(l_quantity) AS quantity
        FROM sales.orders.lineitem
        JOIN sales.orders.orders ON l_orderkey = o_orderkey
        JOIN crm.customers.customer ON o_custkey = c_custkey
        JOIN crm.customers.nation ON c_nationkey = n_nationkey
        JOIN crm.customers.region ON n_regionkey = r_regionkey
        JOIN supply.parts.part ON l_partkey = p_partkey
        GROUP BY r_name
        """
    )
    table = cursor.fetch_arrow_table()
    assert table.column_names == ["r_name", "n", "quantity"], table.schema
    assert table.num_rows == 5 and sum(table["n"].to_pylist()) == 60175, table.to_pydict()
    cursor.execute(
        "SELECT count(*) FROM sales.orders.orders WHERE o_orderstatus = ? AND o_totalprice > ?",
        ("F", 100_000),
    )
    assert cursor.fetchall() == [(4718,)]
    cursor.execute("SELECT o_orderkey FROM sales.orders.orders WHERE false")
    assert cursor.fetch_arrow_table().num_rows == 0

refused("analyst", "wrong", "SELECT 1", "password is wrong")
outsider = demo["principals"]["outsider"]["password"]
refused("outsider", outsider, "SELECT * FROM crm.customers.customer", "not granted")
print("ok")
