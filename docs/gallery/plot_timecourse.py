"""
Along a MEG or EEG recording
============================

Every subject, time and fold is pruned by itself. The recording is synthetic, and the truth is known: 10 of 40
features drive the patterns from 200 to 350 ms.
"""

# %%
# Patterns (subject, stimulus, sensor, time) become dissimilarities at each time; then features are chosen and scored
# out of sample.

import numpy as np

import secateur as sc

times = np.arange(-4, 46) * 0.01
patterns, truth = sc.timecourse.simulate(30, subjects=8, sensors=30, times=times, seed=4)
movies = sc.timecourse.rdm_movies(patterns)
course = sc.timecourse.prune(truth.X, movies, cv=3, seed=0)

# %%
# Two tests for two questions. The group test: would other people show the gain? The permutation test: would features
# dealt to other stimuli? The ceiling says how much subjects agree at all.

test = sc.timecourse.group_test(course)
null = sc.timecourse.permutation_test(truth.X, movies, n=19, cv=3, seed=0)
ceiling = sc.timecourse.noise_ceiling(movies, cv=3, seed=0)
sc.report.alignment_over_time(course, test, ceiling, null)

# %%
# How many features are kept. Outside the window there is nothing to find, and their number follows noise.

sc.report.kept_over_time(course)

# %%
# Which features, when: the planted ones, in their window.

print("planted:", truth.features)
sc.report.selection_over_time(course, most=20)

# %%
# And all of it on one page.

sc.report.course_page(course, test, ceiling, null, title="A synthetic recording")
