"""Makes hostile ponds of a healthy one: `forge.py POND OUTSIDE CASE PLACE…` writes PLACE/pond, a copy of POND to which CASE was done, and
PLACE/outside, a copy of OUTSIDE, which the pond may not touch.

Every checksum, every hash in a name and every number that does not belong to the case is right, so that what is wrong is all that
can be found wrong. The cases stand at the end, grouped as the tests are."""
import io
import json
import os
import shutil
import sys
import uuid
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

ROOT, GIB = 1, 1 << 30
U16, U32, U64, I64, TEXT, BYTES, BOOL = pa.uint16(), pa.uint32(), pa.uint64(), pa.int64(), pa.utf8(), pa.binary(), pa.bool_()
SCHEMAS = {
    "node/1": dict(
        node=U64, removed=BOOL, kind=TEXT, mode=U16, uid=U32, gid=U32, nlink=U32, size=U64, allocated=U64,
        atime=I64, atime_ns=U32, mtime=I64, mtime_ns=U32, ctime=I64, ctime_ns=U32, btime=I64, btime_ns=U32,
        rdev=U32, content=U64, target=BYTES, parent=U64),
    "name/1": dict(directory=U64, name=BYTES, removed=BOOL, child=U64, kind=TEXT),
    "extent/1": dict(
        content=U64, offset=U64, removed=BOOL, length=U32, inline=BYTES, segment=U64, segment_offset=U64, skip=U32,
        stored_length=U32, hash=pa.binary(32)),
    "attr/1": dict(node=U64, name=BYTES, removed=BOOL, value=BYTES),
}
OWNER = {"node/1": "node", "name/1": "directory", "extent/1": "content", "attr/1": "node"}
OUTER = pa.schema([
    pa.field("version", pa.int64(), False), pa.field("committed", pa.timestamp("us", tz="UTC"), False),
    pa.field("record", TEXT, False), pa.field("first_node", pa.int64(), False), pa.field("last_node", pa.int64(), False),
    pa.field("rows", pa.int32(), False), pa.field("payload", BYTES, False), pa.field("checksum", BYTES, False)])


