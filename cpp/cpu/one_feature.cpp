#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/shared_out.hpp"
#include "core/space.hpp"
#include "core/targets.hpp"
#include "cpu/cpu.hpp"
#include "cpu/products.hpp"

// Two ways to the same numbers:
//   one target    sums fused with the similarities; lanes run over features, pairs are broadcast in packed order, and those
//                 without weight are passed over: so go several, too, that have few pairs
//   many targets  a block of similarities (pairs x features) times the targets: one small matrix product
// A control is one more row whose product with the similarities is taken, beside one target or among many.
// Comparators that take more than sums see the updated similarities themselves; so do candidates of whose similarities the
// controls leave too little for sums.
// Memory beyond X, the targets standardised and the sums over the subset, in bytes: with one target 16 a pair (both again in the
// tiles' order; 20 where not all pairs count, 28 where some count more than others), 8 more for each control, and for each thread
// 2048 a stimulus; with many, 96 or more a pair for a batch of targets, and for each thread 1024 a stimulus.
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
    double* out;            // (targets, x.count)
    char* needs_recompute;  // (candidates): `anew` asks for the exact way, `compared` for that by similarities

    void put(int64_t target, int64_t candidate, double r) const {
        out[target * x.count + candidates.values[candidate]] = orientation * r;
    }
};

constexpr char anew = 1, compared = 2;

// A candidate's factor at a stimulus.
template <class Rule, class Value>
ALWAYS_INLINE Value factor(const Job& job, int64_t stimulus, Value x) {
    if constexpr (Rule::centred)
        return (x - job.space->mean[stimulus]) * job.weight;
    else
        return x;
}

// Factors lie by strip of candidates: [strip][stimulus][z of the strip's candidates | their inverse norms, where normalised].
template <class Rule>
inline constexpr int parts = Rule::normalised ? 2 : 1;

// Rows of X lie far apart: some rows ahead, the lines that will be read are asked for.
constexpr int64_t rows_ahead = 8;

// Factors of `strips` strips of candidates from `first` on; zeros behind the last candidate. suspect (strips, strip): 1 where
// an update can't be trusted.
template <class Rule, int sign, int L, int strip>
ALWAYS_INLINE void fill_factors(const Job& job, int64_t first, int64_t strips, double* f, double* suspect) {
    using S = Simd<L>;
    using Vec = typename S::Vec;
    const int64_t n = job.x.stimuli, d = job.x.count, width = strips * strip;
    const int64_t left = std::min(width, job.candidates.count - first);
    const int64_t* k = job.candidates.values + first;
    bool in_order = left == width;
    for (int64_t w = 1; w < width && in_order; ++w) in_order = k[w] == k[0] + w;
    std::fill_n(suspect, width, 0.0);
    for (int64_t i = 0; i < n; ++i) {
        const double* x = job.x.values + i * d;
        const double own = job.space->own[i], undefined = job.undefined[i];
        // Sums of squares so small or large that the inverse norms lose digits: removals from them are never trusted.
        const bool usual = !(own > 0) || (own > least_square && own < most_square);
        const double least = sign > 0 || usual || job.min_norm[i] < 0 ? job.min_norm[i] : own;
        if (in_order && i + rows_ahead < n)
            for (int64_t w = 0; w < width; w += 8) __builtin_prefetch(x + rows_ahead * d + k[0] + w);
        for (int64_t s = 0; s < strips; ++s) {
            double gathered[strip], *to = f + (s * n + i) * (parts<Rule> * strip);
            if (!in_order)
                for (int w = 0; w < strip; ++w) gathered[w] = s * strip + w < left ? x[k[s * strip + w]] : 0.0;
            const double* from = in_order ? x + k[0] + s * strip : gathered;
            UNROLL(8)
            for (int v = 0; v < strip; v += L) {
                const Vec z = factor<Rule>(job, i, S::load(from + v));
                S::store(to + v, z);
                if constexpr (Rule::guard == Guard::own) {
                    const Vec rest = own + sign * z * z;
                    double* doubt = suspect + s * strip + v;
                    Vec bad = rest <= S::splat(least) ? S::splat(1.0) : S::load(doubt);
                    if constexpr (Rule::normalised) {
                        if constexpr (sign > 0)
                            bad = (rest > 0) & ((rest < least_square) | (rest > most_square)) ? S::splat(1.0) : bad;
                        const Vec root = inverse_root<L>(rest > 0 ? rest : S::splat(1.0));
                        S::store(to + strip + v, rest > 0 ? root : S::splat(undefined));
                    }
                    S::store(doubt, bad);
                }
            }
        }
    }
}

