"""Commits a thousand rows, and is killed when much more has been written but not committed.

Arguments: the journal mode, and the database."""
import os
import signal
import sqlite3
import sys

mode, path = sys.argv[1:]


def rows(n, count):
    return ((n, "x" * 500) for _ in range(count))


child = os.fork()
if child == 0:
    db = sqlite3.connect(path, isolation_level=None)
    assert db.execute(f"pragma journal_mode={mode}").fetchone() == (mode,)
    db.execute("pragma cache_size=10")  # pages, so that most of the transaction has to go to the disk
    db.execute("create table t(n, text)")
    db.execute("begin")
    db.executemany("insert into t values (?, ?)", rows(1, 1000))
    db.execute("commit")
    db.execute("begin")
    db.execute("update t set n = 7, text = text || 'y'")
    db.executemany("insert into t values (?, ?)", rows(9, 5000))
    os.kill(os.getpid(), signal.SIGKILL)
_, status = os.waitpid(child, 0)
assert os.WTERMSIG(status) == signal.SIGKILL, status
