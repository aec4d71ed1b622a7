"""Reads rows over Arrow Flight with pyarrow: a line of JSON in, a line of JSON out."""

import json
import sys
import time

import pyarrow
from pyarrow import flight


def connect(fetch):
    tls = fetch["tls"]
    if tls is None:
        return flight.connect(f"grpc://{fetch['address']}")
    return flight.connect(
        f"grpc+tls://{fetch['address']}",
        tls_root_certs=tls["ca"],
        override_hostname=tls["name"],
    )


def read(client, fetch):
    headers = []
    if fetch["bearer"] is not None:
        headers.append((b"authorization", f"Bearer {fetch['bearer']}".encode()))
    options = flight.FlightCallOptions(headers=headers)
    ticket = flight.Ticket(bytes.fromhex(fetch["ticket"]))
    size = rows = 0
    cpu, started = time.process_time(), time.perf_counter()
    for chunk in client.do_get(ticket, options):
        size += chunk.data.nbytes
        rows += chunk.data.num_rows
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {"seconds": seconds, "cpu_seconds": cpu, "bytes": size, "rows": rows}


def main():
    print(json.dumps({"version": pyarrow.__version__}), flush=True)
    clients = {}
    for line in sys.stdin:
        fetch = json.loads(line)["flight"]
        try:
            if fetch["address"] not in clients:
                clients[fetch["address"]] = connect(fetch)
            told = {"done": read(clients[fetch["address"]], fetch)}
        except pyarrow.ArrowException as error:
            told = {"failed": str(error)}
        print(json.dumps(told), flush=True)


main()
