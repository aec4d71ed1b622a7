"""Several clients with one token: each has a session of its own, and ends no other."""

from adbc import connect
from adbc_driver_flightsql import DatabaseOptions


def cases(mesh):
    def bearer(token, **options):
        header = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"}
        return connect(mesh.coordinator, **header, **options)

    def apart():
        token = mesh.token()
        with bearer(token) as one, bearer(token) as other:
            one.execute("USE sales.orders")
            other.execute("USE crm.customers")
            assert one.execute("SELECT count(*) FROM orders").fetchall() == [(15000,)]
            assert other.execute("SELECT count(*) FROM nation").fetchall() == [(25,)]

    def closed():
        token = mesh.token()
        with bearer(token) as stays:
            stays.execute("USE sales.orders")
            with bearer(token) as leaves:
                leaves.execute("USE crm.customers")
            assert stays.execute("SELECT count(*) FROM orders").fetchall() == [(15000,)]
        with bearer(token) as later:
            assert later.execute("SELECT 1").fetchall() == [(1,)]

    def cookies():
        # With cookies the driver keeps its session even where it is not told a new bearer.
        token, kept = mesh.token(), {DatabaseOptions.WITH_COOKIE_MIDDLEWARE.value: "true"}
        with bearer(token, **kept) as one, bearer(token, **kept) as other:
            one.execute("USE sales.orders")
            other.execute("USE crm.customers")
            assert one.execute("SELECT count(*) FROM orders").fetchall() == [(15000,)]

    yield "apart", apart
    yield "one closed", closed
    yield "cookies", cookies
