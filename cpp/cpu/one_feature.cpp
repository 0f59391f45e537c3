#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/space.hpp"
#include "core/targets.hpp"
#include "cpu/cpu.hpp"

// Two ways to the same numbers:
//   one target    sums fused with the similarities; lanes run over features, pairs are broadcast in packed order
//   many targets  a block of similarities (pairs x features) times the targets: one small matrix product
// Comparators that take more than sums see the updated similarities themselves.
namespace secateur::cpu {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// What all tiles of a call share.
struct Job : Guards {
    Features x;
    Metric metric;
    double orientation;
    int sign;
    Indices candidates;
    const StandardTargets* targets;
    const Space* space;
    // The pairs that count, in packed order, and where each stimulus's row begins.
    std::vector<int64_t> row;
    std::vector<int32_t> partner;
    Buffer base;            // pair sums at those pairs; already shifted where they are the values themselves
    Buffer target;          // one target: its standardised values at those pairs
    double* out;            // (targets, x.count)
    char* needs_recompute;  // (candidates): 1 asks for the exact way

    int64_t pair_count() const { return row.back(); }
    void put(int64_t target, int64_t candidate, double r) const {
        out[target * x.count + candidates.values[candidate]] = orientation * r;
    }
};

// By stimulus, candidates innermost: z, 1/sqrt(own +- z^2), shift * sqrt(own +- z^2).
struct Factors {
    double *z, *inverse, *shifted;
    Factors after(int64_t count) const { return {z + count, inverse + count, shifted + count}; }
};

struct FactorBuffers {
    Buffer z, inverse, shifted;
    explicit FactorBuffers(int64_t count) : z(count), inverse(count), shifted(count) {}
    Factors view() const { return {z.get(), inverse.get(), shifted.get()}; }
};

// A candidate's factor at a stimulus.
template <class Rule>
ALWAYS_INLINE double factor(const Job& job, int64_t stimulus, double x) {
    if constexpr (Rule::centred)
        return (x - job.space->mean[stimulus]) * job.weight;
    else
        return x;
}

template <class Rule, int sign, int width>
ALWAYS_INLINE void fill_factors(const Job& job, int64_t first, Factors f, double* suspect) {
    const int64_t n = job.x.stimuli, d = job.x.count, left = std::min<int64_t>(width, job.candidates.count - first);
    const int64_t* k = job.candidates.values + first;
    bool in_order = left == width;
    for (int w = 1; w < width && in_order; ++w) in_order = k[w] == k[0] + w;
    for (int w = 0; w < width; ++w) suspect[w] = 0;
    for (int64_t i = 0; i < n; ++i) {
        const double* x = job.x.values + i * d;
        double* z = f.z + i * width;
        if (in_order)
            for (int w = 0; w < width; ++w) z[w] = x[k[0] + w];
        else
            for (int w = 0; w < width; ++w) z[w] = w < left ? x[k[w]] : 0.0;
        if constexpr (Rule::centred) {
            const double mean = job.space->mean[i], weight = job.weight;
#pragma omp simd
            for (int w = 0; w < width; ++w) z[w] = (z[w] - mean) * weight;
        }
        if constexpr (Rule::guard == Guard::own) {
            const double own = job.space->own[i], min_norm = job.min_norm[i], undefined = job.undefined[i], shift = job.shift;
            double* inverse = f.inverse + i * width;
            double* shifted = f.shifted + i * width;
#pragma omp simd
            for (int w = 0; w < width; ++w) {
                const double rest = own + sign * z[w] * z[w];
                suspect[w] = rest <= min_norm ? 1.0 : suspect[w];
                if constexpr (Rule::normalised) {
                    const double root = std::sqrt(rest > 0 ? rest : 1.0);
                    inverse[w] = rest > 0 ? 1.0 / root : undefined;
                    shifted[w] = shift * root;
                }
            }
        }
    }
}

// One target.
template <class Rule, int sign>
struct OneTargetTile {
    // Vectors a tile is wide: as many as the registers hold with three sums each.
    template <int L>
    static constexpr int vectors = L == 8 ? 3 : 2;
    template <int L>
    static constexpr int width = vectors<L> * L;

