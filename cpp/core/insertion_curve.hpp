// The insertion of targets that are standardised already.
#pragma once

#include "core/targets.hpp"

namespace secateur {

// As verbs.hpp has it.
void insertion_curve(Engine&, StandardTargets&, Metric, Orders, const Context&, double* out);

}  // namespace secateur
