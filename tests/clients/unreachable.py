"""Results that ADBC is told to fetch at a node that it cannot reach."""

from direct import DIRECT, ORDERS, connect, fetched_at_the_node, rows


def cases(mesh):
    def fallback():
        with connect(mesh) as here, connect(mesh, **{DIRECT: "1"}) as there:
            expected = rows(here, ORDERS)
            for _ in range(2):
                assert rows(there, ORDERS).equals(expected, check_metadata=True)
        assert fetched_at_the_node(mesh) == 0

    yield "rows are fetched from the coordinator then", fallback
