// The verbs: what the compiled core computes, on whatever engine X lies with.
#pragma once

#include "secateur/engine.hpp"

namespace secateur {

// out (pairs): similarities; NaN where a stimulus has no direction.
void similarity(Engine&, Metric, Indices subset, const Context&, double* out);
// out (count, targets): each target against each vector of similarities (count, pairs). The pairs are all those of the stimuli,
// or with `stimuli` 0 any pairs: those of one stimulus, say.
void compare(const double* similarities, int64_t count, int64_t pairs, int64_t stimuli, const Targets&, TieScale, Comparator,
             const Context&, double* out);
// out (targets, features): alignment with one feature of the subset removed; the subset's own elsewhere.
void leave_one_out(Engine&, const Targets&, Measures, Indices subset, const Context&, double* out);
// out (targets, features): alignment with one feature added to the subset; the subset's own for its members.
void add_one(Engine&, const Targets&, Measures, Indices subset, const Context&, double* out);
// out (targets, steps): alignment of each prefix.
void insertion_curve(Engine&, const Targets&, Measures, Orders, const Context&, double* out);
// A search by ranking among some stimuli (values null: all): leave-one-out of all features, insertion in the order of their
// importance, the best prefix. False, and baselines alone, where one is NaN or a target is constant: there is nothing to rank by.
bool ranking(Engine&, const Targets&, Measures, Indices stimuli, PrefixRule, const Context&, Ranked out);
// out, undefined (targets): alignment among some stimuli of each target with the features that are kept for it, kept (targets,
// features) or nullptr: all. Pairs of stimuli without direction are left out, and counted where they have weight.
void held_out_alignment(Engine&, const Targets&, Measures, Indices stimuli, const bool* kept, const Context&, double* out,
                        int64_t* undefined);

}  // namespace secateur
