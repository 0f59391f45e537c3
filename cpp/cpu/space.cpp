#include "core/space.hpp"

#include <algorithm>
#include <cmath>

#include "cpu/packing.hpp"

namespace secateur {

namespace {

// Sums over the features of a panel by outer products: lanes run over stimuli, so that no sum crosses them. X lies packed by
// strips of stimuli, [strip][feature][stimulus in strip]; a tile is some rows of one strip by all columns of another, those
// before the diagonal left out.
template <int L>
struct Tiling {
    static constexpr int rows = L == 8 ? 8 : 4, vectors = L > 2 ? 3 : many_registers<L> ? 4 : 2;
    static constexpr int strip = vectors * L;
    static_assert(strip % rows == 0 && rows % L == 0, "a tile's rows are in one strip, and begin where a vector does");
};

// A panel's sums of one tile, put or (`more`) added to those of the panels before it.
template <class Rule>
struct GramTile {
    // The vectors from `skipped` on.
    template <int L, int skipped>
    ALWAYS_INLINE static void sums(const double* a, const double* b, int64_t count, double* out) {
        using S = Simd<L>;
        constexpr int R = Tiling<L>::rows, V = Tiling<L>::vectors - skipped, strip = Tiling<L>::strip;
        typename S::Vec acc[R][V];
        UNROLL(8)
        for (int r = 0; r < R; ++r) UNROLL(4)
        for (int v = 0; v < V; ++v) acc[r][v] = typename S::Vec{};
        for (int64_t k = 0; k < count; ++k, a += strip, b += strip) {
            typename S::Vec column[V];
            UNROLL(4)
            for (int v = 0; v < V; ++v) column[v] = S::load(b + (skipped + v) * L);
            UNROLL(8)
            for (int r = 0; r < R; ++r) {
                const double row = a[r];  // broadcast as it is loaded
                UNROLL(4)
                for (int v = 0; v < V; ++v) acc[r][v] = Rule::template moved<1>(acc[r][v], row, column[v]);
            }
        }
        UNROLL(8)
        for (int r = 0; r < R; ++r) UNROLL(4)
        for (int v = 0; v < V; ++v) S::store(out + r * strip + (skipped + v) * L, acc[r][v]);
    }

    template <int L, int known>
    ALWAYS_INLINE static void sums_behind(int64_t skipped, const double* a, const double* b, int64_t count, double* out) {
        if constexpr (known + 1 < Tiling<L>::vectors)
            if (skipped > known) return sums_behind<L, known + 1>(skipped, a, b, count, out);
        sums<L, known>(a, b, count, out);
    }

