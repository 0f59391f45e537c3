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
    // The space of the subset, but for the one at position `skip` in it (-1: none). With a context, the caller's thread asks
    // whether to stop.
    void build(const Features&, Metric, Indices subset, int64_t skip, Space&, const Context* = nullptr);

  private:
    static constexpr int64_t most_packed = 1 << 18;  // values that threads pack before they meet, or one panel: two megabytes
    static constexpr int64_t panel = 256;            // features at a time: two strips of them stay in the second-level cache
    struct Tile {
        int64_t i, j;  // the first row, the first column
    };
    const int64_t stimuli_;
    const int threads_, strip_, rows_;
    const int64_t strips_;
    const int64_t together_;  // panels
    Buffer packed_;           // (panels, strips, panel, strip)
    std::vector<Tile> tiles_;
    std::vector<int64_t> features_;
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
    context.throw_if_stopped();
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
    const double* of(const Features& x, Metric metric, Indices subset, const Context& context, int64_t skip = -1) {
        builder_.build(x, metric, subset, skip, space_, &context);
        finish(space_, x.stimuli, metric, similarities_.get());
        return similarities_.get();
    }

  private:
    SpaceBuilder builder_;
    Space space_;
    Buffer similarities_;
};

}  // namespace secateur
