"""Types into nano at a terminal of its own. Arguments: a line of text, the file, and nano's command line.

Each answer of the editor is awaited before the next key, so that no sleep has to be long enough."""
import os
import pty
import select
import sys

text, path, *command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], [*command, path])

screen = b""


def wait_for(word):
    """Reads until the screen has shown this word since the last one."""
    global screen
    while word not in screen:
        if not select.select([terminal], [], [], 30)[0]:
            sys.exit(f"nano does not show {word!r}: {screen!r}")
        try:
            screen += os.read(terminal, 65536)
        except OSError:
            sys.exit(f"nano ended before it showed {word!r}: {screen!r}")
    screen = screen.split(word, 1)[1]


wait_for(b"GNU nano")
wait_for(b"two")  # the text is there
os.write(terminal, text.encode() + b"\r")
wait_for(b"Modified")
os.write(terminal, b"\x0f")
wait_for(b"File Name to Write")
os.write(terminal, b"\r")
wait_for(b"Wrote")
os.write(terminal, b"\x18")
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
