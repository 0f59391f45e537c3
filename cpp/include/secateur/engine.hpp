// A verb whose sums another machine takes: the host makes a plan of plain views and recomputes what comes back untrusted.
#pragma once

#include "secateur/data.hpp"

namespace secateur {

struct StandardRows {    // targets centred, weighted and scaled: an alignment is one product and one spread
    const double* rows;  // (count, pairs)
    int64_t count, pairs;
    const double* weights;     // (patterns, pairs), or nullptr: every pair counts once
    const int64_t* weight_of;  // (count,), or nullptr
    int64_t patterns;
    const double* totals;  // (patterns): sums of weights
    const char* active;    // (patterns, stimuli): whether a pair of the stimulus has weight
    bool centred;
    int64_t in_all;  // targets of the call that these are of: how sums are split, and so their bits, goes by it
    int64_t pattern_of(int64_t target) const { return weights ? weight_of[target] : 0; }
    // Those from `first` on, with these rows.
    StandardRows part(int64_t first, int64_t some, const double* their_rows) const {
        StandardRows those = *this;
        those.rows = their_rows;
        those.count = some;
        if (weight_of) those.weight_of = weight_of + first;
        return those;
    }
};

struct OneFeaturePlan {
    Metric metric;
    int sign;  // +1: candidates come, -1: they go
    Indices candidates;
    StandardRows targets;
    const double *pair, *own, *mean;  // the unchanged space: (pairs), (stimuli), (stimuli)
    double weight;                    // of a candidate's factor, rooted (centring_weight)
    double shift;                     // taken from every value: the mean over the unchanged space
    const double *remain, *level;     // (patterns): see one_feature.cpp
    const double *least, *undefined;  // (stimuli)
};

struct InsertionPlan {
    Metric metric;
    StandardRows targets;
    const int64_t* orders;  // (order_count, steps); order_count is 1 or the number of targets
    int64_t order_count, steps;
};

struct RankingPlan {
    OneFeaturePlan leave_one_out;  // of all features; rows of its targets are null
    Indices positions;             // of the pairs among the targets' pairs; values null: all of them
    const double* similarities;    // (pairs): of all features
    PrefixRule rule;
    bool no_updates;  // no removal can be trusted
};

struct HeldOutPlan {
    Metric metric;
    bool centred;
    Indices positions;      // as in RankingPlan
    const double* weights;  // (patterns, pairs), or nullptr
    const int64_t* weight_of;
    int64_t patterns, targets;
    const bool* kept;  // (targets, features), or nullptr: all
};

// Targets on another machine.
class AcceleratedTargets {
  public:
    virtual ~AcceleratedTargets() = default;
    // (targets, pairs) as they were given, on the host; fetched once where they do not lie there.
    virtual const double* host_values() = 0;
    // The rows of StandardRows there, of targets whose every pair counts once; made once.
    virtual const double* standardised(bool centred) = 0;
    // out (targets): alignment with these similarities (pairs), which are all defined or make it NaN.
    virtual void compare(const double* similarities, bool centred, double* out) = 0;
};

// X on another machine, and the sums over pairs that are taken there. Pointers are to host memory.
class Accelerator {
  public:
    virtual ~Accelerator() = default;
    // X as it lies on the host, fetched once where it does not.
    virtual const double* host_features() = 0;
    // pair (pairs), own (stimuli), mean (stimuli): the space of the subset.
    virtual void space(Metric, Indices subset, double* pair, double* own, double* mean) = 0;
    // values (targets, candidates) of every target, not oriented; again (candidates): 1 asks for the exact way.
    virtual void one_feature(const OneFeaturePlan&, const Context&, double* values, char* again) = 0;
    // values (targets, steps), not oriented; again (targets, steps).
    virtual void insertion_curve(const InsertionPlan&, const Context&, double* values, char* again) = 0;
    // The same features of these stimuli alone.
    virtual std::unique_ptr<Accelerator> among(Indices stimuli) = 0;
    // As cpu::ranking; what one step makes stays there for the next.
    virtual bool ranking(AcceleratedTargets&, const RankingPlan&, const Context&, Ranked) = 0;
    // As cpu::held_out_alignment.
    virtual void held_out_alignment(AcceleratedTargets&, const HeldOutPlan&, const Context&, double* out, int64_t* undefined) = 0;
};

}  // namespace secateur