class Pond:
    """A pond's folder, what its newest version holds, and one more commit to be made of it."""

    def __init__(self, path, outside):
        self.path, self.outside, self.log = path, outside, path / "oplog/_delta_log"
        self.nodes, self.names, self.extents = {}, {}, {}
        self.id, self.generation, self.committed = None, 0, 0
        commits = sorted(self.log.glob("*.json"))
        for file in commits:
            for action in map(json.loads, file.read_text().splitlines()):
                if "txn" in action:
                    self.generation = action["txn"]["version"]
                if "metaData" in action:
                    self.id = action["metaData"]["id"]
                if "add" in action:
                    self.read(path / "oplog" / action["add"]["path"])
        self.version = len(commits)
        self.free = 1000

    def read(self, file):
        maps = {"node/1": (self.nodes, ["node"]), "name/1": (self.names, ["directory", "name"]),
                "extent/1": (self.extents, ["content", "offset"]), "attr/1": ({}, ["node", "name"])}
        for row in pq.ParquetFile(file).read().to_pylist():
            self.committed = max(self.committed, int(row["committed"].timestamp() * 1e6))
            entries, keys = maps[row["record"]]
            for record in pa.ipc.open_stream(row["payload"]).read_all().to_pylist():
                key = tuple(record[k] for k in keys)
                entries[key[0] if len(key) == 1 else key] = record

    def find(self, path):
        """The node that a path leads to, as its record."""
        node = ROOT
        for name in path.encode().split(b"/"):
            node = self.names[node, name]["child"]
        return self.nodes[node]

    def node(self, kind="file", **changes):
        """A new node's record."""
        self.free += 1
        of = dict(self.find("small") if kind != "directory" else self.nodes[ROOT], node=self.free, kind=kind, removed=False)
        of.update(dict(nlink=2, parent=ROOT) if kind == "directory" else dict(nlink=1, size=0, allocated=0, content=None))
        return {**of, **changes}

    def commit(self, records, **outer):
        """Appends a version with these records, as (type, fields) in any order."""
        rows = []
        for of in sorted(SCHEMAS):
            parts = {}
            for kind, record in records:
                if kind == of:
                    parts.setdefault(record[OWNER[of]] >> 20, []).append(record)
            for here in parts.values():
                here.sort(key=lambda record: record[OWNER[of]])
            for part, here in parts.items():
                owners = [record[OWNER[of]] for record in here]
                rows.append((part, self.row(of, payload(of, here), len(here), owners[0], owners[-1], **outer)))
        parts = {}
        for part, row in rows:
            parts.setdefault(part, []).append(row)
        self.publish([self.add(parquet(rows), part) for part, rows in parts.items()])

    def row(self, record, payload, rows, first, last, **changes):
        row = dict(version=self.version, committed=self.committed + 1, record=record, first_node=first, last_node=last, rows=rows,
                   payload=payload, checksum=blake3(payload).digest())
        return {**row, **changes}

    def one(self, payload, rows=1, record="node/1", **changes):
        """Appends a version of one row with this payload, which says that it is about the root."""
        self.publish([self.add(parquet([self.row(record, payload, rows, ROOT, ROOT, **changes)]))])

    def add(self, content, part=0, versions=None, rows=1):
        """A data file of these bytes, and the action that adds it."""
        name = f"node_part={part}/{uuid.uuid4()}-{blake3(content).hexdigest()[:32]}.parquet"
        file = self.path / "oplog" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        low, high = versions or (self.version, self.version)
        stats = {"numRecords": rows, "minValues": {"version": low}, "maxValues": {"version": high}}
        return self.added(name, len(content), part, stats)

    def added(self, path, size, part=0, stats=None):
        values = {"path": path, "partitionValues": {"node_part": str(part)}, "size": size, "modificationTime": 0, "dataChange": True}
        stats = stats or {"numRecords": 1, "minValues": {"version": self.version}, "maxValues": {"version": self.version}}
        return {"add": {**values, "stats": json.dumps(stats)}}

    def publish(self, actions):
        info = {"commitInfo": {"timestamp": 0, "operation": "WRITE", "engineInfo": "pondmount/0.1.0"}}
        txn = {"txn": {"appId": f"pond-{self.id}", "version": self.generation + 1}}
        self.next().write_text("".join(json.dumps(action) + "\n" for action in [info, *actions, txn]))

    def next(self):
        return self.log / f"{self.version:020}.json"

    def replace(self, name, target):
        """Puts a link in the place of a file or folder, and what stood there outside."""
        place = self.path / name
        if place.is_dir():
            shutil.rmtree(self.outside / target, ignore_errors=True)
            shutil.move(place, self.outside / target)
        elif place.exists():
            place.unlink()
        place.parent.mkdir(exist_ok=True)
        if not (self.outside / target).exists():
            (self.outside / target).mkdir()
        place.symlink_to(self.outside / target)


def payload(of, records, schema=None, options=None):
    types = schema or SCHEMAS[of]
    batch = pa.record_batch([pa.array([r.get(c) for r in records], t) for c, t in types.items()], list(types))
    return stream(batch, options)


def stream(batch, options=None):
    out = io.BytesIO()
    with pa.ipc.new_stream(out, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return out.getvalue()


def parquet(rows):
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=OUTER), out, compression="zstd", use_dictionary=False)
    return out.getvalue()


# Parquet by hand, for what no library would write.

def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def number(n):
    return varint(n << 1 if n >= 0 else (-n << 1) - 1)


class I32(int):
    pass


def value(of):
    if isinstance(of, I32):
        return 5, number(of)
    if isinstance(of, int):
        return 6, number(of)
    if isinstance(of, bytes):
        return 8, varint(len(of)) + of
    if isinstance(of, list):
        kinds = [value(each) for each in of]
        return 9, bytes([0xF0 | (kinds[0][0] if kinds else 12)]) + varint(len(of)) + b"".join(each for _, each in kinds)
    return 12, struct(of)


def struct(fields):
    out, last = b"", 0
    for n, of in sorted(fields.items()):
        if isinstance(of, tuple):  # as it is: its type and bytes
            kind, body = of
        else:
            kind, body = value(of)
        out += bytes([(n - last) << 4 | kind]) + body
        last = n
    return out + b"\0"


