"""Clients from npm, each case in a process of its own: `npm/CLIENT.cjs CASE`."""

import json
import os
import pathlib
import shutil
import subprocess

MODULES = "WEFT_TEST_NODE_MODULES"
FOLDER = pathlib.Path(__file__).parent / "npm"


def cases(mesh):
    if not os.environ.get(MODULES) or not shutil.which("node"):
        yield "-", lambda: f"not run, because {MODULES} names no folder or there is no node"
        return

    def start(script, case, password, at=None):
        host, port = (at or mesh.address).rsplit(":", 1)
        told = {"host": host, "port": int(port), "tls": at is not None}
        told |= {"user": "analyst", "password": password}
        return subprocess.Popen(
            ["node", FOLDER / script, case, json.dumps(told)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(process):
        said, failed = process.communicate(timeout=100)
        assert process.returncode == 0, said + failed

    def run(script, case, password=None, at=None):
        finish(start(script, case, password or mesh.password, at))

    def loses_a_node(script):
        process = start(script, "lost", mesh.password)
        try:
            assert process.stdout.readline() == "running\n", process.stderr.read()
            wait_until_busy = mesh.ask("busy sales")
            assert wait_until_busy == "busy"
            mesh.kill("sales")
            finish(process)
        finally:
            process.kill()
            mesh.start("sales")

    for script in "gizmodata.cjs", "lancedb.cjs":
        for case in "query", "empty", "large", "types":
            yield f"{script[:-4]}: {case}", lambda s=script, c=case: run(s, c)
        yield f"{script[:-4]}: wrong password", lambda s=script: run(s, "refused", "wrong")
        yield f"{script[:-4]}: node lost in mid-stream", lambda s=script: loses_a_node(s)
    yield "gizmodata: metadata", lambda: run("gizmodata.cjs", "metadata")
    yield "gizmodata: node, query", lambda: run("gizmodata.cjs", "query", at=mesh.nodes["sales"])