    template <int L>
    ALWAYS_INLINE static void run(const Job* shared, int64_t first, Factors f) {
        const Job& job = *shared;
        using S = Simd<L>;
        using Vec = typename S::Vec;
        constexpr int V = vectors<L>, width = OneTargetTile::width<L>;
        const int64_t n = job.x.stimuli;
        alignas(64) double suspect[width], sums[3][width];
        fill_factors<Rule, sign, width>(job, first, f, suspect);

        Vec sum[V] = {}, squares[V] = {}, product[V] = {};
        Vec cancelled[V] = {};
        for (int64_t i = 0; i < n; ++i) {
            Vec zi[V], ci[V], a[V] = {}, b[V] = {}, c[V] = {};
            UNROLL(4)
            for (int v = 0; v < V; ++v) {
                zi[v] = S::load(&f.z[i * width + v * L]);
                if constexpr (Rule::normalised) ci[v] = S::load(&f.shifted[i * width + v * L]);
            }
            for (int64_t p = job.row[i]; p < job.row[i + 1]; ++p) {
                const int64_t j = job.partner[p] * int64_t{width};
                const double base = job.base[p], h = job.target[p];
                UNROLL(4)
                for (int v = 0; v < V; ++v) {
                    Vec value = Rule::template moved<sign>(base, zi[v], S::load(&f.z[j + v * L]));
                    if constexpr (Rule::normalised) value = value * S::load(&f.inverse[j + v * L]) - ci[v];
                    if constexpr (Rule::rooted) {
                        if constexpr (Rule::guard == Guard::pair && sign < 0)
                            cancelled[v] = value < S::splat(least_pair(base)) ? S::splat(1.0) : cancelled[v];
                        value = S::sqrt(value > 0 ? value : Vec{}) - job.shift;
                    }
                    a[v] += value;
                    b[v] += value * value;
                    c[v] += h * value;
                }
            }
            UNROLL(4)
            for (int v = 0; v < V; ++v) {
                if constexpr (Rule::normalised) {
                    if (job.row[i] == job.row[i + 1]) continue;
                    const Vec r = S::load(&f.inverse[i * width + v * L]);
                    sum[v] += a[v] * r;
                    squares[v] += b[v] * (r * r);
                    product[v] += c[v] * r;
                } else {
                    sum[v] += a[v];
                    squares[v] += b[v];
                    product[v] += c[v];
                }
            }
        }
        for (int v = 0; v < V; ++v) {
            S::store(&sums[0][v * L], sum[v]);
            S::store(&sums[1][v * L], squares[v]);
            S::store(&sums[2][v * L], product[v]);
            for (int l = 0; l < L; ++l)
                if (cancelled[v][l] != 0) suspect[v * L + l] = 1;
        }
        const int64_t left = std::min<int64_t>(width, job.candidates.count - first);
        const int64_t pattern = job.targets->pattern_of(0);
        const double weight = job.targets->total(pattern);
        for (int64_t w = 0; w < left; ++w) {
            const Moments m{sums[0][w], sums[1][w], sums[2][w]};
            bool trusted;
            const double scale = std::max(job.scale[pattern], unshifted(m.sum, m.squares, job.shift, weight));
            job.put(0, first + w, alignment_of(m, m.squares, scale, weight, job.targets->centred, trusted));
            job.needs_recompute[first + w] = suspect[w] != 0 || !trusted || m.sum <= job.cancel_threshold[pattern];
        }
    }
};

// Many targets: pairs in chunks whose similarities stay in the second-level cache, targets packed in panels.
constexpr int64_t panel = 12, chunk = 256, strip = 16, strips = 4, block = strip * strips;
constexpr int64_t batch_bytes = 24 << 20, batch_columns = 768;

// A batch of targets, with the weight patterns that they use as further columns.
struct Panels {
    int64_t first, targets, columns;
    std::vector<int64_t> weight_column;  // by pattern; -1 where the batch has no use for it
    Buffer values;                       // [chunk][panel][pair in chunk][column in panel]

    static int64_t largest(const StandardTargets& t) {
        const int64_t fit = std::min(batch_columns, std::max(panel, batch_bytes / 8 / t.pairs / panel * panel));
        return std::min(t.weighted ? std::max<int64_t>(1, fit / 2) : fit, t.count);
    }
    static int64_t padded(const StandardTargets& t) {
        const int64_t targets = largest(t);
        return (targets + (t.weighted ? std::min(targets, t.patterns) : 0) + panel - 1) / panel * panel;
    }
    explicit Panels(const StandardTargets& t) : weight_column(t.patterns), values(t.pairs * padded(t)) {}

