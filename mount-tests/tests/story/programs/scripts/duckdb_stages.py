"""What DuckDB does to its own database and to Parquet files. Arguments: the stage, and a directory."""
import os
import signal
import subprocess
import sys

import duckdb

stage, root = sys.argv[1:]
path, parquet = f"{root}/t.duckdb", f"{root}/parts"
SUMS = "select count(*), sum(n), count(distinct word) from "


def ask(db, query):
    return db.execute(query).fetchall()


if stage == "fill":
    with duckdb.connect(path) as db:
        db.execute("create table t as select range as n, 'word ' || range % 100 as word from range(200000)")
        db.execute("checkpoint")
        db.execute("insert into t values (-1, 'late')")
        db.execute("begin; delete from t; rollback")
        db.execute(f"copy t to '{parquet}' (format parquet, partition_by (word))")
        db.execute(f"copy t to '{root}/t.parquet' (format parquet, compression zstd)")
        db.execute(f"copy (from t where n < 1000) to '{root}/t.csv'")
elif stage == "reopen":
    with duckdb.connect(path) as db:
        assert ask(db, SUMS + "t") == [(200001, 19999899999, 101)]
        assert ask(db, SUMS + f"'{root}/t.parquet'") == [(200001, 19999899999, 101)]
        assert ask(db, SUMS + f"'{parquet}/*/*.parquet'") == [(200001, 19999899999, 101)]
        assert ask(db, f"select n from '{parquet}/*/*.parquet' where word = 'late'") == [(-1,)]
        assert ask(db, f"select count(*) from '{root}/t.csv'") == [(1001,)]
        # More than fits: what is sorted spills into a directory beside the database.
        db.execute("set memory_limit = '40MB'; set threads = 1")
        db.execute("create table sorted as select range as n, md5(range::varchar) as hash from range(500000) order by hash")
        assert ask(db, "select count(*), min(n), max(n) from sorted") == [(500000, 0, 499999)]
        db.execute("drop table sorted; checkpoint")
elif stage == "contend":
    with duckdb.connect(path) as db:
        second = subprocess.run([sys.executable, "-c", f"import duckdb; duckdb.connect({path!r})"], capture_output=True)
        assert b"Could not set lock" in second.stderr, second
        db.execute("create table mine as select 1")
elif stage == "killed":
    child = os.fork()
    if child == 0:
        db = duckdb.connect(path)
        db.execute("set checkpoint_threshold = '1TB'")
        db.execute("create table kept as select range as n from range(5000)")
        db.execute("begin; insert into kept select 0 from range(100000)")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert os.path.getsize(path + ".wal") > 0
elif stage == "look":
    with duckdb.connect(path) as db:
        assert ask(db, "select count(*), sum(n) from kept") == [(5000, 12497500)]
        assert ask(db, SUMS + "t") == [(200001, 19999899999, 101)]
        db.execute("checkpoint")
    assert not os.path.exists(path + ".wal")
    with duckdb.connect(path, read_only=True) as db:
        assert sorted(ask(db, "show tables")) == [("kept",), ("mine",), ("t",)]
    assert not [name for name in os.listdir(root) if name.endswith(".tmp")]
