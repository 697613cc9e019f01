"""shutil and the calls below it. Arguments: a directory on the mount, and one outside."""
import os
import shutil
import sys
import tempfile
import zipfile

root, outside = sys.argv[1:]
source = root + "/source"
os.makedirs(source + "/a/b/c")
data = os.urandom(3_000_000)
for name in ["big", "a/b/text", "a/b/c/deep"]:
    with open(f"{source}/{name}", "wb") as file:
        file.write(data[: len(name) * 10_000] if name != "big" else data)
os.symlink("a/b/text", source + "/link")
os.setxattr(source + "/big", "user.origin", b"here")
os.chmod(source + "/a/b/text", 0o751)


def contents(top):
    """Every file and link below a directory, with its bytes."""
    paths = [os.path.join(at, name) for at, _, names in os.walk(top) for name in names]
    return {os.path.relpath(path, top): open(path, "rb").read() for path in paths}


def same(one, other):
    assert len(contents(one)) > 0 and contents(one) == contents(other), (one, other)


for target in [root + "/copy", outside + "/copy"]:
    shutil.copytree(source, target, symlinks=True)
    same(source, target)
    assert os.readlink(target + "/link") == "a/b/text"
    assert os.getxattr(target + "/big", "user.origin") == b"here"
    for name in ["big", "a", "a/b/text"]:
        was, found = os.stat(f"{source}/{name}"), os.stat(f"{target}/{name}")
        assert (found.st_mode, found.st_mtime_ns) == (was.st_mode, was.st_mtime_ns), name
shutil.move(outside + "/copy", root + "/moved")
same(source, root + "/moved")
assert not os.path.exists(outside + "/copy")
shutil.move(root + "/moved", root + "/copy/a/inner")
same(source, root + "/copy/a/inner")
shutil.rmtree(root + "/copy")
assert not os.path.exists(root + "/copy")

# The kernel copies: into the mount, out of it, and within, also from the middle.
# (copy_file_range stays within a file system, here as anywhere.)
within, across = [(0, root + "/sent"), (1_234_567, root + "/part")], [(0, outside + "/sent")]
for how, targets in [(os.sendfile, within + across), (os.copy_file_range, within)]:
    for start, target in targets:
        with open(source + "/big", "rb") as file, open(target, "wb") as out:
            place = start
            while place < len(data):
                if how is os.sendfile:
                    place += os.sendfile(out.fileno(), file.fileno(), place, len(data))
                else:
                    place += os.copy_file_range(file.fileno(), out.fileno(), len(data) - place, place)
        with open(target, "rb") as file:
            assert file.read() == data[start:], (how.__name__, target)

archive = shutil.make_archive(root + "/packed", "zip", source)
assert zipfile.ZipFile(archive).testzip() is None
shutil.unpack_archive(archive, root + "/unpacked")
same(source + "/a", root + "/unpacked/a")
with tempfile.NamedTemporaryFile(dir=root) as file, tempfile.TemporaryDirectory(dir=root) as directory:
    file.write(data)
    file.flush()
    assert os.path.getsize(file.name) == len(data)
    shutil.copy2(file.name, directory)
with tempfile.TemporaryFile(dir=root) as file:
    file.write(data)
    file.seek(0)
    assert file.read() == data
assert sorted(os.listdir(root)) == ["packed.zip", "part", "sent", "source", "unpacked"]
