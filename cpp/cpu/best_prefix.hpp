// An insertion of which only the best prefix is wanted.
#pragma once

#include "core/targets.hpp"

namespace secateur::cpu {

// Whether it takes less than the whole curve does.
bool is_screened(const StandardTargets&);

// out (targets, steps): as insertion_curve has it, for orders of each target, of all prefixes that may be a target's best by the
// rule; NaN, of others.
void insertion_near_best(const Features&, const InsertionPlan&, const PrefixRule&, const Context&, double* out);

}  // namespace secateur::cpu
