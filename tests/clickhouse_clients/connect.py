"""Drives an endpoint with clickhouse-connect: inserts, queries, parameters, settings, and what an analyst may not do.

usage: connect.py HOST PORT WRITER PASSWORD READER PASSWORD; prints "ok" as its last line
"""

import datetime
import sys

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError


def expect_error(code, call):
    try:
        call()
    except DatabaseError as error:
        assert f"{code}" in str(error), error
    else:
        raise AssertionError(f"expected an exception {code}")


def main():
    host, port, writer, writer_password, reader, reader_password = sys.argv[1:]

    for compress in (True, False, "zstd", "gzip"):
        sink = clickhouse_connect.get_client(
            host=host, port=int(port), username=writer, password=writer_password, compress=compress
        )
        table = f"connect_{str(compress).lower()}"
        sink.command(f"CREATE TABLE {table} (id UInt64, at DateTime64(3), name LowCardinality(String), v Nullable(Float32), "
                     f"tags Array(String)) ENGINE = MergeTree ORDER BY id")
        at = datetime.datetime(2026, 1, 2, 3, 4, 5, 678000)
        rows = [[n, at, f"\n\n{n % 7}", None if n % 2 else n / 4, ["a", "b'"][: n % 3]] for n in range(20_000)]
        summary = sink.insert(table, rows, column_names=["id", "at", "name", "v", "tags"])
        assert summary.written_rows == 20_000, summary.summary
        result = sink.query(f"SELECT id, name, v, tags FROM {table} ORDER BY id")
        assert [list(row) for row in result.result_rows] == [[r[0], r[2], r[3], r[4]] for r in rows]
        assert sink.command(f"SELECT count() FROM {table}") == 20_000
        sink.close()

    analyst = clickhouse_connect.get_client(host=host, port=int(port), username=reader, password=reader_password)
    result = analyst.query(
        "SELECT {n:UInt8} + 1, {s:String}, {when:DateTime}",
        parameters={"n": 41, "s": "it's \\ \n\t", "when": datetime.datetime(2026, 1, 2, 3, 4, 5)},
    )
    assert result.result_rows[0][:2] == (42, "it's \\ \n\t"), result.result_rows
    assert analyst.query("SELECT number FROM numbers(1000000)").row_count == 1_000_000
    with analyst.query_row_block_stream("SELECT number FROM numbers(500000)") as stream:
        assert sum(len(block) for block in stream) == 500_000
    assert analyst.raw_query("SELECT 1 AS a", fmt="JSONEachRow") == b'{"a":1}\n'
    expect_error(164, lambda: analyst.command("DROP TABLE connect_true"))
    expect_error(164, lambda: analyst.insert("connect_true", [[1]], column_names=["id"]))
    expect_error(497, lambda: analyst.query("SELECT * FROM file('/etc/passwd', 'LineAsString')"))
    expect_error(497, lambda: analyst.query("SELECT file('/etc/passwd')"))
    expect_error(60, lambda: analyst.query("SELECT * FROM nowhere"))
    print("ok")


main()