    void pack(const StandardTargets& t, int64_t from, int threads) {
        first = from;
        targets = std::min(largest(t), t.count - from);
        std::vector<const double*> column;
        for (int64_t q = 0; q < targets; ++q) column.push_back(t.row(from + q));
        std::fill(weight_column.begin(), weight_column.end(), -1);
        for (int64_t q = 0; t.weighted && q < targets; ++q) {
            const int64_t u = t.pattern_of(from + q);
            if (weight_column[u] >= 0) continue;
            weight_column[u] = static_cast<int64_t>(column.size());
            column.push_back(t.weights(u));
        }
        while (column.size() % panel) column.push_back(nullptr);
        columns = static_cast<int64_t>(column.size());
        const int64_t chunks = (t.pairs + chunk - 1) / chunk;
#pragma omp parallel for num_threads(threads) if (threads > 1)
        for (int64_t c = 0; c < chunks; ++c) {
            const int64_t start = c * chunk, length = std::min(chunk, t.pairs - start);
            for (int64_t q = 0; q < columns; ++q) {
                double* to = values.get() + start * columns + q / panel * panel * length + q % panel;
                for (int64_t p = 0; p < length; ++p) to[p * panel] = column[q] ? column[q][start + p] : 0.0;
            }
        }
    }
};

struct BlockScratch {
    FactorBuffers factors;       // [strip of candidates][stimulus][candidate in strip]
    Buffer values, squares;      // [strip][pair in chunk][candidate in strip]
    Buffer products, weighings;  // [column][candidate in block]
    BlockScratch(int64_t stimuli, int64_t columns, bool weighted)
        : factors(stimuli * block),
          values(chunk * block),
          squares(weighted ? chunk * block : 0),
          products(columns * block),
          weighings(weighted ? columns * block : 0) {}
};

struct ProductTile {
    // C[q][0..16) += sum over pairs of V[p][0..16) * H[p][q]
    template <int L>
    ALWAYS_INLINE static void run(const double* v, const double* h, int64_t pairs, double* c) {
        using S = Simd<L>;
        constexpr int wide = L == 8 ? 12 : L == 4 ? 6 : 4, vectors = 2, slice = vectors * L;
        for (int64_t from = 0; from < strip; from += slice)
            for (int64_t q = 0; q < panel; q += wide) {
                typename S::Vec acc[wide][vectors];
                UNROLL(12)
                for (int t = 0; t < wide; ++t)
                    for (int s = 0; s < vectors; ++s) acc[t][s] = S::load(c + (q + t) * block + from + s * L);
                for (int64_t p = 0; p < pairs; ++p) {
                    const auto v0 = S::load(v + p * strip + from), v1 = S::load(v + p * strip + from + L);
                    UNROLL(12)
                    for (int t = 0; t < wide; ++t) {
                        const double target = h[p * panel + q + t];
                        acc[t][0] += v0 * target;
                        acc[t][1] += v1 * target;
                    }
                }
                UNROLL(12)
                for (int t = 0; t < wide; ++t)
                    for (int s = 0; s < vectors; ++s) S::store(c + (q + t) * block + from + s * L, acc[t][s]);
            }
    }
};

template <class Rule, int sign>
struct ManyTargetsTile {
    template <int L>
    ALWAYS_INLINE static void run(const Job* shared, int64_t first, const Panels* batch, const BlockScratch* own_scratch) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        constexpr int V = strip / L;
        const Job& job = *shared;
        const Panels& panels = *batch;
        const BlockScratch& scratch = *own_scratch;
        const StandardTargets& targets = *job.targets;
        const int64_t n = job.x.stimuli, columns = panels.columns, pairs = job.pair_count();
        const Factors factors = scratch.factors.view();
        alignas(64) double suspect[block], sums[block] = {}, square_sums[block] = {};
        std::fill_n(scratch.products.get(), columns * block, 0.0);
        if (targets.weighted) std::fill_n(scratch.weighings.get(), columns * block, 0.0);
        int64_t filled = 0;
        for (; filled < strips && first + filled * strip < job.candidates.count; ++filled)
            fill_factors<Rule, sign, strip>(job, first + filled * strip, factors.after(filled * n * strip),
                                            suspect + filled * strip);

