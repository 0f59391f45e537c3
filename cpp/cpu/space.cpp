#include "space.hpp"

#include <algorithm>
#include <cmath>

namespace secateur::cpu {

namespace {

constexpr int block = 4;

// The 4 x 4 sums over features between two blocks of rows; lanes run over features.
template <bool difference>
struct GramTile {
    template <int L>
    ALWAYS_INLINE static void run(const double* const* a, const double* const* b, int64_t count, double* out) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        Vec acc[block][block] = {};
        int64_t k = 0;
        for (; k + L <= count; k += L) {
            Vec vb[block];
#pragma GCC unroll 4
            for (int q = 0; q < block; ++q) vb[q] = S::load(b[q] + k);
#pragma GCC unroll 4
            for (int p = 0; p < block; ++p) {
                const Vec va = S::load(a[p] + k);
#pragma GCC unroll 4
                for (int q = 0; q < block; ++q) {
                    if constexpr (difference) {
                        const Vec gap = va - vb[q];
                        acc[p][q] += gap * gap;
                    } else {
                        acc[p][q] += va * vb[q];
                    }
                }
            }
        }
        for (int p = 0; p < block; ++p)
            for (int q = 0; q < block; ++q) {
                double total = S::sum(acc[p][q]);
                for (int64_t t = k; t < count; ++t) {
                    const double gap = a[p][t] - b[q][t];
                    total += difference ? gap * gap : a[p][t] * b[q][t];
                }
                out[p * block + q] = total;
            }
    }
};

void gram(const double* rows, int64_t stride, int64_t n, int64_t count, bool difference, Space& space, int threads) {
    using Args = void (*)(const double* const*, const double* const*, int64_t, double*);
    const Args tile = difference ? choose<GramTile<true>, const double* const*, const double* const*, int64_t, double*>()
                                 : choose<GramTile<false>, const double* const*, const double* const*, int64_t, double*>();
    const int64_t blocks = (n + block - 1) / block;
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
    for (int64_t bi = 0; bi < blocks; ++bi) {
        const double* a[block];
        const double* b[block];
        double out[block * block];
        for (int p = 0; p < block; ++p) a[p] = rows + std::min(bi * block + p, n - 1) * stride;
        for (int64_t bj = bi; bj < blocks; ++bj) {
            for (int q = 0; q < block; ++q) b[q] = rows + std::min(bj * block + q, n - 1) * stride;
            tile(a, b, count, out);
            for (int p = 0; p < block; ++p)
                for (int q = 0; q < block; ++q) {
                    const int64_t i = bi * block + p, j = bj * block + q;
                    if (j >= n || i > j) continue;
                    if (i == j)
                        space.own[i] = out[p * block + q];
                    else
                        space.pair[row_start(i, n) + j - i - 1] = out[p * block + q];
                }
        }
    }
}

// Two passes, so that a large common mean costs no digits. A constant row becomes exact zeros.
double centre(double* row, int64_t count) {
    if (count == 0) return 0.0;
    const auto [low, high] = std::minmax_element(row, row + count);
    double mean = *low;
    if (*low != *high) {
        double total = 0;
        for (int64_t k = 0; k < count; ++k) total += row[k];
        mean = total / count;
        total = 0;
        for (int64_t k = 0; k < count; ++k) total += row[k] - mean;
        mean += total / count;
    }
    for (int64_t k = 0; k < count; ++k) row[k] -= mean;
    return mean;
}

}  // namespace

void build_space(const Features& x, Metric metric, Indices subset, int64_t skip, double* rows, Space& space, int threads) {
    const int64_t n = x.stimuli, d = x.count, m = subset.count - (skip >= 0);
    const bool whole = skip < 0 && m == d && metric != Metric::correlation;  // then X itself is in order
    if (!whole) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
        for (int64_t i = 0; i < n; ++i) {
            const double* from = x.values + i * d;
            double* row = rows + i * m;
            for (int64_t s = 0, k = 0; s < subset.count; ++s)
                if (s != skip) row[k++] = from[subset.values[s]];
            space.mean[i] = metric == Metric::correlation ? centre(row, m) : 0.0;
        }
    } else {
        std::fill_n(space.mean.get(), n, 0.0);
    }
    gram(whole ? x.values : rows, whole ? d : m, n, m, is_distance(metric), space, threads);
}

void finish(const Space& space, int64_t n, Metric metric, double* out) {
    const int64_t pairs = n * (n - 1) / 2;
    if (is_angular(metric)) {
        const Buffer& inverse = space.inverse;
        for (int64_t i = 0; i < n; ++i)
            inverse[i] = space.own[i] > 0 ? 1 / std::sqrt(space.own[i]) : std::numeric_limits<double>::quiet_NaN();
        for (int64_t i = 0, p = 0; i < n; ++i)
            for (int64_t j = i + 1; j < n; ++j, ++p) out[p] = space.pair[p] * (inverse[i] * inverse[j]);
    } else if (metric == Metric::dot) {
        std::copy_n(space.pair.get(), pairs, out);
    } else {
        for (int64_t p = 0; p < pairs; ++p) out[p] = metric == Metric::euclidean ? -std::sqrt(space.pair[p]) : -space.pair[p];
    }
}

void similarity(const Features& x, Metric metric, Indices subset, const Context& context, double* out) {
    SpaceScratch scratch(x.stimuli, subset.count);
    build_space(x, metric, subset, -1, scratch.rows.get(), scratch.space, context.threads);
    finish(scratch.space, x.stimuli, metric, out);
}

}  // namespace secateur::cpu
