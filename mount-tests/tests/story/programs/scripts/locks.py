"""Processes that want the same lock. Argument: a directory.

POSIX locks belong to a process, flock and open-file-description locks to an open file."""
import fcntl
import os
import signal
import struct
import sys
import time

path = sys.argv[1] + "/lock"
open(path, "wb").write(bytes(100))


def posix(file, kind, wait):
    fcntl.lockf(file, kind | (0 if wait else fcntl.LOCK_NB), 10, 20)


def whole(file, kind, wait):
    fcntl.flock(file, kind | (0 if wait else fcntl.LOCK_NB))


def description(file, kind, wait):
    kinds = {fcntl.LOCK_EX: fcntl.F_WRLCK, fcntl.LOCK_SH: fcntl.F_RDLCK, fcntl.LOCK_UN: fcntl.F_UNLCK}
    command = fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK
    fcntl.fcntl(file, command, struct.pack("hhqqi4x", kinds[kind], os.SEEK_SET, 20, 10, 0))


def taken(how, kind=fcntl.LOCK_EX):
    """Whether another process is refused the lock."""
    child = os.fork()
    if child == 0:
        try:
            how(open(path, "r+b"), kind, wait=False)
        except BlockingIOError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def holder(how):
    """A process that has the lock, and does not let go by itself."""
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        file = open(path, "r+b")
        how(file, fcntl.LOCK_EX, wait=True)
        os.write(told, b".")
        time.sleep(60)
        os._exit(1)
    os.close(told)
    assert os.read(ready, 1) == b"."
    os.close(ready)
    return child


def waiter(how):
    """A process that waits for the lock and leaves when it has it."""
    child = os.fork()
    if child == 0:
        how(open(path, "r+b"), fcntl.LOCK_EX, wait=True)
        os._exit(0)
    return child


for how in [posix, whole, description]:
    name = how.__name__
    # Killed is let go, and who waits gets it, one after the other.
    child = holder(how)
    assert taken(how), name
    waiting = [waiter(how) for _ in range(3)]
    time.sleep(0.1)
    assert all(os.waitpid(it, os.WNOHANG) == (0, 0) for it in waiting), f"{name}: got it while it was held"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert [os.waitstatus_to_exitcode(os.waitpid(it, 0)[1]) for it in waiting] == [0, 0, 0], name
    assert not taken(how), name
    # Readers share, a writer waits for them; closing lets go.
    file = open(path, "r+b")
    how(file, fcntl.LOCK_SH, wait=False)
    assert taken(how) and not taken(how, fcntl.LOCK_SH), name
    how(file, fcntl.LOCK_EX, wait=False)
    assert taken(how, fcntl.LOCK_SH), name
    file.close()
    assert not taken(how), name
    # A signal ends the waiting.
    child, waiting = holder(how), waiter(how)
    time.sleep(0.1)
    os.kill(waiting, signal.SIGTERM)
    assert os.WTERMSIG(os.waitpid(waiting, 0)[1]) == signal.SIGTERM, name
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

# POSIX locks of a process end with the first of its descriptors that is closed; those of a description do not.
for how, expected in [(posix, False), (description, True)]:
    file, second = open(path, "r+b"), open(path, "r+b")
    how(file, fcntl.LOCK_EX, wait=False)
    second.close()
    assert taken(how) == expected, how.__name__
    file.close()
# Two open files of one process exclude each other.
for how in [whole, description]:
    file, second = open(path, "r+b"), open(path, "r+b")
    how(file, fcntl.LOCK_EX, wait=False)
    try:
        how(second, fcntl.LOCK_EX, wait=False)
        sys.exit(f"{how.__name__}: both have it")
    except BlockingIOError:
        how(file, fcntl.LOCK_UN, wait=False)
        how(second, fcntl.LOCK_EX, wait=False)
# Who waits for one who waits is told.
file = open(path, "r+b")
fcntl.lockf(file, fcntl.LOCK_EX, 1, 50)
child = os.fork()
if child == 0:
    mine = open(path, "r+b")
    fcntl.lockf(mine, fcntl.LOCK_EX, 1, 60)
    fcntl.lockf(mine, fcntl.LOCK_EX, 1, 50)
    os._exit(0)
time.sleep(0.2)
signal.alarm(20)
try:
    fcntl.lockf(file, fcntl.LOCK_EX, 1, 60)
    sys.exit("a deadlock was not seen")
except OSError as error:
    assert error.errno == 35, error
file.close()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
