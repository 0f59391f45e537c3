// A verb whose sums another machine takes: the host makes a plan of plain views and recomputes what comes back untrusted.
#pragma once

#include "secateur/kernels.hpp"

namespace secateur {

struct StandardRows {  // targets centred, weighted and scaled: an alignment is one product and one spread
    const double* rows;  // (count, pairs)
    int64_t count, pairs;
    const double* weights;     // (patterns, pairs), or nullptr: every pair counts once
    const int64_t* weight_of;  // (count,), or nullptr
    int64_t patterns;
    const double* totals;  // (patterns): sums of weights
    const char* active;    // (patterns, stimuli): whether a pair of the stimulus has weight
    bool centred;
    int64_t pattern_of(int64_t target) const { return weights ? weight_of[target] : 0; }
};

struct OneFeaturePlan {
    Metric metric;
    int sign;  // +1: candidates come, -1: they go
    Indices candidates;
    StandardRows targets;
    const double *pair, *own, *mean;   // the unchanged space: (pairs), (stimuli), (stimuli)
    double weight;                     // of a candidate's factor, rooted (centring_weight)
    double shift;                      // taken from every value: the mean over the unchanged space
    const double *remain, *level;      // (patterns): see one_feature.cpp
    const double *least, *undefined;   // (stimuli)
};

struct InsertionPlan {
    Metric metric;
    StandardRows targets;
    const int64_t* orders;  // (order_count, steps); order_count is 1 or the number of targets
    int64_t order_count, steps;
};

// X on another machine, and the sums over pairs that are taken there. All pointers are to host memory.
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
};

}  // namespace secateur
