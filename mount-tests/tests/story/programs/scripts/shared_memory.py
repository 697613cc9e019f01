"""Two processes and a file that both have mapped. Argument: a directory."""
import mmap
import os
import subprocess
import sys

path = sys.argv[1] + "/shared"
PAGE = mmap.PAGESIZE
with open(path, "wb") as file:
    file.truncate(4 * PAGE)
file = open(path, "r+b")
memory = mmap.mmap(file.fileno(), 0)
other = """
import mmap, sys
with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
    for line in sys.stdin:
        place, word = line.split()
        found = memory[int(place) : int(place) + 5]
        memory[int(place) : int(place) + 5] = word.encode()
        print(found.decode(), len(memory), flush=True)
"""
child = subprocess.Popen([sys.executable, "-c", other, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def child_writes(place, word):
    print(place, word, file=child.stdin, flush=True)
    return child.stdout.readline().split()[0]


def on_disk(place):
    with open(path, "rb") as plain:
        plain.seek(place)
        return plain.read(5)


# Across a page boundary, back and forth, and by read and write at the same time.
for place in [0, 3 * PAGE - 2]:
    memory[place : place + 5] = b"first"
    assert child_writes(place, "other") == "first"
    assert memory[place : place + 5] == b"other"
    assert on_disk(place) == b"other"
    file.seek(place)
    file.write(b"plain")
    file.flush()
    assert memory[place : place + 5] == b"plain"
    assert child_writes(place, "again") == "plain"
child.stdin.close()
assert child.wait() == 0

# The file grows with the mapping, and shrinks with it.
memory.resize(100 * PAGE)
assert os.path.getsize(path) == 100 * PAGE
memory[99 * PAGE : 99 * PAGE + 5] = b"grown"
memory.flush()
assert on_disk(99 * PAGE) == b"grown" and on_disk(0) == b"again"
memory.resize(PAGE)
assert os.path.getsize(path) == PAGE and memory[:5] == b"again"
memory.resize(2 * PAGE)
assert memory[PAGE:] == bytes(PAGE), "what was cut off comes back"

# A private mapping is nobody else's; a mapping outlives the name and the descriptor.
with mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE) as private:
    private[:5] = b"quiet"
    assert memory[:5] == b"again" and on_disk(0) == b"again"
os.unlink(path)
file.close()
memory[:5] = b"still"
memory.flush()
assert memory[:5] == b"still"
memory.close()
