#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/shared_out.hpp"
#include "core/space.hpp"
#include "cpu/cpu.hpp"

// Choices of odd ones out: how often the pair that was kept together is the most similar of its triplet's three. A choice counts
// in sixths (6 right, 3 or 2 where one or both of the other pairs tie with it), so that sums over choices are whole numbers: the
// same in any order, by any number of threads.
namespace secateur::cpu {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t together = 1 << 12;  // choices that a thread takes at a time

// What a pair of stimuli is compared by: larger is more alike. Roots keep the order and are not taken.
template <class Rule>
double compared_by(double pair, double inverse_i, double inverse_j) {
    if constexpr (Rule::normalised) pair *= inverse_i * inverse_j;
    return Rule::orientation * pair;
}

// Sixths of one choice; 0 where a value is undefined.
template <class Rule>
int64_t sixths_of(double kept, double other, double another) {
    double tolerance = tie_share;
    if constexpr (!Rule::normalised) tolerance *= std::max({std::abs(kept), std::abs(other), std::abs(another)});
    const double first = kept - other, second = kept - another;
    if (!(first >= -tolerance && second >= -tolerance)) return 0;
    const int ties = (first <= tolerance) + (second <= tolerance);
    return ties == 0 ? 6 : ties == 1 ? 3 : 2;
}

// The same of lanes, as the sums of them are kept.
template <class Rule, int L>
ALWAYS_INLINE auto sixths_of_lanes(typename Simd<L>::Vec kept, typename Simd<L>::Vec other, typename Simd<L>::Vec another) {
    using S = Simd<L>;
    using Vec = typename S::Vec;
    Vec tolerance = S::splat(tie_share);
    if constexpr (!Rule::normalised) {
        const Vec a = magnitude(kept), b = magnitude(other), c = magnitude(another), larger = a > b ? a : b;
        tolerance *= larger > c ? larger : c;
    }
    const Vec first = kept - other, second = kept - another;
    const auto holds = (first >= -tolerance) & (second >= -tolerance), one = first <= tolerance, two = second <= tolerance;
    return holds & (((one | two) & -3) + (one & two) + 6);  // where it holds, a comparison is -1
}

struct Choices {
    Triplets triplets;
    std::vector<char> active;  // (stimuli): whether some triplet holds it
    explicit Choices(const Triplets& given, int64_t stimuli) : triplets(given), active(stimuli) {
        for (int64_t t = 0; t < 3 * given.count; ++t) active[given.stimuli[t]] = 1;
    }
    double share(int64_t sixths) const { return static_cast<double>(sixths) / (6.0 * static_cast<double>(triplets.count)); }
};

// Pairs of a triplet: the kept one first.
constexpr int ends[3][2] = {{0, 1}, {0, 2}, {1, 2}};

int64_t pair_place(int64_t i, int64_t j, int64_t n) {
    return row_start(std::min(i, j), n) + std::abs(i - j) - 1;
}

// A pair from the features of the subset but for `skip`, and what its stimuli have by themselves.
template <class Rule>
double fresh(const Features& x, Indices subset, int64_t skip, int64_t i, int64_t j) {
    const double* rows[2] = {x.values + i * x.count, x.values + j * x.count};
    double mean[2] = {}, own[2] = {}, pair = 0;
    if constexpr (Rule::centred)
        for (int r = 0; r < 2; ++r) {
            int64_t count = 0;
            double first = 0, sum = 0;  // about the first value: a constant row's mean is exact
            for (int64_t s = 0; s < subset.count; ++s) {
                const int64_t k = subset.values[s];
                if (k == skip) continue;
                if (count++ == 0) first = rows[r][k];
                sum += rows[r][k] - first;
            }
            mean[r] = count ? first + sum / static_cast<double>(count) : 0;
        }
    for (int64_t s = 0; s < subset.count; ++s) {
        const int64_t k = subset.values[s];
        if (k == skip) continue;
        const double a = rows[0][k] - mean[0], b = rows[1][k] - mean[1];
        own[0] += a * a;
        own[1] += b * b;
        pair = Rule::template moved<1>(pair, a, b);
    }
    return compared_by<Rule>(pair, inverse_norm(own[0]), inverse_norm(own[1]));
}

struct Removal {
    const Features* x;
    const Choices* choices;
    const Space* space;
    const double* pairs;  // (triplets, 3) sums of the subset
    Indices subset;
    double weight;  // of a factor (centring_weight), rooted
    double factor(int64_t stimulus, int64_t feature, bool centred) const {
        const double value = x->values[stimulus * x->count + feature];
        return centred ? (value - space->mean[stimulus]) * weight : value;
    }
};

// Lanes run over features that go.
template <class Rule>
struct RemovalTile {
    static constexpr int vectors = 2;
    template <int L>
    static constexpr int strip = vectors * L;

