"""Runs the examples of docs/sql.md in DuckDB. Arguments: the page, and a scratch directory.

An example is a row of a table whose last columns are `example` and `result`. `DuckDB: ` in a result is followed by the
result in DuckDB, by `error`, or by `any`. In a table whose first column is `DuckDB`, that column has a form that only
DuckDB runs, with the same result.
"""
import re
import sys

import duckdb

page, scratch = sys.argv[1:]
text = open(page).read()
dock, days, parquet = (f"{scratch}/{name}" for name in ("dock.csv", "days.jsonl", "days.parquet"))
with open(dock, "w") as out:
    out.write(text.split("```csv\n")[1].split("```")[0])
with open(days, "w") as out:
    out.write('{"n": 1}\n{"n": 2}\n')
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'; SET threads = 1")
db.execute(f"COPY (SELECT unnest([1, 2]) AS n) TO '{parquet}'")
db.execute(f"CREATE TABLE dock AS FROM read_csv('{dock}')")


def query_of(example):
    first = example.split()[0]
    return example if first in ("SELECT", "FROM", "PIVOT", "SUMMARIZE") else f"SELECT {example}"


def rows_of(query):
    for name, path in (("dock.csv", dock), ("days.jsonl", days), ("days.parquet", parquet)):
        query = query.replace(f"/data/{name}", path)
    relation = db.sql(query)
    columns = [f"c{n}" for n in range(len(relation.columns))]
    cast = ", ".join(f"{name}::VARCHAR" for name in columns)
    rows = db.execute(f"SELECT {cast} FROM ({query}) AS t({', '.join(columns)})").fetchall()
    return [", ".join("NULL" if cell is None else cell for cell in row) for row in rows]


def spans(cell):
    return re.findall("`([^`]*)`", cell)


def complaint(query, wanted, whole=True):
    try:
        found = rows_of(query)
    except duckdb.Error as error:
        return None if wanted == "error" else f"{query}\n  {error}"
    if wanted == "any" or not whole or found == wanted:
        return None
    return f"{query}\n  DuckDB {found}, the page {wanted}"


wrong, count, header = [], 0, None
for line in text.splitlines():
    if not line.startswith("| "):
        header = header if line.startswith("|--") else None
        continue
    cells = [cell.replace("\0", "|") for cell in line.strip("| ").replace("\\|", "\0").split(" | ")]
    if header is None:
        header = cells
    elif header[-1] == "result":
        names, example, (ours, _, theirs) = spans(cells[0]), spans(cells[2])[0], cells[3].partition(" DuckDB: ")
        wanted = spans(ours)
        if theirs:
            [wanted] = [word for word in ("error", "any") if theirs.startswith(word)] or [spans(theirs)]
            assert wanted != spans(ours), f"no difference: {line}"
        count += 1
        # Words after the result say that the refused form returns more.
        whole = ours.rstrip().endswith("`")
        if header[0] == "DuckDB":
            wrong.append(complaint(query_of(names[0]), wanted, whole))
        wrong.append(complaint(query_of(example), wanted))
        # Other names of the same function.
        for name in names[1:] if header[0] in ("function", "reader") else []:
            if names[0] + "(" in example:
                query = query_of(example.replace(names[0] + "(", name + "("))
                wrong.append(complaint(query, wanted))
wrong = [line for line in wrong if line]
assert not wrong, "\n".join(wrong)
assert count > 100, count
print("same")
