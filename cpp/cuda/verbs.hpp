// What the engine's larger ways do, each in its own file.
#pragma once

#include "space.hpp"
#include "targets.hpp"

namespace secateur::cuda {

// x: (stimuli, count) on the device. Values may be wanted there or on the host.
void space(Device&, const Features& x, Metric, Indices subset, double* pair, double* own, double* mean);
// values (targets, candidates): not oriented.
void one_feature(Device&, const Features& x, Precision, const OneFeaturePlan&, const SpaceThere&, const Context&, double* values,
                 char* needs_recompute);
// The same with all of it there, and what updates can't be trusted with made anew. False if asked to stop.
class Step {
  public:
    Step(Device&, const Features& x, Precision, const StepPlan&, const Context&);
    const SpaceThere& space() const { return space_; }
    // Before any values: of the weights of all targets.
    void prepare(const double* weights);
    // Of the targets from `first` on, with their standardised rows.
    bool values(const TargetsAmong&, int64_t first, const StandardRows&, double* values) const;

  private:
    Device& device_;
    const Features x_;
    const Precision precision_;
    const StepPlan& given_;
    const Context& context_;
    OneFeaturePlan plan_;
    const DeviceBuffer<int64_t> subset_, size_;
    Spaces spaces_;
    SpaceThere space_;
    SpaceSums sums_of_pairs(const double* weights, int64_t patterns) const;
    void make_anew(const TargetsAmong&, int64_t first, int64_t targets, const std::vector<int64_t>& places, double* values) const;
};
void insertion_curve(Device&, const Features& x, const InsertionPlan&, const Context&, double* values, char* needs_recompute);
// out (targets, features), oriented: as Engine::step has it.
void step(Device&, const Features& x, Precision, LoadedTargets&, const StepPlan&, const Context&, double* out);
bool ranking(Device&, const Features& x, Precision, const LoadedTargets&, const RankingPlan&, const Context&, Ranked);
// The same two for comparators that take more than sums over pairs; `values` as there.
void one_feature_by_similarities(Device&, const Features& x, const OneFeaturePlan&, const SpaceThere&, const Context&,
                                 double* values, char* needs_recompute);
void insertion_by_similarities(Device&, const Features& x, const InsertionPlan&, const Context&, double* values);
void held_out_alignment(Device&, const Features& x, const LoadedTargets&, const HeldOutPlan&, const Context&, double* out,
                        int64_t* undefined);

}  // namespace secateur::cuda
