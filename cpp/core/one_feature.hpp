// One feature comes or goes: the engine under leave_one_out, add_one and ranking.
#pragma once

#include <vector>

#include "core/space.hpp"
#include "core/targets.hpp"

namespace secateur::cpu {

// What updates of a space need to know of it, and when they can't be trusted.
struct Guards {
    double weight = 1;  // of a candidate's factor, rooted (centring_weight)
    double shift = 0;   // taken from every value: the mean over the unchanged space
    // By weight pattern: at or below this sum of values the update has cancelled (Guard::total); the squares of the
    // unchanged similarities.
    std::vector<double> remain, level;
    // By stimulus: at or below `least`, what is left of its sum of squares can't be trusted; `undefined` stands in for
    // the inverse norm of a stimulus without direction.
    std::vector<double> least, undefined;
    std::vector<int64_t> dead;  // no removal gives these stimuli a direction
};
Guards guards_of(const StandardTargets&, const Space&, Metric, Indices subset, int sign);

OneFeaturePlan plan_of(const Guards&, const StandardTargets&, const Space&, Metric, Indices candidates, int sign);

// out (targets, x.count): alignment of the subset with each candidate added (sign +1) or removed (sign -1).
// Features that are no candidates get the alignment of the subset itself.
void one_feature(const Features& x, StandardTargets&, const Space& of_subset, Metric, Indices subset, Indices candidates,
                 int sign, const Context&, double* out, Accelerator*);

// The same for a few features, from spaces built without updates. out (targets, stride), at `column` of each.
struct Asked {
    int64_t feature, column;
};
void exactly(const Features& x, const StandardTargets&, Metric, Indices subset, const std::vector<Asked>&, int sign,
             const Context&, double* out, int64_t stride);

}  // namespace secateur::cpu
