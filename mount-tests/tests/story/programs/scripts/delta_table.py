"""A Delta table on the mount: versions are made by renames that must not replace. Argument: a directory."""
import sys

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

path = sys.argv[1] + "/table"
for n in range(5):
    write_deltalake(path, pa.table({"n": pa.array([n] * 100)}), mode="append")
table = DeltaTable(path)
assert table.version() == 4
table.delete("n = 3")
table.optimize.compact()
table.create_checkpoint()
table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
found = DeltaTable(path).to_pyarrow_table()
assert sorted(set(found["n"].to_pylist())) == [0, 1, 2, 4] and found.num_rows == 400
assert len(DeltaTable(path).file_uris()) == 1