def page(body, unfolded=None, values=1, encoding=0, kind=0):
    """A page: its header and its bytes as they are stored."""
    inner = {1: I32(values), 2: I32(encoding)}
    inner = inner if kind == 2 else {**inner, 3: I32(3), 4: I32(3)}
    header = {1: I32(kind), 2: I32(len(body) if unfolded is None else unfolded), 3: I32(len(body)), 7 if kind == 2 else 5: inner}
    return struct(header) + body


INT32, INT64, BYTE_ARRAY = 1, 2, 6
COLUMNS = dict(version=INT64, committed=INT64, record=BYTE_ARRAY, first_node=INT64, last_node=INT64, rows=INT32, payload=BYTE_ARRAY,
               checksum=BYTE_ARRAY)
CONVERTED = {"committed": I32(10), "record": I32(0)}


def plain(name, of):
    if COLUMNS[name] == BYTE_ARRAY:
        of = of.encode() if isinstance(of, str) else of
        return len(of).to_bytes(4, "little") + of
    return of.to_bytes(8 if COLUMNS[name] == INT64 else 4, "little")


def by_hand(row, rows=1, pages=None, codec=None, footer=None, index=None, group=None):
    """A file with one row, or `rows` like it. `pages` gives columns' pages (dictionary first), `codec` their compression."""
    out, chunks = b"PAR1", []
    for name, kind in COLUMNS.items():
        single = page(plain(name, row[name]), values=1)
        here = (pages or {}).get(name, [single] * min(rows, 64))
        begin, body = len(out), b"".join(here)
        out += body
        meta = {1: I32(kind), 2: [I32(0), I32(8)], 3: [name.encode()], 4: I32((codec or {}).get(name, 0)), 5: rows, 6: len(body),
                7: len(body), 9: begin}
        if pages and name in pages and len(here) > 1 and here[0][1:2] == b"\x04":
            meta.update({9: begin + len(here[0]), 11: begin})
        chunks.append({2: begin, 3: meta})
    if index is not None:
        for chunk in chunks:
            chunk.update({4: len(out), 5: I32(len(index))})
        out += index
    elements = [{4: b"schema", 5: I32(len(COLUMNS))}]
    for name, kind in COLUMNS.items():
        element = {1: I32(kind), 3: I32(0), 4: name.encode()}
        elements.append({**element, 6: CONVERTED[name]} if name in CONVERTED else element)
    groups = [{1: chunks, 2: len(out), 3: rows, **(group or {})}]
    footer = struct({1: I32(1), 2: elements, 3: rows, 4: groups, **(footer or {})})
    return out + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def zeros(n):
    """A Zstandard frame that unfolds to n zeros: four bytes for each 128 KiB."""
    blocks, block = [], 128 << 10
    for at in range(0, n, block):
        size, last = min(block, n - at), at + block >= n
        blocks.append((last | 1 << 1 | size << 3).to_bytes(3, "little") + b"\0")
    return b"\x28\xb5\x2f\xfd\x00\x38" + b"".join(blocks)


def patched(payload, old, new):
    """A payload whose last number `old` of eight bytes, in a message's description, is `new`."""
    at = payload.rindex(old.to_bytes(8, "little"), 0, payload.rindex(b"\xff\xff\xff\xff"))
    return payload[:at] + new.to_bytes(8, "little") + payload[at + 8:]


ROOTS = lambda p: payload("node/1", [p.nodes[ROOT]])
CASES = {}


def case(of):
    CASES[of.__name__] = of
    return of


def named(name, bytes_):
    CASES[name] = lambda p: p.commit([("node/1", n := p.node()), ("name/1", entry(ROOT, bytes_, n))])


def entry(directory, name, node, **changes):
    return dict(directory=directory, name=name, removed=False, child=node["node"], kind=node["kind"], **changes)


# Names.
for name, bytes_ in dict(name_slash=b"a/b", name_nul=b"a\0b", name_dot=b".", name_dots=b"..", name_empty=b"", name_long=b"x" * 256,
                         name_escape=b"../../outside/secret", name_version=b"@version", name_ends_version=b"x@version").items():
    named(name, bytes_)


# Trees that are none.
@case
def missing_node(p):
    p.commit([("name/1", dict(entry(ROOT, b"odd", p.find("small")), child=777_777))])


@case
def other_kind(p):
    p.commit([("name/1", dict(entry(ROOT, b"odd", p.find("dir")), kind="file"))])


