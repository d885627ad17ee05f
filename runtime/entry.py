"""Where a command begins: before anything is imported that takes long.

Ctrl-C ends the process by SIGINT, as a shell expects it: at once while nothing has begun, and else when the command has
told what is whole.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

INTERRUPTED = 130  # exit code of an interrupted command, as shells call what SIGINT ended


def main(home: str, name: str) -> None:
    """Runs `cli` of the module `home`, which calls itself by that name."""
    _open_standard_streams()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, as behind nohup
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        import_module(home).cli(prog_name=name)
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


@contextmanager
def interruptible() -> Iterator[None]:
    """Where SIGINT would end the process at once, it raises KeyboardInterrupt while the block lasts."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_DFL or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _open_standard_streams() -> None:
    """Whatever is closed leads nowhere: the next file that is opened would take its number, and every library's
    messages."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
