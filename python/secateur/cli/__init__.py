"""The command line.

app         what commands share, and the entry point
prune       secateur demo, secateur prune
timecourse  secateur timecourse
study       secateur study fmri
finetune    secateur finetune
"""

from . import finetune, prune, study, timecourse  # noqa: F401  (commands register themselves)
from .app import app, main

__all__ = ["app", "main"]