        int64_t i = 0;
        for (int64_t start = 0; start < pairs; start += chunk) {
            const int64_t length = std::min(chunk, pairs - start);
            int64_t end_row = i;
            for (int64_t s = 0; s < filled; ++s) {
                const double* z = factors.z + s * n * strip;
                const double* inverse = factors.inverse + s * n * strip;
                double* values = scratch.values.get() + s * chunk * strip;
                double* squares = targets.weighted ? scratch.squares.get() + s * chunk * strip : nullptr;
                Vec sum[V], square[V], zi[V], ri[V], cancelled[V] = {};
                for (int v = 0; v < V; ++v) {
                    sum[v] = S::load(sums + s * strip + v * L);
                    square[v] = S::load(square_sums + s * strip + v * L);
                }
                int64_t row = i;
                for (int64_t p = start; p < start + length;) {
                    while (p >= job.row[row + 1]) ++row;
                    const int64_t stop = std::min(job.row[row + 1], start + length);
                    for (int v = 0; v < V; ++v) {
                        zi[v] = S::load(z + row * strip + v * L);
                        if constexpr (Rule::normalised) ri[v] = S::load(inverse + row * strip + v * L);
                    }
                    // A square that is kept is not fused with its sum. Asked inside, some vectors were fused and others not.
                    const auto add_row = [&](auto kept) INLINE_LAMBDA {
                        for (int64_t q = p; q < stop; ++q) {
                            const int64_t j = job.partner[q] * strip, at = (q - start) * strip;
                            const double base = job.base[q];
                            UNROLL(8)
                            for (int v = 0; v < V; ++v) {
                                Vec value = Rule::template moved<sign>(base, zi[v], S::load(z + j + v * L));
                                if constexpr (Rule::normalised)
                                    value = value * (ri[v] * S::load(inverse + j + v * L)) - job.shift;
                                if constexpr (Rule::rooted) {
                                    if constexpr (Rule::guard == Guard::pair && sign < 0)
                                        cancelled[v] = value < S::splat(least_pair(base)) ? S::splat(1.0) : cancelled[v];
                                    value = S::sqrt(value > 0 ? value : Vec{}) - job.shift;
                                }
                                S::store(values + at + v * L, value);
                                if constexpr (kept.value) S::store(squares + at + v * L, value * value);
                                sum[v] += value;
                                square[v] += value * value;
                            }
                        }
                    };
                    if (squares)
                        add_row(std::true_type{});
                    else
                        add_row(std::false_type{});
                    p = stop;
                }
                for (int v = 0; v < V; ++v) {
                    S::store(sums + s * strip + v * L, sum[v]);
                    S::store(square_sums + s * strip + v * L, square[v]);
                    for (int l = 0; l < L; ++l)
                        if (cancelled[v][l] != 0) suspect[s * strip + v * L + l] = 1;
                }
                end_row = row;
            }
            i = end_row;
            const double* packed = panels.values.get() + start * columns;
            for (int64_t t = 0; t < columns; t += panel)
                for (int64_t s = 0; s < filled; ++s) {
                    const double* h = packed + t * length;
                    ProductTile::run<L>(scratch.values.get() + s * chunk * strip, h, length,
                                        scratch.products.get() + t * block + s * strip);
                    if (targets.weighted && t + panel > panels.targets)
                        ProductTile::run<L>(scratch.squares.get() + s * chunk * strip, h, length,
                                            scratch.weighings.get() + t * block + s * strip);
                }
        }
        const int64_t left = std::min(block, job.candidates.count - first);
        double spread[block];
        int64_t known = -1;
        for (int64_t w = 0; w < left; ++w) job.needs_recompute[first + w] |= suspect[w] != 0;
        for (int64_t t = 0; t < panels.targets; ++t) {
            const int64_t pattern = targets.pattern_of(panels.first + t);
            if (pattern != known) {
                const int64_t column = targets.weighted ? panels.weight_column[pattern] * block : 0;
                const double* sum = targets.weighted ? &scratch.products[column] : sums;
                const double* squares = targets.weighted ? &scratch.weighings[column] : square_sums;
                for (int64_t w = 0; w < left; ++w) {
                    bool trusted;
                    const double weight = targets.total(pattern);
                    const double scale = std::max(job.scale[pattern], unshifted(sum[w], squares[w], job.shift, weight));
                    spread[w] = spread_of(sum[w], squares[w], squares[w], scale, weight, targets.centred, trusted);
                    job.needs_recompute[first + w] |= !trusted || sum[w] <= job.cancel_threshold[pattern];
                }
                known = pattern;
            }
            const double* product = &scratch.products[t * block];
            for (int64_t w = 0; w < left; ++w) job.put(panels.first + t, first + w, product[w] / spread[w]);
        }
    }
};