    // factors: scratch (stimuli, 2 strip); out (strip): sixths; suspect (strip): 1 where the update can't be trusted.
    template <int L>
    ALWAYS_INLINE static void run(const Removal* job, int64_t first, double* factors, int64_t* out, char* suspect) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        constexpr int strip = RemovalTile::strip<L>, pitch = 2 * strip;
        const int64_t n = job->x->stimuli, left = std::min<int64_t>(strip, job->subset.count - first);
        for (int w = 0; w < strip; ++w) suspect[w] = 0;
        for (int64_t i = 0; i < n; ++i) {
            if (!job->choices->active[i]) continue;
            double* to = factors + i * pitch;
            const double own = job->space->own[i];
            for (int w = 0; w < strip; ++w) {
                const double z = w < left ? job->factor(i, job->subset.values[first + w], Rule::centred) : 0, rest = own - z * z;
                to[w] = z;
                to[strip + w] = rest > 0 ? 1 / std::sqrt(rest) : 1;
                if (Rule::guard == Guard::own && own > 0 && rest <= removal_guard * own) suspect[w] = 1;
            }
        }
        const int64_t* triplet = job->choices->triplets.stimuli;
        const double* pairs = job->pairs;
        decltype(Vec{} < Vec{}) sums[vectors] = {}, cancelled[vectors] = {};
        for (int64_t t = 0; t < job->choices->triplets.count; ++t, triplet += 3, pairs += 3) {
            const double* f[3] = {factors + triplet[0] * pitch, factors + triplet[1] * pitch, factors + triplet[2] * pitch};
            UNROLL(2)
            for (int v = 0; v < vectors; ++v) {
                Vec z[3], r[3], value[3];
                UNROLL(3)
                for (int s = 0; s < 3; ++s) {
                    z[s] = S::load(f[s] + v * L);
                    r[s] = S::load(f[s] + strip + v * L);
                }
                UNROLL(3)
                for (int p = 0; p < 3; ++p) {
                    value[p] = Rule::template moved<-1>(pairs[p], z[ends[p][0]], z[ends[p][1]]);
                    if constexpr (Rule::normalised) {
                        value[p] *= r[ends[p][0]] * r[ends[p][1]];
                    } else {
                        const Vec before = S::splat(pairs[p]);
                        cancelled[v] |= (value[p] != before) & (magnitude(value[p]) <= removal_guard * magnitude(before));
                        value[p] = Rule::orientation * value[p];
                    }
                }
                sums[v] += sixths_of_lanes<Rule, L>(value[0], value[1], value[2]);
            }
        }
        for (int w = 0; w < left; ++w) {
            out[w] = sums[w / L][w % L];
            if (cancelled[w / L][w % L] != 0) suspect[w] = 1;
        }
    }
};

// One feature that goes, triplet by triplet: from the features where an update can't be trusted. -1: a stimulus has no direction.
template <class Rule>
int64_t recomputed(const Removal& job, int64_t feature) {
    const Features& x = *job.x;
    std::vector<double> z(x.stimuli), inverse(x.stimuli, 1);
    std::vector<char> doubted(x.stimuli);
    for (int64_t i = 0; i < x.stimuli; ++i) {
        if (!job.choices->active[i]) continue;
        z[i] = job.factor(i, feature, Rule::centred);
        const double own = job.space->own[i], rest = own - z[i] * z[i];
        doubted[i] = Rule::guard == Guard::own && rest <= removal_guard * own;
        if (Rule::normalised) inverse[i] = inverse_norm(rest);
    }
    int64_t sixths = 0;
    const int64_t* triplet = job.choices->triplets.stimuli;
    for (int64_t t = 0; t < job.choices->triplets.count; ++t, triplet += 3) {
        double value[3];
        for (int p = 0; p < 3; ++p) {
            const int64_t i = triplet[ends[p][0]], j = triplet[ends[p][1]];
            const double before = job.pairs[3 * t + p], after = Rule::template moved<-1>(before, z[i], z[j]);
            const bool cancelled = !Rule::normalised && after != before && std::abs(after) <= removal_guard * std::abs(before);
            value[p] = doubted[i] || doubted[j] || cancelled ? fresh<Rule>(x, job.subset, feature, i, j)
                                                             : compared_by<Rule>(after, inverse[i], inverse[j]);
            if (std::isnan(value[p])) return -1;
        }
        sixths += sixths_of<Rule>(value[0], value[1], value[2]);
    }
    return sixths;
}

