// The similarity space of a subset of features: what every pair and every stimulus has summed up so far.
#pragma once

#include <vector>

#include "buffer.hpp"
#include "secateur/kernels.hpp"

namespace secateur::cpu {

// Start of stimulus i's row in packed upper-triangle order.
constexpr int64_t row_start(int64_t i, int64_t n) { return i * (2 * n - i - 1) / 2; }

struct Space {
    Buffer pair;  // (pairs): inner products, or squared distances
    Buffer own;   // (stimuli): sums of squares (angular metrics and dot)
    Buffer mean;  // (stimuli): means over the subset (correlation; else zeros)
    Buffer inverse;  // (stimuli): scratch of finish()
    explicit Space(int64_t stimuli)
        : pair(stimuli * (stimuli - 1) / 2), own(stimuli), mean(stimuli), inverse(stimuli) {}
};

// Scratch for a space built again and again inside one thread.
struct SpaceScratch {
    Space space;
    Buffer rows;
    SpaceScratch(int64_t stimuli, int64_t features) : space(stimuli), rows(stimuli * features) {}
};

// Fills `space` from the features of the subset alone; `rows` holds stimuli * subset.count doubles.
// `skip` (or -1) is a position in the subset that is left out.
void build_space(const Features&, Metric, Indices subset, int64_t skip, double* rows, Space& space, int threads);

// pair sums -> similarities, in packed order; NaN where undefined.
void finish(const Space&, int64_t stimuli, Metric, double* similarities);

}  // namespace secateur::cpu
