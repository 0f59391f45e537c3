#include "core/space.hpp"

#include <algorithm>
#include <cmath>

namespace secateur {

namespace {

constexpr int block = 4, widest = 8;

// The 4 x 4 sums over features between two blocks of rows; lanes run over features.
template <class Rule>
struct GramTile {
    template <int L>
    ALWAYS_INLINE static void run(const double* a, const double* b, int64_t pitch, int64_t count, double* out) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        Vec acc[block][block];
        UNROLL(4)
        for (int p = 0; p < block; ++p)
            for (int q = 0; q < block; ++q) acc[p][q] = Vec{};
        for (int64_t k = 0; k < count; k += L) {
            Vec vb[block];
            UNROLL(4)
            for (int q = 0; q < block; ++q) vb[q] = S::load(b + q * pitch + k);
            UNROLL(4)
            for (int p = 0; p < block; ++p) {
                const Vec va = S::load(a + p * pitch + k);
                UNROLL(4)
                for (int q = 0; q < block; ++q) acc[p][q] = Rule::template moved<1>(acc[p][q], va, vb[q]);
            }
        }
        for (int p = 0; p < block; ++p)
            for (int q = 0; q < block; ++q) out[p * block + q] = S::sum(acc[p][q]);
    }
};

// The mean over the subset in two passes, so that a large common mean costs no digits; a constant row's is exact.
double mean_of(const double* row, Indices subset, int64_t skip) {
    double low = std::numeric_limits<double>::infinity(), high = -low, total = 0;
    const auto count = static_cast<double>(subset.count - (skip >= 0));
    const auto each = [&](auto&& take) {
        for (int64_t s = 0; s < subset.count; ++s)
            if (s != skip) take(row[subset.values[s]]);
    };
    each([&](double x) {
        low = std::min(low, x);
        high = std::max(high, x);
        total += x;
    });
    if (!(low < high)) return count > 0 ? low : 0;
    const double mean = total / count;
    total = 0;
    each([&](double x) { total += x - mean; });
    return mean + total / count;
}

int64_t rounded(int64_t count, int64_t to) {
    return (count + to - 1) / to * to;
}

}  // namespace

SpaceBuilder::SpaceBuilder(int64_t stimuli, int threads)
    : stimuli_(stimuli), threads_(threads), sums_(parts * (stimuli * (stimuli - 1) / 2 + stimuli)) {
    for (int t = 0; t < threads; ++t) rows_.emplace_back(rounded(stimuli, block) * pitch);
}

// Rows of a panel, zeros behind the last feature.
void SpaceBuilder::pack(const Features& x, const Space& space, Indices subset, int64_t skip, int64_t from, int64_t count,
                        double* rows) const {
    const int64_t* at = subset.values + from;
    const int64_t before = std::clamp<int64_t>(skip < 0 ? count : skip - from, 0, count);  // positions before the gap
    bool in_order = before == count;
    for (int64_t k = 0; k < count && in_order; ++k) in_order = at[k] == at[0] + k;
    for (int64_t i = 0; i < rounded(stimuli_, block); ++i) {
        const double* source = x.values + std::min(i, stimuli_ - 1) * x.count;
        double* row = rows + i * pitch;
        const double mean = space.mean[std::min(i, stimuli_ - 1)];
        if (in_order) {
            for (int64_t k = 0; k < count; ++k) row[k] = source[at[0] + k] - mean;
        } else {
            for (int64_t k = 0; k < before; ++k) row[k] = source[at[k]] - mean;
            for (int64_t k = before; k < count; ++k) row[k] = source[at[k + (skip >= 0)]] - mean;
        }
        std::fill(row + count, row + rounded(count, widest), 0.0);
    }
}

void SpaceBuilder::build(const Features& x, Metric metric, Indices subset, int64_t skip, Space& space) {
    const int64_t n = stimuli_, m = subset.count - (skip >= 0), pairs = n * (n - 1) / 2, size = pairs + n;
    using Tile = void (*)(const double*, const double*, int64_t, int64_t, double*);
    Tile tile = nullptr;
    with_rule(metric, [&](auto rule) {
        tile = choose<GramTile<decltype(rule)>, const double*, const double*, int64_t, int64_t, double*>();
    });
    const bool centred = traits_of(metric).centred;
    for (int64_t i = 0; i < n; ++i) space.mean[i] = centred ? mean_of(x.values + i * x.count, subset, skip) : 0;

    const int64_t panels = (m + panel - 1) / panel, used = std::min(parts, panels);
#pragma omp parallel for schedule(dynamic) num_threads(threads_) if (threads_ > 1)
    for (int64_t part = 0; part < used; ++part) {
        double *rows = rows_[threads_ > 1 ? omp_thread() : 0].get(), *sums = sums_.get() + part * size;
        std::fill_n(sums, size, 0.0);
        for (int64_t p = part * panels / used; p < (part + 1) * panels / used; ++p) {
            const int64_t count = std::min(panel, m - p * panel);
            pack(x, space, subset, skip, p * panel, count, rows);
            for (int64_t i = 0; i < n; i += block)
                for (int64_t j = i; j < n; j += block) {
                    double out[block * block];
                    tile(rows + i * pitch, rows + j * pitch, pitch, rounded(count, widest), out);
                    for (int64_t a = i; a < std::min(i + block, n); ++a)
                        for (int64_t b = j; b < std::min(j + block, n); ++b)
                            if (a <= b) sums[a == b ? pairs + a : row_start(a, n) + b - a - 1] += out[(a - i) * block + b - j];
                }
        }
    }
    std::fill_n(space.pair.get(), pairs, 0.0);
    std::fill_n(space.own.get(), n, 0.0);
    for (int64_t part = 0; part < used; ++part) {
        const double* sums = sums_.get() + part * size;
        for (int64_t p = 0; p < pairs; ++p) space.pair[p] += sums[p];
        for (int64_t i = 0; i < n; ++i) space.own[i] += sums[pairs + i];
    }
}

}  // namespace secateur
