"""The command line.

app         what commands share, and the entry point
prune       secateur demo, secateur prune
timecourse  secateur timecourse
networks    secateur embed, secateur maps, secateur heatmap
study       secateur study similarity, taxonomy, retention, fmri, example
finetune    secateur finetune
report      secateur report
"""

from . import finetune, networks, prune, report, study, timecourse  # noqa: F401  (commands register themselves)
from .app import app, main

__all__ = ["app", "main"]
