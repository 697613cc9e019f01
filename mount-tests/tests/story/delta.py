"""Reads an oplog as any Delta reader would. Arguments: the table, and a text to look for in the payloads."""
import io
import json
import sys

import pyarrow as pa
from deltalake import DeltaTable

COLUMNS = ["version", "record", "rows", "payload"]


def payloads(rows):
    for row in rows.to_pylist():
        with pa.ipc.open_stream(io.BytesIO(row["payload"])) as stream:
            yield row, stream.read_all()


def holds(batch, text):
    for column in batch.columns:
        for value in column.to_pylist():
            if isinstance(value, bytes) and text.encode() in value or isinstance(value, str) and text in value:
                return True
    return False


path, text = sys.argv[1:]
table = DeltaTable(path)
latest = table.version()
counts = [DeltaTable(path, version=version).to_pyarrow_table(columns=["version"]).num_rows for version in range(latest + 1)]
found, bad = set(), []
for row, batch in payloads(table.to_pyarrow_table(columns=COLUMNS)):
    if batch.num_rows != row["rows"]:
        bad.append(row["version"])
    if row["record"] == "name/1" and holds(batch, text):
        found.add(row["version"])
json.dump(
    {"version": latest, "history": len(table.history()), "rows": counts, "found": sorted(found), "wrong_counts": bad},
    sys.stdout,
)