@case
def linked_directory(p):
    node = p.find("dir")
    p.commit([("node/1", dict(node, nlink=4)), ("name/1", entry(ROOT, b"odd", node))])


@case
def two_parents(p):
    node = p.find("dir/sub")
    p.commit([("name/1", entry(ROOT, b"odd", node))])


@case
def cycle(p):
    above, below = p.find("dir"), p.find("dir/sub")
    p.commit([("node/1", dict(above, parent=below["node"])), ("name/1", entry(below["node"], b"odd", above))])


@case
def own_child(p):
    node = p.find("dir/sub")
    p.commit([("node/1", dict(node, parent=node["node"])), ("name/1", entry(node["node"], b"odd", node))])


@case
def child_is_root(p):
    p.commit([("name/1", entry(p.find("dir")["node"], b"odd", p.nodes[ROOT]))])


@case
def no_parent(p):
    p.commit([("node/1", dict(p.find("dir"), parent=None))])


@case
def entries_of_a_file(p):
    p.commit([("name/1", entry(p.find("small")["node"], b"odd", p.find("large")))])


@case
def no_links(p):
    p.commit([("node/1", dict(p.find("small"), nlink=0)), ("node/1", dict(p.find("dir"), nlink=0))])


@case
def most_links(p):
    p.commit([("node/1", dict(p.find("small"), nlink=2**32 - 1)), ("node/1", dict(p.find("dir"), nlink=2**32 - 1))])


@case
def root_is_file(p):
    p.commit([("node/1", dict(p.node(), node=ROOT))])


@case
def root_is_gone(p):
    p.commit([("node/1", dict(node=ROOT, removed=True))])


@case
def device(p):
    node = p.node("block device", rdev=0x801, mode=0o666)
    p.commit([("node/1", node), ("name/1", entry(ROOT, b"odd", node))])


# Files whose bytes are not there.
def extents(name, *changes, **of_node):
    def forge(p):
        node = p.find("large")
        stored = next(e for e in p.extents.values() if e["content"] == node["content"] and e["segment"] is not None)
        records = [("extent/1", {**stored, **(change(node) if callable(change) else change)}) for change in changes]
        p.commit(sorted(records, key=lambda r: (r[1]["content"], r[1]["offset"])) + ([("node/1", dict(node, **of_node))] if of_node else []))
    CASES[name] = forge


extents("overlapping", dict(offset=10, length=500), dict(offset=11, length=400))
extents("beyond_file", lambda node: dict(offset=node["size"] + 10, length=1))
extents("other_hash", dict(hash=b"\7" * 32))
extents("no_segment", dict(segment=2**63))
extents("last_segment", dict(segment=2**64 - 1))
extents("segment_end", dict(segment_offset=2**64 - 1))
extents("segment_sign", dict(segment_offset=2**63 - 1))
extents("no_length", dict(length=0))
extents("inline_none", dict(length=0, inline=b"", segment=None))
extents("inline_long", dict(length=(1 << 20) + 1, inline=bytes((1 << 20) + 1), segment=None))
extents("inline_differs", dict(length=5, inline=b"x", segment=None))
extents("both_kinds", dict(inline=b"x", length=1))
extents("skip_beyond", dict(skip=2**32 - 1, length=2))
extents("stored_long", dict(stored_length=2**32 - 1))
extents("length_long", dict(length=2**32 - 1, stored_length=2**32 - 1))
extents("offset_end", dict(offset=2**64 - 2, length=10))
extents("offset_sign", dict(offset=2**63 - 2, length=10))
extents("claims_nothing", dict(offset=0), allocated=0)
extents("claims_more", dict(offset=0), size=2**63 - 1, allocated=2**63 - 1)


# Numbers.
def numbers(name, kind="file", **changes):
    def forge(p):
        node = p.node(kind, **changes)
        p.commit([("node/1", node), ("name/1", entry(ROOT, b"odd", node))])
    CASES[name] = forge