// The row of stimulus i: similarities once a candidate has come or gone; not 0 where one has cancelled.
template <class Rule, int sign>
struct UpdateRow {
    template <int L>
    ALWAYS_INLINE static void run(const double* pair, const double* z, const double* inverse, int64_t i, int64_t n, double* out,
                                  int64_t* cancelled) {
        const double zi = z[i], ri = inverse[i];
        int64_t any = 0;
#pragma omp simd reduction(| : any)
        for (int64_t j = i + 1; j < n; ++j) {
            const double before = pair[j - i - 1], value = Rule::template moved<sign>(before, zi, z[j]);
            // Ranks see the last bit: what cancels (to a tie at zero, most often) is summed up again.
            if constexpr (sign < 0 && !Rule::centred)
                any |= static_cast<int64_t>(value != before) &
                       static_cast<int64_t>(std::fabs(value) <= removal_guard * std::fabs(before));
            out[j - i - 1] = similarity_of<Rule>(value, ri, inverse[j]);
        }
        *cancelled = any;
    }
};

// Any comparator: the updated similarities themselves, in packed order; false where the update can't be trusted.
template <class Rule, int sign>
bool updated_similarities(const Job& job, Indices subset, int64_t candidate, double* z, double* inverse, double* out) {
    static const auto update =
        choose<UpdateRow<Rule, sign>, const double*, const double*, const double*, int64_t, int64_t, double*, int64_t*>();
    const int64_t n = job.x.stimuli, d = job.x.count, k = job.candidates.values[candidate];
    for (int64_t i = 0; i < n; ++i) {
        z[i] = factor<Rule>(job, i, job.x.values[i * d + k]);
        if constexpr (Rule::normalised) {
            const double rest = job.space->own[i] + sign * (z[i] * z[i]);
            if (rest <= job.min_norm[i]) return false;
            inverse[i] = rest > 0 ? 1 / std::sqrt(rest) : nan;
        }
    }
    for (int64_t i = 0, p = 0; i < n; p += n - ++i) {
        int64_t cancelled;
        update(&job.space->pair[p], z, inverse, i, n, out + p, &cancelled);
        for (int64_t j = i + 1; cancelled && j < n; ++j) {
            const double before = job.space->pair[p + j - i - 1];
            double value = Rule::template moved<sign>(before, z[i], z[j]);
            if (value == before || std::abs(value) > removal_guard * std::abs(before)) continue;
            value = 0;
            for (int64_t s = 0; s < subset.count; ++s) {
                const int64_t f = subset.values[s];
                if (f != k) value = Rule::template moved<1>(value, job.x.values[i * d + f], job.x.values[j * d + f]);
            }
            out[p + j - i - 1] = similarity_of<Rule>(value, inverse[i], inverse[j]);
        }
    }
    return true;
}

// The pairs that count: with one target those of its weights, else all.
void list_pairs(Job& job, bool rooted_or_normalised) {
    const StandardTargets& targets = *job.targets;
    const int64_t n = job.x.stimuli, pairs = job.x.pairs();
    const bool one = targets.count == 1 && targets.binary;
    const double* weights = one && targets.weighted ? targets.weights(targets.pattern_of(0)) : nullptr;
    job.base = Buffer(pairs);
    job.target = Buffer(one ? pairs : 0);
    job.partner.reserve(pairs);
    job.row.assign(1, 0);
    for (int64_t i = 0, p = 0; i < n; ++i) {
        for (int64_t j = i + 1; j < n; ++j, ++p) {
            if (weights && weights[p] == 0) continue;
            const auto at = static_cast<int64_t>(job.partner.size());
            job.partner.push_back(static_cast<int32_t>(j));
            job.base[at] = job.space->pair[p] - (rooted_or_normalised ? 0 : job.shift);
            if (one) job.target[at] = targets.row(0)[p];
        }
        job.row.push_back(static_cast<int64_t>(job.partner.size()));
    }
}

