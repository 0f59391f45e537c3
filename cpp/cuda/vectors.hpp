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
    // The rows, on the host or the device, are StandardRows' (core/targets.hpp); with up to so many vectors at once, each with
    // all targets or (`paired`) with one.
    VectorTargets(Device&, const StandardRows&, Comparator, TieScale, int64_t stimuli, int64_t vectors, bool paired);
    // What a target takes, with a weight pattern of its own.
    static int64_t bytes_a_target(const StandardRows& targets, Comparator comparator) {
        return 8 * targets.pairs * (targets.weights ? 2 : 1) + (is_rank(comparator) ? Ranks::bytes(targets.pairs) : 0) + 64;
    }
    // What a vector of similarities takes, itself and its alignments with so many targets included.
    static int64_t bytes_a_vector(const StandardRows& targets, Comparator comparator, int64_t stimuli, int64_t compared) {
        return 8 * targets.pairs * (targets.weights ? 2 : 1) + (is_rank(comparator) ? Ranks::bytes(targets.pairs) : 0) +
               8 * stimuli + 32 + 16 * compared;
    }
    // out (targets, vectors): the alignments of all with all; NaN where a similarity that counts is. The similarities (vectors,
    // pairs) are not kept. How sums are taken, and so their bits, goes by the targets of the whole call, not by these.
    void compare(double* similarities, int64_t vectors, double* out);
    // out (vectors): each with one target, `target_of` (vectors) on the device.
    void compare_each(double* similarities, int64_t vectors, const int64_t* target_of, double* out);

  private:
    struct Members {  // targets of one weight pattern, which the whole call has `in_all` of
        int64_t pattern, from, count, in_all;
    };
    Device& device_;
    const Comparator comparator_;
    const TieScale scale_;
    const int64_t stimuli_, pairs_, count_;
    std::vector<int64_t> counts_, members_in_turn_;  // by pattern, of these targets' alone: pairs that count; targets
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