numbers("id_zero", node=0)
numbers("id_derived", node=2**50)
numbers("content_zero", content=0)
numbers("content_huge", content=2**62 + 5)
numbers("parent_huge", "directory", parent=2**62 + 1)
numbers("size_sign", size=2**63)
numbers("size_all", size=2**64 - 1)
numbers("size_most", size=2**63 - 1)
numbers("allocated_more", size=1, allocated=2)
numbers("mode_wide", mode=0o170000 | 0o644)
numbers("time_wide", mtime_ns=10**9)
numbers("time_least", mtime=-(2**63))
numbers("kind_unknown", "door")
numbers("target_nul", "symlink", target=b"a\0b", mode=0o777)
numbers("target_long", "symlink", target=b"x" * 4096, mode=0o777)
numbers("target_none", "symlink", target=None, mode=0o777)


@case
def child_derived(p):
    p.commit([("name/1", dict(entry(ROOT, b"odd", p.find("small")), child=2**62 + 12345))])


@case
def child_zero(p):
    p.commit([("name/1", dict(entry(ROOT, b"odd", p.find("small")), child=0))])


@case
def twice(p):
    p.commit([("node/1", p.nodes[ROOT]), ("node/1", p.nodes[ROOT])])


@case
def other_version(p):
    p.commit([("node/1", p.nodes[ROOT])], version=p.version + 7)


@case
def count_many(p):
    p.one(ROOTS(p), rows=2**31 - 1)


@case
def count_none(p):
    p.one(ROOTS(p), rows=0)


@case
def owner_negative(p):
    p.one(ROOTS(p), first_node=-1)


@case
def other_part(p):
    p.publish([p.add(parquet([p.row("node/1", ROOTS(p), 1, ROOT, ROOT)]), part=7)])


# Payloads.
@case
def ipc_body(p):
    whole = payload("extent/1", [dict(content=ROOT, offset=0, removed=False, length=7777, inline=bytes(7777))])
    body = len(pa.ipc.open_stream(whole).read_all().combine_chunks()["inline"][0].as_py())
    message = pa.ipc.MessageReader.open_stream(whole)
    message.read_next_message()
    length = message.read_next_message().body.size
    assert body == 7777
    p.one(patched(whole, length, 1 << 43), record="extent/1")


@case
def ipc_length(p):
    p.one(b"\xff\xff\xff\xff" + (2**31 - 1).to_bytes(4, "little") + b"x" * 100)


@case
def ipc_negative(p):
    p.one(b"\xff\xff\xff\xff" + (-8).to_bytes(4, "little", signed=True) + b"x" * 100)


@case
def ipc_nothing(p):
    p.one(b"")


@case
def ipc_junk(p):
    p.one(bytes(range(256)) * 40)


@case
def ipc_compressed(p):
    big = dict(content=ROOT, offset=0, removed=False, length=1 << 20, inline=bytes(1 << 20))
    p.one(payload("extent/1", [big], options=pa.ipc.IpcWriteOptions(compression="zstd")), record="extent/1")


@case
def ipc_compressed_tib(p):
    big = dict(content=ROOT, offset=0, removed=False, length=1 << 20, inline=bytes(1 << 20))
    whole = payload("extent/1", [big], options=pa.ipc.IpcWriteOptions(compression="lz4"))
    at = whole.rindex((1 << 20).to_bytes(8, "little"))
    p.one(whole[:at] + (1 << 42).to_bytes(8, "little") + whole[at + 8:], record="extent/1")


def columns(name, **changes):
    def forge(p):
        types = {**SCHEMAS["node/1"], **changes}
        p.one(payload("node/1", [p.nodes[ROOT]], {c: t for c, t in types.items() if t is not None}))
    CASES[name] = forge


columns("column_missing", nlink=None)
columns("column_unknown", color=pa.null(), uid=None)
columns("column_type", uid=pa.int64())
columns("column_large", target=pa.large_binary())
columns("column_view", target=pa.binary_view())


@case
def column_dictionary(p):
    kind = pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array(["directory"]))
    batch = pa.ipc.open_stream(ROOTS(p)).read_next_batch()
    p.one(stream(batch.set_column(batch.schema.get_field_index("kind"), "kind", kind)))


@case
def column_nested(p):
    kind = TEXT
    for _ in range(40):
        kind = pa.list_(kind)
    batch = pa.ipc.open_stream(ROOTS(p)).read_next_batch()
    p.one(stream(batch.set_column(batch.schema.get_field_index("kind"), "kind", pa.array([None], kind))))


