"""Clients from npm, each case in a process of its own: `npm/CLIENT.cjs CASE`."""

import json
import os
import pathlib
import shutil
import subprocess

MODULES = "WEFT_TEST_NODE_MODULES"
# Connecting and querying is one case: a client that is not connected asks nothing.
CASES = [
    ("connect and query", "query"),
    ("empty result", "empty"),
    ("parameters", "parameters"),
    ("metadata", "metadata"),
    ("large result", "large"),
    ("types", "types"),
]
# What each cannot do.
UNBOUND = "it binds no parameters"
PANICS = "lakehouse.cjs"
CLIENTS = {
    "gizmodata": {"parameters": UNBOUND},
    "lancedb": {"parameters": UNBOUND, "metadata": "it has no such calls"},
    "firetiger": {"parameters": UNBOUND, "metadata": "it sends commands without their names"},
    "lakehouse": {"parameters": UNBOUND},
}
FOLDER = pathlib.Path(__file__).parent / "npm"


def cases(mesh):
    if not os.environ.get(MODULES) or not shutil.which("node"):
        yield "-", lambda: f"not run, because {MODULES} names no folder or there is no node"
        return

    def start(script, case, password, at=None):
        host, port = (at or mesh.address).rsplit(":", 1)
        told = {"host": host, "port": int(port), "tls": at is not None}
        told |= {"user": "analyst", "password": password, "token": mesh.token()}
        return subprocess.Popen(
            ["node", FOLDER / script, case, json.dumps(told)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(process):
        try:
            said, failed = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            said, failed = process.communicate()
            raise AssertionError(f"it hangs after it said: {said}{failed}") from None
        assert process.returncode == 0, said + failed

    def run(script, case, password=None, at=None):
        finish(start(script, case, password or mesh.password, at))

    def running(script):
        process = start(script, "lost", mesh.password)
        said = process.stdout.readline()
        assert said == "running\n", said + process.stderr.read()
        assert mesh.ask("busy sales") == "busy"
        return process

    def panics(process, words):
        """What it says before it hangs has `words`."""
        for line in process.stderr:
            if words in line:
                break
        else:
            raise AssertionError(f"it never said {words!r}")
        process.kill()
        process.communicate()

    def is_refused(script):
        process = start(script, "refused", "wrong")
        if script == PANICS:
            panics(process, "password is wrong")
        else:
            finish(process)

    def loses_a_node(script):
        process = running(script)
        try:
            mesh.kill("sales")
            if script == PANICS:
                panics(process, "domain `sales`")
            else:
                finish(process)
        finally:
            process.kill()
            process.communicate()
            mesh.start("sales")

    def is_ended(script):
        process = running(script)
        process.kill()
        process.communicate()
        mesh.wait_until_idle("sales")

    for client, lacks in CLIENTS.items():
        script = f"{client}.cjs"
        for name, case in CASES:
            if name in lacks:
                yield f"{client}: {name}", lambda why=lacks[name]: f"not run: {why}"
            else:
                yield f"{client}: {name}", lambda s=script, c=case: run(s, c)
        yield f"{client}: wrong password", lambda s=script: is_refused(s)
        yield f"{client}: cancel, as its process ends", lambda s=script: is_ended(s)
        yield f"{client}: node killed in mid-stream", lambda s=script: loses_a_node(s)
    yield "gizmodata: at a node", lambda: run("gizmodata.cjs", "query", at=mesh.nodes["sales"])
