"""Tables in the formats of pandas and pyarrow. Arguments: write or read, and a directory."""
import os
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.feather as feather
import pyarrow.parquet as pq

stage, root = sys.argv[1:]
count = 50_000
frame = pd.DataFrame(
    {
        "n": np.arange(count),
        "x": np.random.default_rng(1).normal(size=count),
        "word": [f"word {n % 97}" for n in range(count)],
        "when": pd.date_range("2024-01-01", periods=count, freq="min"),
    }
)


def same(found):
    pd.testing.assert_frame_equal(found, frame)


if stage == "write":
    frame.to_csv(f"{root}/t.csv", index=False)
    frame.to_csv(f"{root}/t.csv.gz", index=False)
    frame.to_parquet(f"{root}/t.parquet")
    feather.write_feather(frame, f"{root}/t.feather", compression="uncompressed")
    np.save(f"{root}/x.npy", frame.x.to_numpy())
    ds.write_dataset(pa.Table.from_pandas(frame), f"{root}/parts", format="parquet", partitioning=["word"])
    # A file that is written through a mapping.
    mapped = np.lib.format.open_memmap(f"{root}/mapped.npy", mode="w+", dtype="float64", shape=(count,))
    mapped[:] = frame.x
    mapped.flush()
else:
    same(pd.read_csv(f"{root}/t.csv", parse_dates=["when"], date_format="ISO8601").astype(frame.dtypes))
    same(pd.read_csv(f"{root}/t.csv.gz", parse_dates=["when"], date_format="ISO8601").astype(frame.dtypes))
    same(pd.read_parquet(f"{root}/t.parquet"))
    same(feather.read_table(f"{root}/t.feather", memory_map=True).to_pandas())
    same(pq.read_table(f"{root}/t.parquet", memory_map=True).to_pandas())
    parts = ds.dataset(f"{root}/parts", partitioning=["word"])
    assert len(parts.files) == 97
    assert parts.to_table(filter=ds.field("word") == "word 5").num_rows == (frame.word == "word 5").sum()
    for name in ["x.npy", "mapped.npy"]:
        assert np.array_equal(np.load(f"{root}/{name}", mmap_mode="r"), frame.x), name

# All is done and closed. Now and then pyarrow's threads end the interpreter by SIGABRT while it shuts down, on any
# file system; so it does not shut down.
os._exit(0)
