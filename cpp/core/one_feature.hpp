// One feature comes or goes: under leave_one_out, add_one and ranking.
#pragma once

#include "core/space.hpp"
#include "core/targets.hpp"

namespace secateur {

OneFeaturePlan plan_of(const StandardTargets&, const Space& of_subset, Metric, Indices subset, Indices candidates, int sign,
                       const Context&);

// out (targets, features): alignment of the subset with each candidate added (sign +1) or removed (sign -1).
// Features that are no candidates get the alignment of the subset itself.
void one_feature(Engine&, StandardTargets&, const OneFeaturePlan&, const Context&, double* out);

}  // namespace secateur