// One target: the pairs that count, as a tile goes through them, with a few of the rows that they are multiplied by: the target,
// then the controls. Partners of two rows at once are loaded once for both.
// Blocks of partners and rows, so that a strip's factors of the one stay in the first-level cache and a block's pairs in the
// second-level one while all strips go through it.
struct PairStream {
    struct Run {
        int64_t i, j, count, at;  // rows from i on, partners from j on, their place in `values`
        int rows;
    };
    std::vector<Run> runs;
    std::vector<std::size_t> blocks{0};  // where they begin among the runs
    std::vector<int32_t> partner;        // by pair, where not all pairs count alike: then rows go one by one
    Buffer values;  // by partner: the stimuli's pair sums, less `shift`, those of each row, and weights if any
    bool weighted;  // pairs that count do so otherwise than once
    static constexpr int64_t partners = 96, block_rows = 256;

    // A call that is to end gets a part of it.
    PairStream(const Job& job, int64_t target, const std::vector<const double*>& against, int together, double shift,
               const Context& context)
        : weighted(!job.targets->binary) {
        const StandardTargets& targets = *job.targets;
        const int64_t n = job.x.stimuli, size = 1 + static_cast<int64_t>(against.size());
        const double* weights = targets.weighted ? targets.weights(targets.pattern_of(target)) : nullptr;
        const double* pair = job.space->pair.get();
        values = Buffer((size + weighted) * targets.counted(target));
        int64_t at = 0;
        const auto add = [&](int64_t i, int64_t j, int64_t end, int rows) {
            if (j >= end) return;
            runs.push_back({i, j, end - j, at, rows});
            for (; j < end; ++j, at += size * rows)
                for (int r = 0; r < rows; ++r) {
                    const int64_t p = row_start(i + r, n) + j - i - r - 1;
                    values[at + r] = pair[p] - shift;
                    for (int64_t k = 1; k < size; ++k) values[at + k * rows + r] = against[k - 1][p];
                }
        };
        if (weights) {
            for (int64_t i = 0, p = 0; i < n && !context.stop(0); ++i) {
                const Run run{i, static_cast<int64_t>(partner.size()), 0, at, 1};
                for (int64_t j = i + 1; j < n; ++j, ++p) {
                    if (weights[p] == 0) continue;
                    partner.push_back(static_cast<int32_t>(j));
                    values[at++] = pair[p] - shift;
                    for (const double* row : against) values[at++] = row[p];
                    if (weighted) values[at++] = weights[p];
                }
                if (at == run.at) continue;
                runs.push_back(run);
                runs.back().count = static_cast<int64_t>(partner.size()) - run.j;
            }
            blocks.push_back(runs.size());
            return;
        }
        for (int64_t top = 0; top < n && !context.stop(0); top += block_rows)
            for (int64_t left = top / partners * partners; left < n; left += partners) {
                const int64_t bottom = std::min(n, top + block_rows), right = std::min(n, left + partners);
                for (int64_t i = top, rows; i < bottom; i += rows) {
                    rows = std::min<int64_t>(together, bottom - i);
                    const int64_t common = std::clamp(i + rows, left, right);  // no partner of all rows lies before it
                    for (int64_t r = 0; r + 1 < rows; ++r) add(i + r, std::max(left, i + r + 1), common, 1);
                    add(i, common, right, static_cast<int>(rows));
                }
                if (runs.size() > blocks.back()) blocks.push_back(runs.size());
            }
    }
};

// One target, and its controls: so many of these rows at a time.
template <class Rule, int sign, int products>
struct OneTargetTile {
    static constexpr int vectors = 2;
    // Rows at once: as many as the registers hold with the sums for each and vector, and what a root asks for.
    template <int L>
    static constexpr int rows = many_registers<L> && !Rule::rooted && products <= 3 ? 2 : 1;
    template <int L>
    static constexpr int strip = vectors * L;

