// The similarity space of a subset of features: what every pair and every stimulus has summed up so far.
#pragma once

#include <numeric>
#include <vector>

#include "core/buffer.hpp"
#include "secateur/engine.hpp"

namespace secateur {

struct Space {
    Buffer pair;     // (pairs): sums over features, as the metric's rule has them (maths.hpp)
    Buffer own;      // (stimuli): the same sums of each with itself
    Buffer mean;     // (stimuli): means over the subset (where the rule is centred; else zeros)
    Buffer inverse;  // (stimuli): scratch of finish()
    explicit Space(int64_t stimuli) : pair(stimuli * (stimuli - 1) / 2), own(stimuli), mean(stimuli), inverse(stimuli) {}
};

// Builds spaces from features, again and again with the same memory (cpu/space.cpp).
class SpaceBuilder {
  public:
    SpaceBuilder(int64_t stimuli, int threads);
    // The space of the subset, but for the one at position `skip` in it (-1: none).
    void build(const Features&, Metric, Indices subset, int64_t skip, Space&);

  private:
    static constexpr int64_t panel = 512;  // features at a time: all stimuli's stay in the second-level cache
    static constexpr int64_t pitch = 520;  // not a power of two: rows of one must not share cache sets
    static constexpr int64_t parts = 8;    // sums of consecutive panels; a fixed split, whatever the threads
    const int64_t stimuli_;
    const int threads_;
    std::vector<Buffer> rows_;  // by thread: (stimuli, pitch)
    Buffer sums_;               // (parts, pairs + stimuli)

    void pack(const Features&, const Space&, Indices subset, int64_t skip, int64_t from, int64_t count, double* rows) const;
};

// 0, 1, ..., d - 1
inline std::vector<int64_t> all_features(int64_t d) {
    std::vector<int64_t> all(d);
    std::iota(all.begin(), all.end(), int64_t{0});
    return all;
}

inline Space space_of(Engine& engine, Metric metric, Indices subset, const Context& context) {
    Space space(engine.stimuli);
    engine.space(metric, subset, context, space);
    return space;
}

// pair sums -> similarities, in packed order; NaN where undefined.
void finish(const Space&, int64_t stimuli, Metric, double* similarities);

// Similarities summed up from the features, again and again with the same memory.
class FreshSimilarities {
  public:
    explicit FreshSimilarities(int64_t stimuli)
        : builder_(stimuli, 1), space_(stimuli), similarities_(stimuli * (stimuli - 1) / 2) {}
    // (pairs), until the next call: as SpaceBuilder::build has it.
    const double* of(const Features& x, Metric metric, Indices subset, int64_t skip = -1) {
        builder_.build(x, metric, subset, skip, space_);
        finish(space_, x.stimuli, metric, similarities_.get());
        return similarities_.get();
    }

  private:
    SpaceBuilder builder_;
    Space space_;
    Buffer similarities_;
};

}  // namespace secateur
