"""The SQL logic tests through ADBC: the schema that is announced is the schema that arrives."""

import pathlib
import re

import pyarrow
from adbc_driver_manager import AdbcStatement
from adbc_low_level import Open, schema_of, table

FOLDER = pathlib.Path(__file__).parent.parent / "slt"
QUERY = re.compile(r"^query .*\n((?:.+\n)+?)----$", re.MULTILINE)
# What clients are never sent.
NEVER = ("view", "dictionary", "run_end_encoded", "decimal32", "decimal64")


def cases(mesh):
    files = sorted(FOLDER.glob("*.slt"))
    assert files, FOLDER
    for file in files:
        yield file.name, lambda file=file: run(mesh, QUERY.findall(file.read_text()))


def run(mesh, queries):
    assert queries
    with Open(mesh.coordinator, **mesh.user()) as connection:
        for sql in queries:
            try:
                announced(connection, sql)
            except Exception as error:
                raise AssertionError(sql) from error
    return f"{len(queries)} queries"


def announced(connection, sql):
    with AdbcStatement(connection) as statement:
        statement.set_sql_query(sql)
        by_itself = schema_of(statement.execute_schema())
    with AdbcStatement(connection) as statement:
        statement.set_sql_query(sql)
        statement.prepare()
        prepared = schema_of(statement.execute_schema())
        stream, _ = statement.execute_query()
        fetched = table(stream)
    with AdbcStatement(connection) as statement:
        statement.set_sql_query(sql)
        partitions, handle, _ = statement.execute_partitions()
        of_flight = schema_of(handle)
    assert len(partitions) == 1
    for schema in prepared, of_flight, fetched.schema:
        assert schema.equals(by_itself, check_metadata=True), f"{by_itself}\n{schema}"
    for field in by_itself:
        assert not any(word in str(field.type) for word in NEVER), field
        if not field.nullable:
            assert fetched.column(by_itself.names.index(field.name)).null_count == 0, field
    fetched.validate(full=True)
    assert isinstance(fetched, pyarrow.Table)
