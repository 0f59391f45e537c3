// What the engine's larger ways do, each in its own file.
#pragma once

#include "targets.hpp"

namespace secateur::cuda {

// x: (stimuli, count) on the device. Values may be wanted there or on the host.
void space(Device&, const Features& x, Metric, Indices subset, double* pair, double* own, double* mean);
void one_feature(Device&, const Features& x, Precision, const OneFeaturePlan&, const Context&, double* values,
                 char* needs_recompute);
void insertion_curve(Device&, const Features& x, const InsertionPlan&, const Context&, double* values, char* needs_recompute);
bool ranking(Device&, const Features& x, Precision, const LoadedTargets&, const RankingPlan&, const Context&, Ranked);
// The same two for comparators that take more than sums over pairs; `values` as there.
void one_feature_by_similarities(Device&, const Features& x, const OneFeaturePlan&, const Context&, double* values,
                                 char* needs_recompute);
void insertion_by_similarities(Device&, const Features& x, const InsertionPlan&, const Context&, double* values);
void held_out_alignment(Device&, const Features& x, const LoadedTargets&, const HeldOutPlan&, const Context&, double* out,
                        int64_t* undefined);

}  // namespace secateur::cuda
