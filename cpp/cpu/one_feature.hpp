// One feature comes or goes: the engine under leave_one_out and add_one.
#pragma once

#include "secateur/kernels.hpp"

namespace secateur::cpu {

// out (targets, x.count): alignment of the subset with each candidate added (sign +1) or removed (sign -1).
// Features that are no candidates get the alignment of the subset itself.
void one_feature(const Features& x, const Targets&, Metric, Comparator, Indices subset, Indices candidates, int sign,
                 const Context&, double* out, Accelerator*);

}  // namespace secateur::cpu
