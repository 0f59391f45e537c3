// Targets that lie on the device.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "device.hpp"

namespace secateur::cuda {

class TargetsAmong;

// Targets over the pairs of all stimuli.
class LoadedTargets : public EngineTargets {
  public:
    LoadedTargets(std::shared_ptr<Device>, const Targets&, int64_t stimuli, Form, bool negated, const std::string& name);
    // The same over the pairs among some of `all_stimuli`, with the weights of those.
    LoadedTargets(const LoadedTargets& all, int64_t all_stimuli, Indices stimuli, const Targets& weights);
    ~LoadedTargets() override;
    const double* host_values() override;
    const double* standardised(Comparator) override;
    void compare(const double* similarities, Comparator, TieScale, double* out) override;

    // The caller has the turn. Against all pairs, with the weights that were given; made once.
    const TargetsAmong& whole(Comparator, TieScale);

    const Device* device() const { return device_.get(); }
    const double* row(int64_t target) const { return values_.get() + target * pairs_; }
    int64_t pairs() const { return pairs_; }

  private:
    const std::shared_ptr<Device> device_;
    const Targets given_;
    const bool as_given_;  // given_'s values are these, and lie on the host
    const int64_t stimuli_, pairs_;
    DeviceBuffer<double> values_;                      // (targets, pairs)
    std::map<Comparator, DeviceBuffer<double>> rows_;  // (targets, pairs)
    std::map<std::tuple<Comparator, bool, bool>, std::unique_ptr<TargetsAmong>> whole_;
    std::vector<double> fetch_;
    std::mutex making_;  // held for what is made once: two threads may have a turn
    // The caller has the turn.
    const double* fetched();
    void pack_squares(bool negated, const std::string& name);
    void expect_finite(const std::string& name);
    const TargetsAmong& made_whole(Comparator, TieScale);
};

// Targets over the pairs at some positions, as kernels take them.
struct TargetRows {
    const double* values;  // (targets, all_pairs)
    int64_t all_pairs;
    const int64_t* at;  // (pairs), or nullptr: all of them
    int64_t pairs;
    const double* weights;  // (patterns, pairs), or nullptr
    const int64_t* pattern_of;
};

// The same over the pairs at some positions, with the weights of those.
class TargetsAmong {
  public:
    TargetsAmong(Device&, const LoadedTargets&, Indices positions, const double* weights, const int64_t* weight_of,
                 int64_t patterns, int64_t targets, Comparator, TieScale, int64_t stimuli);
    // rows (count, pairs), on the device: standardised, as StandardRows has them.
    void standardised(int64_t first, int64_t count, double* rows) const;
    // What is compared with what, all on the device: each of some targets, those from `first` on or (`which`, counted from there)
    // any, with its own similarities, `stride` apart, or (stride 0) with each of `spaces` that lie behind one another.
    struct Comparison {
        int64_t first, count;
        const int64_t* which;
        const double* similarities;
        int64_t stride, spaces;
    };
    // alignments, undefined (spaces, count), on the device. Undefined pairs are left out and counted, or (`strict`) make the
    // alignment NaN.
    void compared(const Comparison&, bool strict, double* alignments, int64_t* undefined) const;
    // What that takes, a target and space, where it is of moments; others take what there is room for.
    int64_t bytes_compared() const;
    // Whether a target has one value at all pairs that count.
    bool any_constant() const;
    // (patterns, pairs), on the device; nullptr where every pair counts once.
    const double* weights() const { return weights_.get(); }

  private:
    TargetRows rows_from(int64_t first) const;
    Device& device_;
    const LoadedTargets& loaded_;
    const int64_t pairs_, count_, stimuli_;
    const Comparator comparator_;
    const TieScale scale_;
    const DeviceBuffer<int64_t> positions_;
    const DeviceBuffer<double> weights_;
    const DeviceBuffer<int64_t> weight_of_;
};

}  // namespace secateur::cuda
