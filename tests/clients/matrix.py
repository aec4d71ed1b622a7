"""Runs the clients of Flight SQL that people have against a mesh, and prints a line per case.

Started by the tests, which describe the mesh on standard input and do to it what is asked for.
Names of clients as arguments choose among them. Ends with 1 if a case failed.
"""

import faulthandler
import importlib
import sys
import time
import traceback

from mesh import Mesh

# Seconds that a case may take.
PATIENCE = 60
CLIENTS = ["adbc", "adbc_low_level", "sessions", "dataframes", "alchemy", "jdbc", "npm"]
CLIENTS += ["arrow_types", "logic"]


def main():
    mesh = Mesh()
    failed = 0
    for client in sys.argv[1:] or CLIENTS:
        for name, case in importlib.import_module(client).cases(mesh):
            start = time.monotonic()
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            try:
                said = case()
            except Exception:
                failed += 1
                said = "FAILED\n" + traceback.format_exc()
            took = int((time.monotonic() - start) * 1000)
            print(f"{client:15} {name:55} {said or 'ok'} ({took} ms)", flush=True)
    sys.exit(1 if failed else 0)


main()