// Whether the metric gives every stimulus of the triplets a direction.
template <class Rule>
bool all_directed(const Choices& choices, const double* own) {
    for (std::size_t i = 0; Rule::normalised && i < choices.active.size(); ++i)
        if (choices.active[i] && !(own[i] > 0)) return false;
    return true;
}

template <class Rule>
void removed(const Features& x, const Triplets& triplets, Metric metric, Indices subset, const Context& context, double* out) {
    const int64_t n = x.stimuli;
    const Choices choices(triplets, n);
    Space space(n);
    SpaceBuilder(n, context.threads).build(x, metric, subset, -1, space, &context);
    context.throw_if_stopped();
    std::fill_n(out, x.count, nan);
    if (!all_directed<Rule>(choices, space.own.get())) return;
    Buffer pairs(3 * triplets.count);
    int64_t base = 0;
    for (int64_t t = 0; t < triplets.count; ++t) {
        double value[3];
        for (int p = 0; p < 3; ++p) {
            const int64_t i = triplets.stimuli[3 * t + ends[p][0]], j = triplets.stimuli[3 * t + ends[p][1]];
            pairs[3 * t + p] = space.pair[pair_place(i, j, n)];
            value[p] = compared_by<Rule>(pairs[3 * t + p], inverse_norm(space.own[i]), inverse_norm(space.own[j]));
        }
        base += sixths_of<Rule>(value[0], value[1], value[2]);
    }
    std::fill_n(out, x.count, choices.share(base));
    const double weight = Rule::centred ? std::sqrt(centring_weight(static_cast<double>(subset.count), -1)) : 1;
    const Removal job{&x, &choices, &space, pairs.get(), subset, weight};
    if (subset.count - 1 < traits_of(metric).least_features()) {
        for (int64_t s = 0; s < subset.count; ++s) {
            bool defined = !Rule::normalised;  // with no feature left all pairs tie
            out[subset.values[s]] = defined ? choices.share(2 * triplets.count) : nan;
        }
        return;
    }
    const auto tile = choose<RemovalTile<Rule>, const Removal*, int64_t, double*, int64_t*, char*>();
    int strip = 0;
    at_level([&](auto lanes) { strip = RemovalTile<Rule>::template strip<lanes()>; });
    const int64_t tiles = (subset.count + strip - 1) / strip;
    std::vector<Buffer> factors;
    for (int t = 0; t < context.threads; ++t) factors.emplace_back(n * 2 * strip);
    share_out(tiles, context.threads, context, [&](int64_t t, int thread) {
        if (context.stop(thread)) return;
        int64_t sixths[16];
        char suspect[16];
        tile(&job, t * strip, factors[thread].get(), sixths, suspect);
        for (int64_t w = 0; w < std::min<int64_t>(strip, subset.count - t * strip) && !context.stop(thread); ++w) {
            const int64_t k = subset.values[t * strip + w], found = suspect[w] ? recomputed<Rule>(job, k) : sixths[w];
            out[k] = found < 0 ? nan : choices.share(found);
        }
        context.did(1.0 / static_cast<double>(tiles));
    });
    context.throw_if_stopped();
}

