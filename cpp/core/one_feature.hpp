// One feature comes or goes: under leave_one_out, add_one and ranking.
#pragma once

#include "core/space.hpp"
#include "core/targets.hpp"

namespace secateur {

OneFeaturePlan plan_of(const StandardTargets&, const Space& of_subset, Metric, Indices subset, Indices candidates, int sign,
                       const Context&);

// The same without the space: whoever makes it asks for the guards.
StepPlan step_of(const StandardTargets&, const StandardRows&, Metric, Indices subset, Indices candidates, int sign);

// As one_feature, with an engine where the targets lie; false, and nothing done, where it has no way of its own.
bool step(Engine&, const Targets&, const StandardTargets&, Metric, Indices subset, Indices candidates, int sign, const Context&,
          double* out);

// out (targets, features): alignment of the subset with each candidate added (sign +1) or removed (sign -1).
// Features that are no candidates get the alignment of the subset itself.
void one_feature(Engine&, StandardTargets&, const OneFeaturePlan&, const Context&, double* out);

}  // namespace secateur