    template <int L>
    struct Sums {
        typename Simd<L>::Vec sum[vectors], squares[vectors], product[products][vectors], cancelled[vectors];
    };

    // The pairs of some rows with partners that lie together or (`listed`, one row) are listed, and may be weighted.
    template <int L, int rows, bool listed, bool weighted = false>
    ALWAYS_INLINE static void run(const Job& job, const PairStream& pairs, const PairStream::Run& run, const double* f,
                                  Sums<L>& all) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        constexpr int V = vectors, strip = OneTargetTile::strip<L>, pitch = parts<Rule> * strip,
                      size = (1 + products + weighted) * rows;
        Vec zi[rows][V], ci[rows][V], a[rows][V], b[rows][V], c[products][rows][V];
        UNROLL(4)
        for (int r = 0; r < rows; ++r) UNROLL(4)
        for (int v = 0; v < V; ++v) {
            const double* fi = f + (run.i + r) * pitch + v * L;
            a[r][v] = b[r][v] = Vec{};
            for (int k = 0; k < products; ++k) c[k][r][v] = Vec{};
            zi[r][v] = S::load(fi);
            if constexpr (Rule::normalised) {  // the shift, times the stimulus's norm
                const Vec rest = job.space->own[run.i + r] + sign * zi[r][v] * zi[r][v];
                ci[r][v] = rest * S::load(fi + strip) * job.shift;
            }
        }
        const double *q = &pairs.values[run.at], *fj = f + run.j * pitch;
        const int32_t* partner = listed ? &pairs.partner[run.j] : nullptr;
        for (const double* end = q + run.count * size; q != end; q += size, fj += pitch) {
            if constexpr (listed) fj = f + *partner++ * int64_t{pitch};
            UNROLL(4)
            for (int v = 0; v < V; ++v) {
                const Vec zj = S::load(fj + v * L);
                Vec rj{};
                if constexpr (Rule::normalised) rj = S::load(fj + strip + v * L);
                UNROLL(4)
                for (int r = 0; r < rows; ++r) {
                    Vec value = Rule::template moved<sign>(q[r], zi[r][v], zj);
                    if constexpr (Rule::normalised) value = value * rj - ci[r][v];
                    if constexpr (Rule::rooted) {
                        if constexpr (Rule::guard == Guard::pair && sign < 0)
                            all.cancelled[v] = value < S::splat(least_pair(q[r])) ? S::splat(1.0) : all.cancelled[v];
                        value = S::sqrt(value > 0 ? value : Vec{}) - job.shift;
                    }
                    if constexpr (weighted) {
                        const Vec part = q[(1 + products) * rows + r] * value;
                        a[r][v] += part;
                        b[r][v] += part * value;
                    } else {
                        a[r][v] += value;
                        b[r][v] += value * value;
                    }
                    UNROLL(4)
                    for (int k = 0; k < products; ++k) c[k][r][v] += q[(1 + k) * rows + r] * value;
                }
            }
        }
        UNROLL(4)
        for (int r = 0; r < rows; ++r) UNROLL(4)
        for (int v = 0; v < V; ++v) {
            if constexpr (Rule::normalised) {
                const Vec ri = S::load(f + (run.i + r) * pitch + strip + v * L);
                all.sum[v] += a[r][v] * ri;
                all.squares[v] += b[r][v] * (ri * ri);
                for (int k = 0; k < products; ++k) all.product[k][v] += c[k][r][v] * ri;
            } else {
                all.sum[v] += a[r][v];
                all.squares[v] += b[r][v];
                for (int k = 0; k < products; ++k) all.product[k][v] += c[k][r][v];
            }
        }
    }

    // memory: factors of the strips (by stimulus), which the first pass makes, then rows of (strips, strip): what is suspect, the
    // sum, the squares, and the products of all passes. Each pass finds the same sum and squares.
    template <int L>
    ALWAYS_INLINE static void run(const Job* shared, const PairStream* pairs, int64_t first, int64_t strips,
                                  int64_t products_before, double* memory, const Context* context) {
        using S = Simd<L>;
        const Job& job = *shared;
        constexpr int V = vectors, strip = OneTargetTile::strip<L>, together = rows<L>;
        const int64_t n = job.x.stimuli, width = strips * strip, size = n * parts<Rule> * strip;
        double *const suspect = memory + strips * size, *const sums = suspect + width;
        double* const product_sums = sums + (2 + products_before) * width;
        if (products_before == 0) fill_factors<Rule, sign, L, strip>(job, first, strips, memory, suspect);
        std::fill_n(sums, 2 * width, 0.0);
        std::fill_n(product_sums, products * width, 0.0);
        for (std::size_t block = 0; block + 1 < pairs->blocks.size(); ++block)
            for (int64_t s = 0; s < strips && !context->stop(omp_thread()); ++s) {
                const double* f = memory + s * size;
                double *at = sums + s * strip, *product_at = product_sums + s * strip;
                Sums<L> all;
                for (int v = 0; v < V; ++v) {
                    all.sum[v] = S::load(at + v * L);
                    all.squares[v] = S::load(at + width + v * L);
                    for (int k = 0; k < products; ++k) all.product[k][v] = S::load(product_at + k * width + v * L);
                    all.cancelled[v] = typename S::Vec{};
                }
                for (std::size_t u = pairs->blocks[block]; u < pairs->blocks[block + 1]; ++u) {
                    const PairStream::Run& those = pairs->runs[u];
                    if (pairs->weighted)
                        run<L, 1, true, true>(job, *pairs, those, f, all);
                    else if (!pairs->partner.empty())
                        run<L, 1, true>(job, *pairs, those, f, all);
                    else if (together > 1 && those.rows == together)
                        run<L, together, false>(job, *pairs, those, f, all);
                    else
                        run<L, 1, false>(job, *pairs, those, f, all);
                }
                for (int v = 0; v < V; ++v) {
                    S::store(at + v * L, all.sum[v]);
                    S::store(at + width + v * L, all.squares[v]);
                    for (int k = 0; k < products; ++k) S::store(product_at + k * width + v * L, all.product[k][v]);
                    for (int l = 0; l < L; ++l)
                        if (all.cancelled[v][l] != 0) suspect[s * strip + v * L + l] = 1;
                }
            }
    }
};