// Some choices through as many steps as a vector has lanes. Products of factors have lanes over steps, and change places to have
// lanes over choices.
template <class Rule>
struct PrefixTile {
    // factors: (stimuli, 2 L), z of each step and inverse norms; pairs (3, together): sums so far, moved on; out (L): sixths.
    template <int L>
    ALWAYS_INLINE static void run(const double* factors, const int64_t* triplets, int64_t count, double* pairs, int64_t* out) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        using Mask = decltype(Vec{} < Vec{});
        Mask sums[L] = {};
        for (int64_t t = 0; t < count; t += L) {
            const double* f[L][3];
            double counts[L];
            for (int l = 0; l < L; ++l) {
                const int64_t* one = triplets + 3 * std::min(t + l, count - 1);
                for (int e = 0; e < 3; ++e) f[l][e] = factors + one[e] * 2 * L;
                counts[l] = t + l < count ? 1 : 0;
            }
            Vec value[3][L];
            UNROLL(3)
            for (int p = 0; p < 3; ++p) {
                Vec inverse[L];
                UNROLL(8)
                for (int l = 0; l < L; ++l) {
                    const double *fi = f[l][ends[p][0]], *fj = f[l][ends[p][1]];
                    value[p][l] = Rule::template moved<1>(Vec{}, S::load(fi), S::load(fj));
                    if constexpr (Rule::normalised) inverse[l] = S::load(fi + L) * S::load(fj + L);
                }
                S::transpose(value[p]);
                if constexpr (Rule::normalised) S::transpose(inverse);
                double* at = pairs + p * together + t;
                Vec pair = S::load(at);
                UNROLL(8)
                for (int s = 0; s < L; ++s) {
                    pair += value[p][s];
                    if constexpr (Rule::normalised)
                        value[p][s] = pair * inverse[s];
                    else
                        value[p][s] = Rule::orientation * pair;
                }
                S::store(at, pair);
            }
            const Mask there = S::load(counts) > 0;
            UNROLL(8)
            for (int s = 0; s < L; ++s) sums[s] += there & sixths_of_lanes<Rule, L>(value[0][s], value[1][s], value[2][s]);
        }
        for (int s = 0; s < L; ++s) {
            out[s] = 0;
            for (int l = 0; l < L; ++l) out[s] += sums[s][l];
        }
    }
};

template <class Rule>
void inserted(const Features& x, const Triplets& triplets, Indices order, const Context& context, double* out) {
    const int64_t n = x.stimuli, blocks = (triplets.count + together - 1) / together;
    const Choices choices(triplets, n);
    const auto tile = choose<PrefixTile<Rule>, const double*, const int64_t*, int64_t, double*, int64_t*>();
    const int lanes = simd_lanes();
    Buffer pairs(3 * together * blocks, 0.0), own(n, 0.0), mean(n, 0.0), factors(n * 2 * lanes, 0.0);
    std::vector<int64_t> sixths(blocks * lanes);
    for (int64_t from = 0; from < order.count && !context.stop(0); from += lanes) {
        const int64_t steps = std::min<int64_t>(lanes, order.count - from);
        bool directed[8];
        for (int64_t l = 0; l < lanes; ++l) {
            const auto seen = static_cast<double>(from + l);
            const double weight = Rule::centred ? std::sqrt(centring_weight(seen, 1)) : 1;
            for (int64_t i = 0; i < n; ++i) {
                double z = 0;
                if (l < steps) {
                    z = x.values[i * x.count + order.values[from + l]];
                    if constexpr (Rule::centred) {
                        const double gap = z - mean[i];
                        mean[i] += gap / (seen + 1);
                        z = gap * weight;
                    }
                }
                own[i] += z * z;
                factors[i * 2 * lanes + l] = z;
                factors[i * 2 * lanes + lanes + l] = own[i] > 0 ? 1 / std::sqrt(own[i]) : 1;
            }
            directed[l] = all_directed<Rule>(choices, own.get());
        }
        share_out(blocks, context.threads, context, [&](int64_t b, int) {
            const int64_t first = b * together;
            tile(factors.get(), triplets.stimuli + 3 * first, std::min(together, triplets.count - first), &pairs[3 * first],
                 &sixths[b * lanes]);
        });
        for (int64_t l = 0; l < steps; ++l) {
            int64_t sum = 0;
            for (int64_t b = 0; b < blocks; ++b) sum += sixths[b * lanes + l];
            out[from + l] = directed[l] ? choices.share(sum) : nan;
        }
        context.did(static_cast<double>(steps) / static_cast<double>(order.count));
    }
    context.throw_if_stopped();
}

}  // namespace

void choices_leave_one_out(const Features& x, const Triplets& triplets, Metric metric, Indices subset, const Context& context,
                           double* out) {
    with_rule(metric, [&](auto rule) { removed<decltype(rule)>(x, triplets, metric, subset, context, out); });
}

void choices_insertion_curve(const Features& x, const Triplets& triplets, Metric metric, Indices order, const Context& context,
                             double* out) {
    with_rule(metric, [&](auto rule) { inserted<decltype(rule)>(x, triplets, order, context, out); });
}

}  // namespace secateur::cpu