template <class Rule, int sign>
void by_moments(Job& job, const Context& context) {
    const StandardTargets& targets = *job.targets;
    const int64_t n = job.x.stimuli;
    list_pairs(job, Rule::rooted || Rule::normalised);
    if (targets.count == 1 && targets.binary) {
        const auto tile = choose<OneTargetTile<Rule, sign>, const Job*, int64_t, Factors>();
        const int64_t width = simd_lanes() == 8   ? OneTargetTile<Rule, sign>::template width<8>
                              : simd_lanes() == 4 ? OneTargetTile<Rule, sign>::template width<4>
                                                  : OneTargetTile<Rule, sign>::template width<2>;
        std::vector<FactorBuffers> scratch;
        for (int t = 0; t < context.threads; ++t) scratch.emplace_back(n * width);
        const int64_t tiles = (job.candidates.count + width - 1) / width;
#pragma omp parallel for schedule(dynamic) num_threads(context.threads) if (context.threads > 1)
        for (int64_t t = 0; t < tiles; ++t)
            if (!context.stop(omp_thread())) tile(&job, t * width, scratch[omp_thread()].view());
        return;
    }
    Panels panels(targets);
    std::vector<BlockScratch> scratch;
    for (int t = 0; t < context.threads; ++t) scratch.emplace_back(n, Panels::padded(targets), targets.weighted);
    const auto tile = choose<ManyTargetsTile<Rule, sign>, const Job*, int64_t, const Panels*, const BlockScratch*>();
    const int64_t tiles = (job.candidates.count + block - 1) / block;
    for (int64_t from = 0; from < targets.count && !context.stop(0); from += Panels::largest(targets)) {
        panels.pack(targets, from, context.threads);
#pragma omp parallel for schedule(dynamic) num_threads(context.threads) if (context.threads > 1)
        for (int64_t t = 0; t < tiles; ++t)
            if (!context.stop(omp_thread())) tile(&job, t * block, &panels, &scratch[omp_thread()]);
    }
}

template <class Rule, int sign>
void by_similarities(Job& job, Indices subset, const Context& context) {
    struct Scratch {
        Buffer z, inverse, similarities, found;  // the last two of the vectors that are looked at together
        CompareScratch compare_scratch;
        std::vector<int64_t> trusted;
        Scratch(int64_t n, int64_t pairs, int64_t together, int64_t targets)
            : z(n), inverse(n), similarities(together * pairs), found(together * targets), compare_scratch(n, pairs, together) {}
    };
    const int64_t pairs = job.x.pairs(), count = job.targets->count, candidates = job.candidates.count;
    const int64_t together = job.targets->together(), tiles = (candidates + together - 1) / together;
    std::vector<Scratch> scratch;
    for (int t = 0; t < context.threads; ++t) scratch.emplace_back(job.x.stimuli, pairs, together, count);
#pragma omp parallel for schedule(dynamic) num_threads(context.threads) if (context.threads > 1)
    for (int64_t tile = 0; tile < tiles; ++tile) {
        if (context.stop(omp_thread())) continue;
        Scratch& s = scratch[omp_thread()];
        s.trusted.clear();
        for (int64_t c = tile * together; c < std::min((tile + 1) * together, candidates); ++c) {
            double* similarities = &s.similarities[static_cast<int64_t>(s.trusted.size()) * pairs];
            if (updated_similarities<Rule, sign>(job, subset, c, s.z.get(), s.inverse.get(), similarities))
                s.trusted.push_back(c);
            else
                job.needs_recompute[c] = 1;
        }
        compare_all(*job.targets, s.similarities.get(), static_cast<int64_t>(s.trusted.size()), s.compare_scratch, s.found.get(),
                    count, 1);
        for (std::size_t v = 0; v < s.trusted.size(); ++v)
            for (int64_t t = 0; t < count; ++t)
                job.out[t * job.x.count + job.candidates.values[s.trusted[v]]] = s.found[static_cast<int64_t>(v) * count + t];
    }
}

}  // namespace

void one_feature(const Features& x, const OneFeaturePlan& plan, const Context& context, double* out, char* needs_recompute) {
    Job job{plan.guards,
            x,
            plan.metric,
            traits_of(plan.metric).orientation,
            plan.sign,
            plan.candidates,
            plan.targets.of,
            plan.space,
            {},
            {},
            {},
            {},
            out,
            needs_recompute};
    with_rule(plan.metric, [&](auto rule) {
        using Rule = decltype(rule);
        const bool adding = plan.sign > 0;
        if (!secateur::by_moments(job.targets->comparator))
            adding ? by_similarities<Rule, 1>(job, plan.subset, context) : by_similarities<Rule, -1>(job, plan.subset, context);
        else
            adding ? by_moments<Rule, 1>(job, context) : by_moments<Rule, -1>(job, context);
    });
}

}  // namespace secateur::cpu
