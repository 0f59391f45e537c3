"""What the command line needs before anything else loads: Ctrl-C and lost streams while modules load.

Imported first by ``secateur``; it does nothing unless the program that runs is the command line.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from types import FrameType


def is_command() -> bool:
    """Whether this process runs ``secateur``, ``python -m secateur`` or ``python -m secateur.cli``."""
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and processes.parent_process() is not None:
        return False  # a worker, whose parent is asked
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # as long as Python looks for the module, whose name stands before its arguments
        return sys.orig_argv[-len(sys.argv)].removeprefix("-m") in ("secateur", "secateur.cli")
    return Path(program).stem == "secateur"


def leave_early(number: int, frame: FrameType | None) -> None:
    """While modules load nothing has been made that would have to be cleared away."""
    try:
        os.write(2, b"secateur: interrupted, nothing was written.\n")
    finally:
        os._exit(130)


def open_missing() -> None:
    """Where standard streams were closed, as by ``>&-``, nothing else may take their numbers: files would get words."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            stream = io.FileIO(number, "w", closefd=False)
            setattr(sys, name, io.TextIOWrapper(io.BufferedWriter(stream), encoding="utf-8", errors="replace"))


if is_command():
    open_missing()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave_early)