@case
def column_twice(p):
    batch = pa.ipc.open_stream(ROOTS(p)).read_next_batch()
    p.one(stream(batch.append_column("uid", pa.array([0], U32))))


@case
def nulls_many(p):
    whole = stream(pa.record_batch([pa.nulls(54321)], ["node"]))
    p.one(whole.replace((54321).to_bytes(8, "little"), (1 << 60).to_bytes(8, "little")))


@case
def type_wrong(p):
    p.one(ROOTS(p), record="name/1")


@case
def type_newer(p):
    p.one(ROOTS(p), record="node/2")


# Parquet.
def hand(name, *, many=1, versions=None, **how):
    def forge(p):
        row = p.row("node/1", ROOTS(p), 1, ROOT, ROOT)
        row["committed"] = p.committed + 1
        made = {key: of(row) if callable(of) else of for key, of in how.items()}
        found = (versions(p), {"versions": versions(p)})[1] if versions else {}
        p.publish([p.add(by_hand(row, rows=many, **made), rows=many, **found)])
    CASES[name] = forge


REFERENCES = b"\1" + varint(1 << 13) + b"\0"  # 4,096 times the first value of a dictionary
both = lambda p: (p.version - 1, p.version)
hand("by_hand_whole")  # shows that the others are refused for what is wrong in them
hand("page_bomb", pages={"payload": [page(zeros(2 * GIB - 1), unfolded=2 * GIB - 1)]}, codec={"payload": 6})
hand("page_bombs", many=5, pages={"payload": [page(zeros(2 * GIB - 1), unfolded=2 * GIB - 1)] * 5}, codec={"payload": 6})
hand("page_liar", pages={"payload": [page(zeros(10 * GIB), unfolded=1000)]}, codec={"payload": 6})
hand("page_brim", pages={"payload": [page(zeros(79 << 20), unfolded=79 << 20)]}, codec={"payload": 6})
hand("page_other_column", pages={"record": [page(zeros(GIB), unfolded=GIB)]}, codec={"record": 6})
hand("gzip_bomb", pages={"payload": [page((lambda c: c.compress(bytes(256 << 20)) + c.flush())(zlib.compressobj(1, wbits=31)), unfolded=99)]},
     codec={"payload": 2})
hand("dictionary_bomb", many=1 << 12, codec={"payload": 6}, pages={"payload": [
    page(zeros(64 << 20), unfolded=64 << 20, kind=2),
    page(pa.compress(REFERENCES, codec="zstd", asbytes=True), unfolded=len(REFERENCES), values=1 << 12, encoding=8)]})
hand("prefix_bomb", pages={"payload": [page(b"\x80\x01\x04", encoding=7)]})
hand("rows_many", many=1 << 40)
hand("page_outside", pages={"payload": [page(b"abc")[:-3]]})
hand("page_endless", pages={"payload": [b"\x15\x00\x15\x00\x15" + b"\x80" * 400]})
hand("footer_list", footer={4: (9, bytes([0xFC]) + varint(2**31 - 1))})
hand("footer_deep", footer={9: (12, b"\x1c" * 200_000)})
hand("footer_negative", group={1: [{2: -5, 3: {1: I32(2), 2: [I32(0)], 3: [b"version"], 4: I32(0), 5: 1, 6: -1, 7: -1, 9: -4}}]})
hand("index_list", versions=both, index=bytes([0x19, 0xFC]) + varint(2**31 - 1))
hand("index_elsewhere", versions=both, index=struct({1: [{1: 4, 2: I32(2**30), 3: 0}]}))


@case
def footer_long(p):
    p.publish([p.add(b"PAR1" + b"\xff\xff\xff\x7fPAR1")])


@case
def not_parquet(p):
    p.publish([p.add(b"x" * 5000)])


@case
def checkpoint_bomb(p):
    row = p.row("node/1", ROOTS(p), 1, ROOT, ROOT)
    bomb = by_hand(row, pages={"record": [page(zeros(2 * GIB - 1), unfolded=2 * GIB - 1)]}, codec={"record": 6})
    (p.log / f"{p.version - 1:020}.checkpoint.parquet").write_bytes(bomb)


