// Comparators that take more than sums over pairs: whole vectors of similarities against targets.
#pragma once

#include <memory>
#include <vector>

#include "ranks.hpp"
#include "targets.hpp"

namespace secateur::cuda {

// Targets ready for such a comparator, on the device, and what it takes to compare vectors with them.
class VectorTargets {
  public:
    // The rows, on the host or the device, are StandardRows' (core/targets.hpp); with up to so many vectors at once.
    VectorTargets(Device&, const StandardRows&, Comparator, TieScale, int64_t stimuli, int64_t vectors);
    // What a vector of similarities takes, itself included.
    static int64_t bytes(const StandardRows& targets, int64_t stimuli) {
        return 16 * targets.pairs + Ranks::bytes(targets.pairs) + 8 * stimuli + 32 + 16 * targets.count;
    }
    // out (targets, vectors): the alignments of all with all; NaN where a similarity that counts is. The similarities (vectors,
    // pairs) are not kept.
    void compare(double* similarities, int64_t vectors, double* out);
    // out (vectors): each with one target, `target_of` (vectors) on the device.
    void compare_each(double* similarities, int64_t vectors, const int64_t* target_of, double* out);

  private:
    struct Members {  // targets of one weight pattern
        int64_t pattern, from, count;
    };
    Device& device_;
    const Comparator comparator_;
    const TieScale scale_;
    const int64_t stimuli_, pairs_, count_;
    std::vector<int64_t> counts_, members_in_turn_;  // by pattern: pairs that count; targets, by pattern
    std::vector<Members> members_;
    DeviceBuffer<int64_t> members_there_, places_, counts_there_, pattern_of_, vector_counts_;
    DeviceBuffer<double> rows_, gathered_, products_, deviations_, means_;  // rows of whitened targets
    DeviceBuffer<char> state_;
    std::unique_ptr<Ranks> target_ranks_, ranks_;
    RankedRows targets_{};
};

// As TargetsAmong::compared has it.
void compare_vectors(Device&, Comparator, TieScale, int64_t stimuli, const TargetRows&, const TargetsAmong::Comparison&,
                     bool strict, double* alignments, int64_t* undefined);
// rows (targets, pairs): as StandardRows has them; of comparators of ranks or orders the values, of the pairs that count,
// together.
void standardise_vectors(Device&, Comparator, int64_t stimuli, const TargetRows&, int64_t targets, double* rows);

}  // namespace secateur::cuda
