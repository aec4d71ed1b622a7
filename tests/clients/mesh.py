"""The mesh that a test has started, and what its servers are asked to suffer."""

import json
import sys

from adbc_driver_flightsql import DatabaseOptions


class Mesh:
    """Described by the first line of standard input. What is asked of the test goes out as a line
    that begins with `?`; its answer comes in as one line."""

    def __init__(self):
        told = json.loads(sys.stdin.readline())
        self.password = told["password"]
        self.ca = told["ca"]
        self.tls_names = told["tls_names"]
        self.nodes = told["nodes"]
        self.coordinator = Place("coordinator", f"grpc://{told['coordinator']}", {})
        self.address = told["coordinator"]

    def ask(self, what):
        print(f"? {what}", flush=True)
        answer = sys.stdin.readline().strip()
        assert answer, f"the test did not answer to {what}"
        return answer

    def kill(self, domain):
        self.ask(f"kill {domain}")

    def start(self, domain):
        self.nodes[domain] = self.ask(f"start {domain}")

    def wait_until_idle(self, domain):
        """Returns once nothing computes at the node; the test gives up after a while."""
        assert self.ask(f"idle {domain}") == "idle"

    def token(self, place="coordinator"):
        """A fresh token of the analyst's; it lives for two minutes."""
        return self.ask(f"token {place.removeprefix('node ')}")

    def node(self, domain):
        options = {
            DatabaseOptions.TLS_ROOT_CERTS.value: self.ca,
            DatabaseOptions.TLS_OVERRIDE_HOSTNAME.value: self.tls_names[domain],
        }
        return Place(f"node {domain}", f"grpc+tls://{self.nodes[domain]}", options)

    def user(self, name="analyst"):
        return {"username": name, "password": self.password}


class Place:
    """Where a client connects."""

    def __init__(self, name, uri, options):
        self.name = name
        self.uri = uri
        self.options = options


class refused:
    """Expects an error whose text has all of `words`, of one of `kinds` if they are given."""

    def __init__(self, *words, kinds=(Exception,)):
        self.words = words
        self.kinds = kinds
        self.error = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert error is not None, f"nothing was refused, where {self.words} was expected"
        if not isinstance(error, Exception):
            return False
        assert isinstance(error, self.kinds), f"{type(error)}: {error}"
        for word in self.words:
            assert word in str(error), f"{word!r} is not in {type(error)}: {error}"
        self.error = error
        return True
