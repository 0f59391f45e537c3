"""
From one time to another
========================

Features that are chosen at one time are scored at every other, always on stimuli that the choice did not see
(temporal generalisation).
"""

# %%
# Two stages: some features drive the patterns early, others late.

import numpy as np

import secateur as sc

times = np.arange(-4, 46) * 0.01
rng = np.random.default_rng(5)
X = rng.normal(size=(30, 30))
how = {"X": X, "subjects": 6, "sensors": 30, "times": times, "seed": 6, "noise": 0.7}
early, _ = sc.timecourse.simulate(30, features=range(6), window=(0.05, 0.22), **how)
late, _ = sc.timecourse.simulate(30, features=range(15, 21), window=(0.22, 0.40), **how)
course = sc.timecourse.prune(X, sc.timecourse.rdm_movies(early + late), cv=3, seed=0, generalise=True)

# %%
# Two squares on the diagonal: within a stage, one time's features serve another; between the stages they don't.

sc.report.generalisation(course)