// The alignments of a tile's candidates, from what all passes have summed up.
void put_alignments(const Job& job, int64_t target, int64_t first, int64_t width, const double* suspect) {
    const int64_t left = std::min(width, job.candidates.count - first);
    const int64_t pattern = job.targets->pattern_of(target);
    const double weight = job.targets->total(pattern);
    const double* sums = suspect + width;
    for (int64_t w = 0; w < left; ++w) {
        const Moments m{sums[w], sums[width + w], sums[2 * width + w]};
        bool trusted, enough = true;
        const double scale = std::max(job.scale[pattern], unshifted(m.sum, m.squares, job.shift, weight));
        double spread = spread_of(m.sum, m.squares, m.squares, scale, weight, job.targets->centred, trusted), explained = 0;
        for (int64_t k = 1; k <= job.targets->controls; ++k) {
            const double product = sums[(2 + k) * width + w];
            explained += product * product;
        }
        if (job.targets->controls > 0) spread = spread_left(spread, explained, m.squares, enough);
        job.put(target, first + w, m.product / spread);
        trusted = suspect[w] == 0 && trusted && !(m.sum <= job.cancel_threshold[pattern]);
        job.needs_recompute[first + w] |= !trusted ? anew : enough ? 0 : compared;
    }
}

// Many targets: pairs in chunks whose similarities stay in the second-level cache, targets packed in panels.
constexpr int64_t panel = 12, chunk = 256, strip = 16, strips = 4, block = strip * strips;
constexpr int64_t batch_bytes = 24 << 20, batch_columns = 768;

// A batch of targets, with the weight patterns that they use, and the controls under each, as further columns.
struct Panels {
    int64_t first, targets, columns;
    std::vector<int64_t> weight_column;  // by pattern, controls behind the weights; -1 where the batch has no use for it
    Buffer values;                       // [chunk][panel][pair in chunk][column in panel]

