// Targets made ready once: centred, weighted and scaled so that an alignment is one product and one spread.
#pragma once

#include <vector>

#include "buffer.hpp"
#include "ranks.hpp"
#include "secateur/plan.hpp"

namespace secateur::cpu {

class StandardTargets {
  public:
    // Moment comparators: rows hold w (h - mean) / norm. Whitened: that, whitened. Ranks: ranks, or the values themselves
    // (tau). A constant target has no direction: its alignments are NaN (rho-a, tau-a: 0).
    // Without `stimuli` (0) the pairs are any pairs, not all those of a set: none that is whitened.
    StandardTargets(const Targets&, int64_t stimuli, int64_t pairs, TieScale, Comparator, int threads);
    // The same with rows elsewhere, or none yet; the source's values may be missing until `bring`.
    StandardTargets(const Targets&, int64_t stimuli, TieScale, Comparator, AcceleratedTargets* elsewhere = nullptr);
    // Rows of these values here, too.
    void bring(const double* values, int threads);
    // The same of rows that are elsewhere.
    void bring(int threads) {
        if (elsewhere_ && !rows_.get()) bring(elsewhere_->host_values(), threads);
    }

    const int64_t stimuli, pairs, count, patterns;
    const Comparator comparator;
    const bool centred;   // Pearson: constants don't matter
    const bool weighted;  // some pair counts otherwise than once
    const bool binary;    // weights are 0 and 1 alone
    const double* row(int64_t target) const { return rows_.get() + target * pairs; }
    // Weights of a pattern; only when `weighted`.
    const double* weights(int64_t pattern) const { return source_.weights + pattern * pairs; }
    int64_t pattern_of(int64_t target) const { return weighted ? source_.weight_of[target] : 0; }
    double total(int64_t pattern) const { return totals_[pattern]; }
    // Whether a pattern gives weight to some pair of this stimulus.
    bool active(int64_t pattern, int64_t stimulus) const { return active_[pattern * stimuli + stimulus]; }
    // All of it as plain arrays.
    StandardRows view() const {
        return {elsewhere_ ? elsewhere_->standardised(centred) : rows_.get(), count, pairs, weighted ? source_.weights : nullptr, weighted ? source_.weight_of : nullptr,
                patterns, totals_.data(), active_.data(), centred, count};
    }
    bool active_somewhere(int64_t stimulus) const { return somewhere_[stimulus]; }
    bool active_everywhere(int64_t stimulus) const { return everywhere_[stimulus]; }

    // out, in strides: every target with similarities, wherever its row is.
    void alignments(const double* similarities, double* out, int64_t stride) const;
    // Alignment of a target with given similarities, in two passes. NaN similarities of weight > 0 give NaN.
    double alignment(int64_t target, const double* similarities, struct CompareScratch&) const;
    // Scratch that `alignment` can share between targets of one pattern is refreshed here, once per vector.
    void look_at(int64_t pattern, const double* similarities, CompareScratch&) const;

  private:
    StandardTargets(const Targets&, int64_t stimuli, int64_t pairs, TieScale, Comparator);
    TieScale ties_;  // of similarities; a target's values are as given, and tie where they are equal
    Targets source_;
    Buffer rows_;
    AcceleratedTargets* elsewhere_ = nullptr;
    std::vector<double> totals_;
    std::vector<char> active_, somewhere_, everywhere_;
};

// Standardised here, or where they already are.
inline StandardTargets standard_targets(const Targets& source, const Features& x, Metric metric, Comparator comparator, const Context& context,
                                        AcceleratedTargets* elsewhere) {
    const TieScale ties = tie_scale_of(metric);
    return elsewhere ? StandardTargets(source, x.stimuli, ties, comparator, elsewhere)
                     : StandardTargets(source, x.stimuli, x.pairs(), ties, comparator, context.threads);
}

// What one vector of similarities looks like to all targets of one weight pattern.
struct CompareScratch {
    std::vector<double> values, ranks;  // used pairs, in packed order; for whitened comparators the centred and whitened ones
    std::vector<double> means;          // by stimulus
    Sorter sorter;
    double mean = 0, deviation = 0;
    bool defined = true, constant = false;
    CompareScratch(int64_t stimuli, int64_t pairs);
};

// out (targets): every target against one vector of similarities. With a context, the caller's thread asks whether to stop.
void compare_all(const StandardTargets&, const double* similarities, CompareScratch&, double* out, int64_t stride,
                 const Context* = nullptr);

}  // namespace secateur::cpu
