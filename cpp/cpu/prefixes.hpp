// The similarities of every prefix of an order, some steps at a time: as they are, or as places in coarse buckets.
#pragma once

#include <memory>
#include <vector>

#include "core/buffer.hpp"
#include "secateur/data.hpp"

namespace secateur::cpu {

// Features as they lie: value (stimulus, feature) at stimulus * by_stimulus + feature * by_feature.
struct Columns {
    const double* values;
    int64_t by_stimulus, by_feature;
};

// Buckets of equal width, on a grid of `1 << grid_bits` places each: bucket and place are those of value * scale + offset, where
// a value is one before it is rooted and oriented.
struct BucketMap {
    static constexpr int most_bits = 11;
    int bits;  // of the number of buckets
    double scale, offset;
    int grid_bits() const { return 30 - bits; }
    int64_t count() const { return int64_t{1} << bits; }
    // Buckets lie in eight stretches side by side: what is scanned goes through all eight at once.
    int64_t stretch() const { return count() / 8; }
};

// Of one step's values, some or all: the places in their buckets that are nearest to either edge, and the largest value.
struct Nearest {
    int32_t low = INT32_MAX, high = -1;
    double largest = 0;  // where values are not normalised: absolute
    void take(const Nearest& other) {
        low = other.low < low ? other.low : low;
        high = other.high > high ? other.high : high;
        largest = other.largest > largest ? other.largest : largest;
    }
};

// Rows in so many shares of about as many pairs: where each begins, and the end.
std::vector<int64_t> row_shares(int64_t stimuli, int64_t shares);

// Pair sums of one order's prefixes. Threads may share the stimuli of `prepare`, then the rows of the others; what comes out does
// not depend on how they do.
class Prefixes {
  public:
    static constexpr int64_t block = 8;  // stimuli, in prepare
    // What rows need to know of some steps.
    struct View {
        double* pair;
        const double *z, *inverse;
        const int64_t* row_at;
        int64_t stride, stimuli;
    };

    Prefixes(int64_t stimuli, Metric, int64_t most_steps);
    // Rows of pair sums begin at row_at(stimulus), and are padded.
    int64_t row_at(int64_t stimulus) const { return row_at_[stimulus]; }
    int64_t padded_pairs() const { return row_at_[stimuli_]; }
    int64_t blocks() const { return stride_ / block - 1; }
    // Before the first step.
    void begin(const Columns&, const int64_t* order);
    // Factors of `count` steps from `first` on, of a block of stimuli.
    void prepare(const Columns&, const int64_t* order, int64_t first, int64_t count, int64_t at_block);
    // Rows [from, to) through steps [begin, end) of those that are prepared. out of a step, `pitch` apart: similarities in packed
    // order; buckets in padded order, with what is nearest by step; nothing.
    void values(int64_t from, int64_t to, int64_t begin, int64_t end, double* out, int64_t pitch) const;
    void buckets(int64_t from, int64_t to, int64_t begin, int64_t end, const BucketMap&, uint16_t* out, Nearest*) const;
    void sums(int64_t from, int64_t to, int64_t begin, int64_t end) const;
    // A stimulus's sum with itself after step `at` of those prepared (where normalised).
    double own(int64_t at, int64_t stimulus) const { return owns_[at * stride_ + stimulus]; }
    // Some of the values that buckets are for, about those before the steps that are prepared: to make a map by.
    void sample(int64_t count, std::vector<double>& out) const;

    // What is to be kept to come back to the step before the ones to be prepared: (kept()) numbers.
    int64_t kept() const { return padded_pairs() + 2 * stride_; }
    void keep(double* out) const;
    void come_back(const double* kept);

  private:
    using Values = void (*)(const View*, int64_t, int64_t, int64_t, int64_t, double*, int64_t);
    using Buckets = void (*)(const View*, int64_t, int64_t, int64_t, int64_t, const BucketMap*, uint16_t*, Nearest*);
    using Sums = void (*)(const View*, int64_t, int64_t, int64_t, int64_t);
    using Prepare = void (*)(Prefixes&, const Columns&, const int64_t*, int64_t, int64_t, int64_t);
    const int64_t stimuli_, stride_;
    const bool centred_, normalised_;
    std::vector<int64_t> row_at_;
    Buffer pair_, own_, mean_, centre_;  // state before the steps that are prepared, once rows went through them
    Buffer z_, inverse_, owns_;          // (step, stride)
    Values values_;
    Buckets buckets_;
    Sums sums_;
    Prepare prepare_;
    View view() const { return {pair_.get(), z_.get(), inverse_.get(), row_at_.data(), stride_, stimuli_}; }
    template <class Rule>
    static void prepare_block(Prefixes&, const Columns&, const int64_t* order, int64_t first, int64_t count, int64_t from);
};

}  // namespace secateur::cpu