@case
def checkpoint_list(p):
    bomb = by_hand(p.row("node/1", ROOTS(p), 1, ROOT, ROOT), footer={4: (9, bytes([0xFC]) + varint(2**31 - 1))})
    (p.log / f"{p.version - 1:020}.checkpoint.parquet").write_bytes(bomb)


# The log.
@case
def commit_sparse(p):
    with p.next().open("w") as file:
        file.truncate(GIB)


@case
def commit_deep(p):
    p.next().write_text('{"commitInfo":{"engineInfo":"x","a":' + "[" * 100_000 + "]" * 100_000 + "}}\n")


@case
def commit_wide(p):
    p.next().write_text('{"commitInfo":{"engineInfo":"x"},"cdc":[' + "[]," * 300_000 + "1]}\n")


@case
def hint_sparse(p):
    with (p.log / "_last_checkpoint").open("w") as file:
        file.truncate(GIB)


@case
def hint_deep(p):
    (p.log / "_last_checkpoint").write_text('{"version":' + "[" * 2_000_000)


@case
def hint_beyond(p):
    (p.log / "_last_checkpoint").write_text('{"version":18446744073709551615,"size":1}')


@case
def crc_sparse(p):
    with (p.log / f"{p.version - 1:020}.crc").open("w") as file:
        file.truncate(GIB)


@case
def identity_sparse(p):
    with (p.path / "pond.toml").open("a") as file:
        file.truncate(GIB)


def path(name, text):
    def forge(p):
        of = text(p) if callable(text) else text
        p.publish([p.added(of, (p.outside / "secret").stat().st_size)])
    CASES[name] = forge


path("path_dots", "../../outside/secret")
path("path_dots_inside", "node_part=0/../../../outside/secret")
path("path_absolute", lambda p: str(p.outside / "secret"))
path("path_url", lambda p: f"file://{p.outside}/secret")
path("path_encoded", "%2e%2e/%2e%2e/outside/secret")
path("path_encoded_slash", "..%2f..%2foutside%2fsecret")
path("path_encoded_absolute", lambda p: str(p.outside / "secret").replace("/", "%2F"))
path("path_encoded_twice", "%252e%252e/%252e%252e/outside/secret")
path("path_nul", "a%00b")
path("path_empty", "")
path("path_network", "http://127.0.0.1:1/x")


# Links.
def link(name, place, target):
    CASES[name] = lambda p: p.replace(place, target)


link("link_segment", "segments/0000000000000001.seg", "secret")
link("link_segments", "segments", "segments")
link("link_oplog", "oplog", "oplog")
link("link_log", "oplog/_delta_log", "log")
link("link_part", "oplog/node_part=0", "part")
link("link_staging", "oplog/.staging", "victims")
link("link_hint", "oplog/_delta_log/_last_checkpoint", "secret")
link("link_index", "index", "index")
link("link_journal", "index/0.jnl", "secret")
link("link_cache", "cache", "cache")
link("link_lock", "lock", "secret")
link("link_control", "control.sock", "secret")
link("link_identity", "pond.toml", "secret")


@case
def link_data_file(p):
    (p.path / "oplog/node_part=0/x.parquet").symlink_to(p.outside / "secret")
    p.publish([p.added("node_part=0/x.parquet", (p.outside / "secret").stat().st_size)])


@case
def pipe_lock(p):
    os.mkfifo(p.path / "lock")


@case
def pipe_hint(p):
    os.mkfifo(p.log / "_last_checkpoint")


@case
def pipe_segment(p):
    place = p.path / "segments/0000000000000001.seg"
    place.unlink()
    os.mkfifo(place)


@case
def pipe_data_file(p):
    os.mkfifo(p.path / "oplog/node_part=0/x.parquet")
    p.publish([p.added("node_part=0/x.parquet", 0)])


@case
def segment_last(p):
    (p.path / "segments/18446744073709551615.seg").touch()


def main(pond, outside, *cases):
    for name, place in zip(cases[::2], cases[1::2]):
        target, beyond = Path(place) / "pond", Path(place) / "outside"
        # Without an index, which is rebuilt of what is forged.
        shutil.copytree(pond, target, symlinks=True, ignore=shutil.ignore_patterns("index", "lock", "control.sock"))
        shutil.copytree(outside, beyond, symlinks=True)
        CASES[name](Pond(target, beyond))


main(*sys.argv[1:])
