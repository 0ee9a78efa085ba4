"""A process that was started by another ends with it, however that one ends."""

import os
import signal
import sys
import threading


def end_with_parent() -> None:
    """Stop this process as soon as its standard input closes: the parent holds the other end, and nobody else."""
    threading.Thread(target=_watch, daemon=True, name="parent").start()


def _watch() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
