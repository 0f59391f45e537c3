// Targets made ready once: centred, weighted and scaled so that an alignment is one product and one spread.
#pragma once

#include <vector>

#include "core/buffer.hpp"
#include "core/ranks.hpp"
#include "secateur/engine.hpp"

namespace secateur {

class StandardTargets {
  public:
    // Moment comparators: rows hold w (h - mean) / norm. Whitened: that, whitened. Ranks: of the pairs that count, in packed
    // order, the centred ranks (Sorter), or the values themselves (tau). A constant target has no direction: its alignments are
    // NaN (rho-a, tau-a: 0). Without `stimuli` (0) the pairs are any pairs, not all those of a set: none that is whitened.
    // Rows wait for `materialise` where the targets lie with an engine.
    StandardTargets(const Targets&, int64_t stimuli, int64_t pairs, TieScale, Comparator, int threads, const Context&);
    StandardTargets(const Targets& source, const Engine& engine, Measures by, const Context& context)
        : StandardTargets(source, engine.stimuli, engine.pairs(), tie_scale_of(by.metric), by.comparator, context.threads,
                          context) {
        context.throw_if_stopped();
    }
    // Rows in host memory, too.
    void materialise(const Context& context) {
        if (!rows_.get()) standardise(source_.loaded->host_values(), context.threads, context);
    }

    const int64_t stimuli, pairs, count, patterns;
    const Comparator comparator;
    const bool centred;   // Pearson: constants don't matter
    const bool weighted;  // some pair counts otherwise than once
    const bool binary;    // weights are 0 and 1 alone
    const int64_t controls;
    const double* row(int64_t target) const { return rows_.get() + target * pairs; }
    // Weights of a pattern; only when `weighted`.
    const double* weights(int64_t pattern) const { return source_.weights + pattern * pairs; }
    // Controls of a pattern (controls, pairs), as Targets has them.
    const double* control(int64_t pattern, int64_t at) const { return source_.controls + (pattern * controls + at) * pairs; }
    int64_t pattern_of(int64_t target) const { return weighted ? source_.weight_of[target] : 0; }
    double total(int64_t pattern) const { return totals_[pattern]; }
    // How many pairs have weight in a target.
    int64_t counted(int64_t target) const { return weighted ? counted_[pattern_of(target)] : pairs; }
    // Whether a pattern gives weight to some pair of this stimulus.
    bool active(int64_t pattern, int64_t stimulus) const { return active_[pattern * stimuli + stimulus]; }
    // All of it as plain arrays.
    StandardRows view() const {
        return {source_.loaded && !rows_.get() ? source_.loaded->standardised(comparator) : rows_.get(),
                count,
                pairs,
                weighted ? source_.weights : nullptr,
                weighted ? source_.weight_of : nullptr,
                patterns,
                totals_.data(),
                active_.data(),
                centred,
                count,
                this};
    }
    bool active_somewhere(int64_t stimulus) const { return somewhere_[stimulus]; }
    bool active_everywhere(int64_t stimulus) const { return everywhere_[stimulus]; }

    // out, in strides: every target with similarities, wherever its row is.
    void alignments(const double* similarities, double* out, int64_t stride) const;
    // Alignment of a target with given similarities, in two passes. NaN similarities of weight > 0 give NaN.
    double alignment(int64_t target, const double* similarities, struct CompareScratch&) const;
    // Scratch that `alignment` can share between targets of one pattern is refreshed here, once per vector, for the vector at a
    // place of the scratch; with whole rank vectors, which products of many targets need, where they are asked for.
    void prepare(int64_t pattern, const double* similarities, CompareScratch&, int64_t place = 0, bool whole = false) const;
    // The same alignment where ranks are compared and their product is known.
    double alignment_of_ranks(int64_t target, const struct SimilarityStats&, double product) const;
    // Targets from one to another that have one pattern and lie together, by pattern.
    struct Alike {
        int64_t pattern, from, to;
    };
    const std::vector<Alike>& alike() const { return alike_; }
    // Vectors of similarities that are best looked at together.
    int64_t together() const;

  private:
    void standardise(const double* values, int threads, const Context&);
    double left_by_controls(int64_t pattern, double* values) const;
    TieScale ties_;  // of similarities; a target's values are as given, and tie where they are equal
    Targets source_;
    Buffer rows_;
    std::vector<Alike> alike_;
    std::vector<double> totals_, rank_squares_;
    std::vector<int64_t> counted_;  // (patterns); only when `weighted`
    std::vector<int16_t> ranks_;    // (count, pairs) where ranks are compared, of few enough pairs: the rows once more
    std::vector<Place> places_;     // (count, pairs) where orders are compared, of few enough pairs
    std::vector<int64_t> tied_;     // (count) pairs of a target, where orders are compared
    std::vector<char> active_, somewhere_, everywhere_;
};

// What one vector of similarities looks like to all targets of one weight pattern.
struct SimilarityStats {
    double mean = 0, deviation = 0;  // what controls leave of it; where ranks are compared, their sum of squares
    int64_t count = 0;               // of the pairs that count, where orders are compared
    bool defined = true, constant = false;
};

// Memory to look at some vectors, one after another at their places.
struct CompareScratch {
    std::vector<SimilarityStats> stats;
    Buffer ranks;                         // (vectors, pairs): centred ranks; for whitened comparators the whitened values
    std::vector<double> values;           // of the pairs that count; for whitened comparators and controls the centred ones
    std::vector<double> means, products;  // by stimulus; (vectors, targets)
    Sorter sorter;
    CompareScratch(int64_t stimuli, int64_t pairs, int64_t together = 1, const Context* context = nullptr)
        : stats(together), ranks(together * pairs), means(stimuli), sorter(pairs, context) {}
};

// Every target against vectors of similarities (count, pairs): out[vector * vector_stride + target * target_stride]. With a
// context, the caller's thread asks whether to stop.
void compare_all(const StandardTargets&, const double* similarities, int64_t count, CompareScratch&, double* out,
                 int64_t vector_stride, int64_t target_stride, const Context* = nullptr);

}  // namespace secateur