    static int64_t largest(const StandardTargets& t) {
        const int64_t fit = std::min(batch_columns, std::max(panel, batch_bytes / 8 / t.pairs / panel * panel));
        return std::min(t.weighted ? std::max<int64_t>(1, fit / (2 + t.controls)) : fit, t.count);
    }
    static int64_t padded(const StandardTargets& t) {
        const int64_t targets = largest(t), patterns = t.weighted ? std::min(targets, t.patterns) : 1;
        return (targets + patterns * (t.weighted + t.controls) + panel - 1) / panel * panel;
    }
    explicit Panels(const StandardTargets& t) : weight_column(t.patterns), values(t.pairs * padded(t)) {}

    void pack(const StandardTargets& t, int64_t from, int threads) {
        first = from;
        targets = std::min(largest(t), t.count - from);
        std::vector<const double*> column;
        for (int64_t q = 0; q < targets; ++q) column.push_back(t.row(from + q));
        std::fill(weight_column.begin(), weight_column.end(), -1);
        for (int64_t q = 0; (t.weighted || t.controls > 0) && q < targets; ++q) {
            const int64_t u = t.pattern_of(from + q);
            if (weight_column[u] >= 0) continue;
            weight_column[u] = static_cast<int64_t>(column.size());
            if (t.weighted) column.push_back(t.weights(u));
            for (int64_t k = 0; k < t.controls; ++k) column.push_back(t.control(u, k));
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
    Buffer factors;              // of the strips
    Buffer values, squares;      // [strip][pair in chunk][candidate in strip]
    Buffer products, weighings;  // [column][candidate in block]
    BlockScratch(int64_t stimuli, int64_t columns, bool weighted)
        : factors(stimuli * 2 * block),
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
    ALWAYS_INLINE static void run(const Job* shared, int64_t first, const Panels* batch, const BlockScratch* own_scratch,
                                  const Context* context) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        constexpr int V = strip / L;
        const Job& job = *shared;
        const Panels& panels = *batch;
        const BlockScratch& scratch = *own_scratch;
        const StandardTargets& targets = *job.targets;
        constexpr int pitch = parts<Rule> * strip;
        const int64_t n = job.x.stimuli, columns = panels.columns, pairs = targets.pairs;
        // Where it is nothing's root and nothing's quotient, the value is the pair's sum, and shifted before a feature moves it.
        const double shift = Rule::rooted || Rule::normalised ? 0 : job.shift;
        alignas(64) double suspect[block], sums[block] = {}, square_sums[block] = {};
        std::fill_n(scratch.products.get(), columns * block, 0.0);
        if (targets.weighted) std::fill_n(scratch.weighings.get(), columns * block, 0.0);
        const int64_t filled = std::min(strips, (job.candidates.count - first + strip - 1) / strip);
        fill_factors<Rule, sign, L, strip>(job, first, filled, scratch.factors.get(), suspect);

        int64_t i = 0;
        for (int64_t start = 0; start < pairs; start += chunk) {
            if (start / chunk % 16 == 0 && context->stop()) return;
            const int64_t length = std::min(chunk, pairs - start);
            int64_t end_row = i;
            for (int64_t s = 0; s < filled; ++s) {
                const double* f = scratch.factors.get() + s * n * pitch;
                double* values = scratch.values.get() + s * chunk * strip;
                double* squares = targets.weighted ? scratch.squares.get() + s * chunk * strip : nullptr;
                Vec sum[V], square[V], zi[V], ri[V], cancelled[V] = {};
                for (int v = 0; v < V; ++v) {
                    sum[v] = S::load(sums + s * strip + v * L);
                    square[v] = S::load(square_sums + s * strip + v * L);
                }
                int64_t row = i;
                for (int64_t p = start; p < start + length;) {
                    while (p >= row_start(row + 1, n)) ++row;
                    const int64_t stop = std::min(row_start(row + 1, n), start + length);
                    for (int v = 0; v < V; ++v) {
                        zi[v] = S::load(f + row * pitch + v * L);
                        if constexpr (Rule::normalised) ri[v] = S::load(f + row * pitch + strip + v * L);
                    }
                    // A square that is kept is not fused with its sum. Asked inside, some vectors were fused and others not.
                    const auto add_row = [&](auto kept) INLINE_LAMBDA {
                        const double* fj = f + (row + 1 + p - row_start(row, n)) * pitch;
                        for (int64_t q = p; q < stop; ++q, fj += pitch) {
                            const int64_t at = (q - start) * strip;
                            const double base = job.space->pair[q] - shift;
                            UNROLL(8)
                            for (int v = 0; v < V; ++v) {
                                Vec value = Rule::template moved<sign>(base, zi[v], S::load(fj + v * L));
                                if constexpr (Rule::normalised) value = value * (ri[v] * S::load(fj + strip + v * L)) - job.shift;
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
        for (int64_t w = 0; w < left; ++w) job.needs_recompute[first + w] |= suspect[w] != 0 ? anew : 0;
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
                    job.needs_recompute[first + w] |= !trusted || sum[w] <= job.cancel_threshold[pattern] ? anew : 0;
                    if (targets.controls == 0) continue;
                    double explained = 0;
                    for (int64_t k = 0; k < targets.controls; ++k) {
                        const double product =
                            scratch.products[(panels.weight_column[pattern] + targets.weighted + k) * block + w];
                        explained += product * product;
                    }
                    spread[w] = spread_left(spread[w], explained, squares[w], trusted);
                    job.needs_recompute[first + w] |= trusted ? 0 : compared;
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

// Strips of a tile: wide tiles spare the stream of pairs where that is long, and leave every thread some tiles.
int64_t strips_of(int64_t stimuli, int64_t candidates, int strip, int threads) {
    const int64_t widest = stimuli < 350 ? 64 : 128, share = candidates / (4 * threads);
    return std::max<int64_t>(1, std::min(widest, share) / strip);
}

// A few of the products with a target and its controls, and the tile that takes so many at once.
struct OneTargetPass {
    void (*tile)(const Job*, const PairStream*, int64_t first, int64_t strips, int64_t products_before, double*, const Context*);
    int64_t strip, products_before;
    PairStream pairs;
};

template <class Rule, int sign>
std::vector<OneTargetPass> passes_of(const Job& job, int64_t target, const Context& context) {
    const StandardTargets& targets = *job.targets;
    const double shift = Rule::rooted || Rule::normalised ? 0 : job.shift;
    std::vector<const double*> against{targets.row(target)};
    for (int64_t k = 0; k < targets.controls; ++k) against.push_back(targets.control(targets.pattern_of(target), k));
    std::vector<OneTargetPass> passes;
    const auto add = [&](auto products, int64_t before) {
        using Tile = OneTargetTile<Rule, sign, products()>;
        const auto tile = choose<Tile, const Job*, const PairStream*, int64_t, int64_t, int64_t, double*, const Context*>();
        int strip = 0, rows = 0;
        at_level([&](auto lanes) { strip = Tile::template strip<lanes()>, rows = Tile::template rows<lanes()>; });
        const auto from = against.begin() + before;
        passes.push_back({tile, strip, before, {job, target, {from, from + products()}, rows, shift, context}});
    };
    for (int64_t before = 0; before <= targets.controls; before += most_products)
        with_products(1 + targets.controls - before, [&](auto products) { add(products, before); });
    return passes;
}

// Whether targets go one after the other: one alone, or several that have no more pairs between them than there are.
bool one_by_one(const StandardTargets& targets) {
    int64_t counted = 0;
    for (int64_t t = 0; t < targets.count && counted <= targets.pairs; ++t) counted += targets.counted(t);
    return targets.count == 1 || counted <= targets.pairs;
}

template <class Rule, int sign>
void by_moments(Job& job, const Context& context) {
    const StandardTargets& targets = *job.targets;
    const int64_t n = job.x.stimuli;
    if (one_by_one(targets)) {
        std::vector<Buffer> scratch;
        for (int64_t target = 0; target < targets.count && !context.stop(0); ++target) {
            const std::vector<OneTargetPass> passes = passes_of<Rule, sign>(job, target, context);
            const int64_t strip = passes[0].strip, strips = strips_of(n, job.candidates.count, strip, context.threads);
            const int64_t width = strips * strip, factors = width * n * parts<Rule>;
            while (static_cast<int>(scratch.size()) < context.threads)
                scratch.emplace_back(factors + width * (4 + targets.controls));
            const int64_t tiles = (job.candidates.count + width - 1) / width;
            share_out(tiles, context.threads, context, [&](int64_t t, int thread) {
                double* memory = scratch[thread].get();
                for (const OneTargetPass& pass : passes)
                    if (!context.stop(thread))
                        pass.tile(&job, &pass.pairs, t * width, strips, pass.products_before, memory, &context);
                if (!context.stop(thread)) put_alignments(job, target, t * width, width, memory + factors);
                context.did(1.0 / static_cast<double>(tiles * targets.count));
            });
        }
        return;
    }
    Panels panels(targets);
    std::vector<BlockScratch> scratch;
    for (int t = 0; t < context.threads; ++t) scratch.emplace_back(n, Panels::padded(targets), targets.weighted);
    const auto tile =
        choose<ManyTargetsTile<Rule, sign>, const Job*, int64_t, const Panels*, const BlockScratch*, const Context*>();
    const int64_t tiles = (job.candidates.count + block - 1) / block;
    const double batch_tiles = static_cast<double>(tiles * ((targets.count - 1) / Panels::largest(targets) + 1));
    for (int64_t from = 0; from < targets.count && !context.stop(0); from += Panels::largest(targets)) {
        panels.pack(targets, from, context.threads);
        share_out(tiles, context.threads, context, [&](int64_t t, int thread) {
            if (!context.stop(thread)) tile(&job, t * block, &panels, &scratch[thread], &context);
            context.did(1 / batch_tiles);
        });
    }
}

template <class Rule, int sign>
void by_similarities(Job& job, Indices subset, const Context& context) {
    struct Scratch {
        Buffer z, inverse, similarities, found;  // the last two of the vectors that are looked at together
        CompareScratch compare_scratch;
        std::vector<int64_t> trusted;
        Scratch(int64_t n, int64_t pairs, int64_t together, int64_t targets, const Context& context)
            : z(n),
              inverse(n),
              similarities(together * pairs),
              found(together * targets),
              compare_scratch(n, pairs, together, &context) {}
    };
    const int64_t pairs = job.x.pairs(), count = job.targets->count, candidates = job.candidates.count;
    const int64_t together = job.targets->together(), tiles = (candidates + together - 1) / together;
    std::vector<Scratch> scratch;
    for (int t = 0; t < context.threads; ++t) scratch.emplace_back(job.x.stimuli, pairs, together, count, context);
    share_out(tiles, context.threads, context, [&](int64_t tile, int thread) {
        if (context.stop(thread)) return;
        Scratch& s = scratch[thread];
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
        context.did(1.0 / static_cast<double>(tiles));
    });
}

}  // namespace

void one_feature(const Features& x, const OneFeaturePlan& plan, const Context& context, double* out, char* needs_recompute) {
    Job job{plan.guards, x,   plan.metric,    traits_of(plan.metric).orientation, plan.sign, plan.candidates, plan.targets.of,
            plan.space,  out, needs_recompute};
    with_rule(plan.metric, [&](auto rule) {
        using Rule = decltype(rule);
        const bool adding = plan.sign > 0;
        const auto compare = [&](Job& those) {
            adding ? by_similarities<Rule, 1>(those, plan.subset, context)
                   : by_similarities<Rule, -1>(those, plan.subset, context);
        };
        if (!secateur::by_moments(job.targets->comparator)) return compare(job);
        adding ? by_moments<Rule, 1>(job, context) : by_moments<Rule, -1>(job, context);
        std::vector<int64_t> places, candidates;
        for (int64_t c = 0; c < job.candidates.count; ++c)
            if (needs_recompute[c] == compared) {
                places.push_back(c);
                candidates.push_back(job.candidates.values[c]);
            }
        std::vector<char> still(places.size());
        Job those = job;
        those.candidates = {candidates.data(), static_cast<int64_t>(candidates.size())};
        those.needs_recompute = still.data();
        if (!places.empty()) compare(those);
        for (std::size_t c = 0; c < places.size(); ++c) needs_recompute[places[c]] = still[c];
    });
}

}  // namespace secateur::cpu
