// The one room of maths, for host and device: what a feature adds to a pair, how a pair becomes a similarity,
// and how three sums over pairs become an alignment. Numbers are double, float, or vectors of lanes.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "secateur/portable.hpp"

namespace secateur {

enum class Metric { cosine, correlation, dot, sqeuclidean, euclidean, cityblock };
enum class Dissimilarity { correlation, euclidean, crossed_euclidean, crossed_correlation };
enum class Comparator { pearson, cosine, corr_cov, cosine_cov, spearman, rho_a, tau_a, tau_b };

// What a dissimilarity of recordings is. The name is null behind the last of each of these enums.
struct DissimilarityTraits {
    const char* name = nullptr;
    bool crossed = false;  // between splits of the recording
};
constexpr DissimilarityTraits traits_of(Dissimilarity d) {
    switch (d) {
        case Dissimilarity::correlation:
            return {"correlation", false};
        case Dissimilarity::euclidean:
            return {"euclidean", false};
        case Dissimilarity::crossed_euclidean:
            return {"crossnobis", true};
        case Dissimilarity::crossed_correlation:
            return {"split-half", true};
    }
    return {};
}
// What a comparator is: one row each, and all that others know of it. A comparator without its row doesn't compile.
struct ComparatorTraits {
    // What it takes of the similarities: three sums over pairs, all pairs whitened together, their ranks, or which of two pairs
    // is the larger.
    enum class Takes { moments, whitened, ranks, order };
    const char* name = nullptr;
    Takes takes = Takes::moments;
    bool centred = false;              // a constant added to the similarities doesn't matter to its sums
    bool zero_where_constant = false;  // the alignment of what doesn't vary is 0 and not NaN
};
constexpr ComparatorTraits traits_of(Comparator c) {
    using Takes = ComparatorTraits::Takes;
    switch (c) {
        case Comparator::pearson:
            return {"pearson", Takes::moments, true, false};
        case Comparator::cosine:
            return {"cosine", Takes::moments, false, false};
        case Comparator::corr_cov:
            return {"corr_cov", Takes::whitened, true, false};
        case Comparator::cosine_cov:
            return {"cosine_cov", Takes::whitened, false, false};
        case Comparator::spearman:
            return {"spearman", Takes::ranks, false, false};
        case Comparator::rho_a:
            return {"rho-a", Takes::ranks, false, true};
        case Comparator::tau_a:
            return {"tau-a", Takes::order, false, true};
        case Comparator::tau_b:
            return {"tau-b", Takes::order, false, false};
    }
    return {};
}
constexpr bool by_moments(Comparator c) {
    return traits_of(c).takes == ComparatorTraits::Takes::moments;
}
constexpr bool is_whitened(Comparator c) {
    return traits_of(c).takes == ComparatorTraits::Takes::whitened;
}
constexpr bool by_ranks(Comparator c) {
    return traits_of(c).takes == ComparatorTraits::Takes::ranks;
}
constexpr bool by_order(Comparator c) {
    return traits_of(c).takes == ComparatorTraits::Takes::order;
}
constexpr bool is_rank(Comparator c) {
    return by_ranks(c) || by_order(c);
}
constexpr bool is_centred(Comparator c) {
    return traits_of(c).centred;
}
// Where the row of stimulus i begins among the pairs of n stimuli, in packed upper-triangle order.
HOST_DEVICE constexpr int64_t row_start(int64_t i, int64_t n) {
    return i * (2 * n - i - 1) / 2;
}

// The absolute value, of one number or of lanes.
template <class Value>
HOST_DEVICE ALWAYS_INLINE Value magnitude(Value v) {
    if constexpr (std::is_floating_point_v<Value>) {
        return std::fabs(v);
    } else {  // of doubles, by their sign bits
        using Bits = decltype(v < v);
        return (Value)((Bits)v & std::numeric_limits<int64_t>::max());
    }
}

// Sums of squares whose inverse roots Newton steps can take.
inline constexpr double least_square = 1e-290, most_square = 1e300;
// 1 / sqrt(v) of lanes within these, to about an ulp. Wide roots and divisions hardly overlap with anything: an estimate by the
// exponent's half (off by at most 3.5 %) and two Newton steps of fourth order (then 7e-6, then rounding alone) do.
template <int L>
ALWAYS_INLINE typename Simd<L>::Vec inverse_root(typename Simd<L>::Vec v) {
    using S = Simd<L>;
    if constexpr (L == 2) {
        return 1.0 / S::sqrt(v);
    } else {
        auto root = S::of_bits(0x5fe6eb50c7b537a9 - (S::bits(v) >> 1));
        UNROLL(2)
        for (int step = 0; step < 2; ++step) {
            const auto error = 1.0 - (v * root) * root;
            root += (root * error) * (0.5 + error * (0.375 + error * 0.3125));
        }
        return root;
    }
}

// Where a removal that has cancelled shows. What is left of a pair's sum errs by a rounding of what was there before.
enum class Guard {
    own,    // in a stimulus's `own`, which bounds the sums of its pairs: removal_guard
    total,  // in the sum over all pairs, since alignments weigh the errors of all against the spread of all: removal_guard
    pair,   // in each pair, since a root magnifies the errors of small ones: root_guard
};

// A metric is a rule: one struct that says what a feature adds to a pair of stimuli and how that becomes a similarity. Whatever
// else asks for a metric asks for its rule; a new one is a name in `Metric`, a struct here and a line of `with_rule`.
//   z       what a feature gives a stimulus: its value or, if `centred`, its distance from the stimulus's mean over the
//           features that came before (or stay behind), weighted by the root of centring_weight: sums of it are those of rows
//           centred anew.
//   pair    of two stimuli: a sum over features. moved<+1> adds a feature, moved<-1> takes it away.
//   own     of one stimulus: the same sum of it with itself; where moved goes by differences of z alone (`difference`),
//           nothing, and what a feature has in common in all stimuli may be taken off.
//   value   pair; its root if `rooted`; if `normalised` pair / sqrt(own_i own_j), undefined where one has no `own`.
//   similarity  orientation * value: larger always means more alike.
//   degree  the power of the features' unit that `pair` has.
//   guard   where cancellation shows: there an update is given up, and the pair summed up anew from the features.
//   change  the delta form: by how much a value changes, with full relative precision in single as in double. There z comes
//           divided by the root of the stimulus's new `own` (where normalised), and e is by what share its inverse grows: -1
//           where the feature outweighs all before it, and still no digit of the product is lost.
struct Dot {
    static constexpr const char* name = "dot";
    static constexpr double orientation = 1;
    static constexpr bool centred = false, normalised = false, rooted = false, difference = false;
    static constexpr int degree = 2;
    static constexpr Guard guard = Guard::own;
    template <int sign, class Real>
    HOST_DEVICE static ALWAYS_INLINE Real change(Real, Real zi, Real, Real zj, Real) {
        return sign * (zi * zj);
    }
    template <int sign, class Pair, class A, class B>
    HOST_DEVICE static ALWAYS_INLINE auto moved(Pair pair, A a, B b) {
        if constexpr (sign > 0)
            return pair + a * b;
        else
            return pair - a * b;
    }
};
struct Cosine : Dot {
    static constexpr const char* name = "cosine";
    static constexpr bool normalised = true;
    template <int sign, class Real>
    HOST_DEVICE static ALWAYS_INLINE Real change(Real value, Real zi, Real ei, Real zj, Real ej) {
        return value * (ei + ej + ei * ej) + sign * (zi * zj);
    }
};
struct Correlation : Cosine {
    static constexpr const char* name = "correlation";
    static constexpr bool centred = true;
};
struct SquaredEuclidean {
    static constexpr const char* name = "sqeuclidean";
    static constexpr double orientation = -1;
    static constexpr bool centred = false, normalised = false, rooted = false, difference = true;
    static constexpr int degree = 2;
    static constexpr Guard guard = Guard::total;
    template <int sign, class Real>
    HOST_DEVICE static ALWAYS_INLINE Real change(Real, Real zi, Real, Real zj, Real) {
        return sign * ((zi - zj) * (zi - zj));
    }
    template <int sign, class Pair, class A, class B>
    HOST_DEVICE static ALWAYS_INLINE auto moved(Pair pair, A a, B b) {
        const auto gap = a - b;
        if constexpr (sign > 0)
            return pair + gap * gap;
        else
            return pair - gap * gap;
    }
};
struct Euclidean : SquaredEuclidean {
    static constexpr const char* name = "euclidean";
    static constexpr bool rooted = true;
    static constexpr Guard guard = Guard::pair;
    template <int sign, class Real>
    HOST_DEVICE static ALWAYS_INLINE Real change(Real value, Real zi, Real, Real zj, Real) {
        const Real moved = sign * ((zi - zj) * (zi - zj)), pair = value * value + moved;
        return moved == 0 ? moved : moved / (value + std::sqrt(pair > 0 ? pair : Real{0}));
    }
};
struct Cityblock {
    static constexpr const char* name = "cityblock";
    static constexpr double orientation = -1;
    static constexpr bool centred = false, normalised = false, rooted = false, difference = true;
    static constexpr int degree = 1;
    static constexpr Guard guard = Guard::total;
    template <int sign, class Real>
    HOST_DEVICE static ALWAYS_INLINE Real change(Real, Real zi, Real, Real zj, Real) {
        return sign * magnitude(zi - zj);
    }
    template <int sign, class Pair, class A, class B>
    HOST_DEVICE static ALWAYS_INLINE auto moved(Pair pair, A a, B b) {
        if constexpr (sign > 0)
            return pair + magnitude(a - b);
        else
            return pair - magnitude(a - b);
    }
};

// Calls body(rule) with the rule of the metric, on the host or the device: the one place where a run-time metric becomes a type.
EITHER_SIDE
template <class Body>
HOST_DEVICE constexpr void with_rule(Metric metric, Body&& body) {
    switch (metric) {
        case Metric::cosine:
            return body(Cosine{});
        case Metric::correlation:
            return body(Correlation{});
        case Metric::dot:
            return body(Dot{});
        case Metric::sqeuclidean:
            return body(SquaredEuclidean{});
        case Metric::euclidean:
            return body(Euclidean{});
        case Metric::cityblock:
            return body(Cityblock{});
    }
}

// What is asked of a rule where a type is more than is needed.
struct Traits {
    const char* name = nullptr;
    double orientation = 1;
    bool centred = false, normalised = false;
    Guard guard = Guard::own;
    // Fewer features than this give no similarity.
    constexpr int least_features() const { return centred ? 2 : 1; }
};
constexpr Traits traits_of(Metric metric) {
    Traits traits;
    with_rule(metric, [&](auto rule) {
        using Rule = decltype(rule);
        traits = {Rule::name, Rule::orientation, Rule::centred, Rule::normalised, Rule::guard};
    });
    return traits;
}

// Of a pair's sum and its stimuli's inverse norms (where normalised).
template <class Rule>
HOST_DEVICE inline double similarity_of(double pair, double inverse_i, double inverse_j) {
    if constexpr (Rule::normalised) pair *= inverse_i * inverse_j;
    if constexpr (Rule::rooted) pair = std::sqrt(pair);
    return Rule::orientation * pair;
}
// NaN where a stimulus has no direction.
HOST_DEVICE inline double inverse_norm(double own) {
    return own > 0 ? 1 / std::sqrt(own) : static_cast<double>(NAN);
}

// The delta form's e of a stimulus whose own sum of squares is `own` and changes by `sign` z^2.
HOST_DEVICE inline double inverse_growth(double own, double z, int sign) {
    return std::expm1(-0.5 * std::log1p(sign * (z * z) / own));
}

// Correlation is cosine on centred features with a rank-one weight. With `count` features at hand, a feature that comes
// (sign +1) or goes (sign -1) changes the sums of products by weight * (x_i - mean_i)(x_j - mean_j).
HOST_DEVICE inline double centring_weight(double count, int sign) {
    return count / (count + sign);
}

// Sums over pairs, the similarities shifted by any constant and the target standardised (targets.hpp).
struct Moments {
    double sum;      // sum of w v
    double squares;  // sum of w v^2
    double product;  // sum of h v
};

// Below this share of the raw second moment the variance has lost too many digits: recompute in two passes.
inline constexpr double variance_guard = 1e-4;
// Below this share of the similarities' own squares, what varies may be rounding: two passes over fresh similarities decide.
inline constexpr double scale_guard = 1e-22;
// A removal that leaves less than this share of a stimulus's own sum of squares is recomputed from the features.
inline constexpr double removal_guard = 1.0 / 1024;
// Under a square root the remainder matters more: this share of a pair's squared distance.
inline constexpr double root_guard = 1.0 / 16384;
// Of similarities whose squared deviations controls explain but for this share, they explain all.
inline constexpr double explained_share = 1e-10;
// Similarities whose standard deviation is below this share of their root mean square are constant.
inline constexpr double constant_share = 1e-13;

HOST_DEVICE inline bool is_constant(double sum_of_squared_deviations, double sum_of_squares) {
    return sum_of_squared_deviations <= constant_share * constant_share * sum_of_squares;
}

// What ties on paper comes out of the sums a few roundings apart. To rank comparators, similarities are tied that lie, neighbour
// by neighbour along their sorted order, within this share of their space's scale.
inline constexpr double tie_share = 1e-12;
// That scale: 1 where similarities are normalised, else the largest absolute one. What is the root of a sum is ranked by its
// square, as the sum was rounded and not the root.
struct TieScale {
    bool normalised = false, rooted = false;
};
inline TieScale tie_scale_of(Metric metric) {
    TieScale scale;
    with_rule(metric, [&](auto rule) {
        using Rule = decltype(rule);
        scale = {Rule::normalised, Rule::rooted};
    });
    return scale;
}

// What a similarity is ranked by.
HOST_DEVICE inline double ranked_by(double similarity, bool rooted) {
    return rooted ? similarity * std::fabs(similarity) : similarity;
}
// Whether neighbours along the sorted order tie; equal infinities have no difference.
HOST_DEVICE inline bool tied(double low, double high, double tolerance) {
    return high == low || high - low <= tolerance;
}
// Centred ranks are 2 R - (count + 1) with R the 1-based average ranks: whole numbers. What so many values take from the sum of
// their squares where they tie, and that sum of so many that don't.
HOST_DEVICE inline double squares_of_ranks(double count) {
    return count * (count * count - 1) / 3;
}
HOST_DEVICE constexpr int64_t pairs_among(int64_t count) {
    return count * (count - 1) / 2;
}

// How pairs of values lie in two vectors.
struct PairCounts {
    int64_t pairs, tied, tied_in_other, tied_in_both, discordant;
    HOST_DEVICE int64_t concordant_minus_discordant() const {
        return pairs - tied - tied_in_other + tied_in_both - 2 * discordant;
    }
};

// What two vectors are compared by, where only their order matters.
struct RankSums {
    double product = 0, squares = 0, squares_of_target = 0;  // of centred ranks
    int64_t count = 0;                                       // of pairs
    PairCounts order{};
};

// Pearson correlation of two rank vectors, from the product of centred ones and their squares; NaN where one is constant.
HOST_DEVICE inline double spearman(double product, double squares_a, double squares_b) {
    return squares_a > 0 && squares_b > 0 ? product / std::sqrt(squares_a * squares_b) : static_cast<double>(NAN);
}
// Spearman's rho with ties broken at random, in expectation (Schütt et al. 2023).
HOST_DEVICE inline double rho_a(double product, int64_t count) {
    const auto m = static_cast<double>(count);
    return 3 * product / (m * m * m - m);
}
// Kendall's tau: of all pairs; and of those tied in neither, by geometric means, NaN where a vector is constant.
HOST_DEVICE inline double tau_a(const PairCounts& counts) {
    return static_cast<double>(counts.concordant_minus_discordant()) / static_cast<double>(counts.pairs);
}
HOST_DEVICE inline double tau_b(const PairCounts& counts) {
    const auto untied = static_cast<double>(counts.pairs - counts.tied);
    const auto untied_in_other = static_cast<double>(counts.pairs - counts.tied_in_other);
    return static_cast<double>(counts.concordant_minus_discordant()) / std::sqrt(untied * untied_in_other);
}

// The last step of a rank comparator. One that is added has a case here, or nothing compiles.
HOST_DEVICE inline double alignment_by(Comparator comparator, const RankSums& sums) {
    switch (comparator) {
        case Comparator::spearman:
            return spearman(sums.product, sums.squares, sums.squares_of_target);
        case Comparator::rho_a:
            return rho_a(sums.product, sums.count);
        case Comparator::tau_a:
            return tau_a(sums.order);
        case Comparator::tau_b:
            return tau_b(sums.order);
        case Comparator::pearson:
        case Comparator::cosine:
        case Comparator::corr_cov:
        case Comparator::cosine_cov:
            break;  // of values, not of ranks
    }
    return static_cast<double>(NAN);
}

// What the product is divided by: the root of the values' second moment, about their mean if `centred`. NaN stays NaN.
// `trusted` is false where it is lost in rounding: small beside `raw`, the squares as they were summed up, or beside `scale`,
// the squares of the similarities themselves, whose own rounding is then all that varies.
HOST_DEVICE inline double spread_of(double sum, double squares, double raw, double scale, double weight, bool centred,
                                    bool& trusted) {
    const double variance = centred ? squares - sum * sum / weight : squares;
    trusted = (variance > variance_guard * raw && variance > scale_guard * scale) || std::isnan(variance);
    return std::sqrt(variance);
}

HOST_DEVICE inline double alignment_of(const Moments& m, double raw, double scale, double weight, bool centred, bool& trusted) {
    return m.product / spread_of(m.sum, m.squares, raw, scale, weight, centred, trusted);
}

// Partial correlation: what the product is divided by where orthonormal controls have a part in the values. `explained`: their
// squared products with the values. `trusted` is false where what they leave is lost in rounding.
HOST_DEVICE inline double spread_left(double spread, double explained, double raw, bool& trusted) {
    const double variance = spread * spread - explained;
    trusted = variance > variance_guard * raw || std::isnan(variance);
    return std::sqrt(variance);
}

// Under a square root, a pair left with less than this has cancelled. A pair at zero stays there.
template <class Real>
HOST_DEVICE ALWAYS_INLINE Real least_pair(Real pair) {
    return pair > 0 ? static_cast<Real>(root_guard) * pair : Real{-1};
}

// Sum of squares once a shift is taken back; of one number or of lanes.
template <class Value>
HOST_DEVICE ALWAYS_INLINE Value unshifted(Value sum, Value squares, Value shift, double weight) {
    return squares + shift * (2.0 * sum + shift * weight);
}

}  // namespace secateur
