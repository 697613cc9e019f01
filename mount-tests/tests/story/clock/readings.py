"""Reads what the clock said at each version of an oplog, as any Delta reader would. Argument: the table."""
import json
import sys

from deltalake import DeltaTable

table = DeltaTable(sys.argv[1]).to_pyarrow_table(columns=["version", "committed", "clock"])
versions = {}
for row in table.to_pylist():
    times = (row["committed"], row["clock"])
    assert versions.setdefault(row["version"], times) == times, row
committed = [versions[version][0] for version in sorted(versions)]
clock = [versions[version][1] for version in sorted(versions)]
json.dump(
    {"clock": [time and time.isoformat() for time in clock], "rising": committed == sorted(set(committed))},
    sys.stdout,
)
