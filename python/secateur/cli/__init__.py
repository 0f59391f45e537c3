"""The command line.

app         what commands share, and the entry point
prune       secateur demo, secateur prune
timecourse  secateur timecourse
"""

from . import prune, timecourse  # noqa: F401  (commands register themselves)
from .app import app, main

__all__ = ["app", "main"]