    template <int L>
    ALWAYS_INLINE static void run(const double* panel, int64_t pitch, int64_t count, int64_t i, int64_t j, int64_t n, bool more,
                                  double* pair, double* own) {
        using S = Simd<L>;
        constexpr int R = Tiling<L>::rows, strip = Tiling<L>::strip;
        const double *a = panel + i / strip * pitch + i % strip, *b = panel + j / strip * pitch;
        alignas(64) double out[R * strip];
        const int64_t skipped = i > j ? (i - j) / L : 0;
        sums_behind<L, 0>(skipped, a, b, count, out);
        const bool inside = i + R <= j && j + strip <= n;
        for (int r = 0; r < R && i + r < n; ++r) {
            double* to = pair + row_start(i + r, n) + j - (i + r) - 1;  // of column j
            if (inside) {
                UNROLL(4)
                for (int c = 0; c < strip; c += L) {
                    const auto sum = S::load(out + r * strip + c);
                    S::store(to + c, more ? S::load(to + c) + sum : sum);
                }
            } else {
                for (int64_t c = std::max<int64_t>(0, i + r - j); c < std::min<int64_t>(strip, n - j); ++c) {
                    double* at = j + c == i + r ? own + i + r : to + c;
                    *at = more ? *at + out[r * strip + c] : out[r * strip + c];
                }
            }
        }
    }
};

struct Pack {
    template <int L>
    ALWAYS_INLINE static void run(const Features* x, const double* mean, const int64_t* listed, int64_t at, int64_t count,
                                  int64_t first, double* to) {
        cpu::pack_strip<L, Tiling<L>::strip>(*x, mean, listed, at, count, first, to);
    }
};

// The mean over the features in two passes, so that a large common mean costs no digits; a constant row's is exact.
double mean_of(const double* row, const std::vector<int64_t>& features) {
    static constexpr int lanes = 8;
    const auto count = static_cast<int64_t>(features.size());
    if (count == 0) return 0;
    bool varies = false;
    double mean = 0;
    for (int pass = 0; pass < 2; ++pass) {
        double total[lanes] = {};
        const auto take = [&](int l, double x) {
            total[l] += x - mean;
            varies |= x != row[features[0]];
        };
        int64_t s = 0;
        for (; s + lanes <= count; s += lanes)
            for (int l = 0; l < lanes; ++l) take(l, row[features[s + l]]);
        for (; s < count; ++s) take(0, row[features[s]]);
        if (!varies) return row[features[0]];
        double sum = 0;
        for (const double part : total) sum += part;
        mean += sum / static_cast<double>(count);
    }
    return mean;
}

int64_t rounded(int64_t count, int64_t to) {
    return (count + to - 1) / to * to;
}

int strip_at_level() {
    int strip = 0;
    at_level([&](auto lanes) { strip = Tiling<lanes()>::strip; });
    return strip;
}

int rows_at_level() {
    int rows = 0;
    at_level([&](auto lanes) { rows = Tiling<lanes()>::rows; });
    return rows;
}

}  // namespace

SpaceBuilder::SpaceBuilder(int64_t stimuli, int threads)
    : stimuli_(stimuli),
      threads_(threads),
      strip_(strip_at_level()),
      rows_(rows_at_level()),
      strips_(rounded(stimuli, strip_) / strip_),
      together_(threads > 1 ? std::max<int64_t>(1, most_packed / (strips_ * strip_ * panel)) : 1),
      packed_(together_ * strips_ * strip_ * panel) {
    for (int64_t s = 0; s < strips_; ++s)
        for (int64_t i = 0; i < std::min(stimuli, (s + 1) * strip_); i += rows_) tiles_.push_back({i, s * strip_});
}

void SpaceBuilder::build(const Features& x, Metric metric, Indices subset, int64_t skip, Space& space, const Context* context) {
    const int64_t n = stimuli_, pitch = panel * strip_, size = strips_ * pitch;
    features_.assign(subset.values, subset.values + subset.count);
    if (skip >= 0) features_.erase(features_.begin() + skip);
    const auto m = static_cast<int64_t>(features_.size()), panels = (m + panel - 1) / panel;
    using Tile = void (*)(const double*, int64_t, int64_t, int64_t, int64_t, int64_t, bool, double*, double*);
    Tile tile = nullptr;
    with_rule(metric, [&](auto rule) {
        tile = choose<GramTile<decltype(rule)>, const double*, int64_t, int64_t, int64_t, int64_t, int64_t, bool, double*,
                      double*>();
    });
    const auto pack_strip = choose<Pack, const Features*, const double*, const int64_t*, int64_t, int64_t, int64_t, double*>();
    const auto length = [&](int64_t p) { return std::min(panel, m - p * panel); };
    const auto pack = [&](int64_t p, int64_t place, int64_t s) {
        const int64_t *at = &features_[p * panel], count = length(p);
        bool in_order = true;
        for (int64_t k = 1; k < count && in_order; ++k) in_order = at[k] == at[0] + k;
        pack_strip(&x, space.mean.get(), in_order ? nullptr : at, at[0], count, s * strip_, &packed_[place * size + s * pitch]);
    };
    const bool centred = traits_of(metric).centred;
    const auto tiles = static_cast<int64_t>(tiles_.size());
    if (m == 0) {
        std::fill_n(space.pair.get(), n * (n - 1) / 2, 0.0);
        std::fill_n(space.own.get(), n, 0.0);
    }
    // Panels are packed some at a time: threads meet in between, which costs where they are more than the free processors.
    const auto pack_some = [&](int64_t first, int64_t s) {
        for (int64_t i = s * strip_; centred && first == 0 && i < std::min(n, (s + 1) * strip_); ++i)
            space.mean[i] = mean_of(x.values + i * x.count, features_);
        for (int64_t p = first; p < std::min(first + together_, panels); ++p) pack(p, p - first, s);
    };
    if (!centred || m == 0) std::fill_n(space.mean.get(), n, 0.0);
#pragma omp parallel num_threads(threads_) if (threads_ > 1)
    {
        for (int64_t first = 0; first < panels; first += together_) {
#pragma omp for schedule(dynamic)
            for (int64_t s = 0; s < strips_; ++s) pack_some(first, s);
            for (int64_t p = first; p < std::min(first + together_, panels); ++p) {
#pragma omp for schedule(static, 2) nowait  // a tile is one thread's in all panels, which it needs not wait for
                for (int64_t t = 0; t < tiles; ++t)
                    if (!context || !context->stop())
                        tile(&packed_[(p - first) * size], pitch, length(p), tiles_[t].i, tiles_[t].j, n, p > 0, space.pair.get(),
                             space.own.get());
            }
#pragma omp barrier
        }
    }
}

}  // namespace secateur
