#include "cpu/prefixes.hpp"

#include <algorithm>
#include <cmath>

namespace secateur::cpu {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t widest = 8;

int64_t rounded(int64_t count) {
    return (count + widest - 1) / widest * widest;
}

// Rows through steps: some steps at a time, while a vector of pair sums is loaded and stored once. What becomes of the sums is
// the sink's: a tile of it takes those of each step.
template <class Rule, class Sink>
struct AdvanceRows {
    template <int L, int steps>
    ALWAYS_INLINE static void tile(const Prefixes::View& r, int64_t from, int64_t to, int64_t first, const Sink& sink) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        typename Sink::template Tile<Rule, L, steps> tile(sink, r, to, first);
        for (int64_t i = from; i < to; ++i) {
            const double *zi = r.z + first * r.stride + i, *ri = r.inverse + first * r.stride + i;
            double* pair = r.pair + r.row_at[i];
            tile.begin_row(i, ri);
            for (int64_t j = i + 1; j < r.stimuli; j += L) {
                const double *zj = zi - i + j, *rj = ri - i + j;
                Vec sum = S::load(pair + j - i - 1);
                UNROLL(8)
                for (int s = 0; s < steps; ++s) {
                    sum = Rule::template moved<1>(sum, zi[s * r.stride], S::load(zj + s * r.stride));
                    tile.take(s, i, j, sum, rj + s * r.stride);
                }
                S::store(pair + j - i - 1, sum);
            }
        }
        tile.end();
    }
    template <int L>
    ALWAYS_INLINE static void through(const Prefixes::View& r, int64_t from, int64_t to, int64_t begin, int64_t end,
                                      const Sink& sink) {
        constexpr int together = L == 8 ? 8 : 4;
        int64_t s = begin;
        for (; s + together <= end; s += together) tile<L, together>(r, from, to, s, sink);
        for (; s < end; ++s) tile<L, 1>(r, from, to, s, sink);
    }
};

struct Ignored {
    template <class Rule, int L, int steps>
    struct Tile {
        ALWAYS_INLINE Tile(const Ignored&, const Prefixes::View&, int64_t, int64_t) {}
        ALWAYS_INLINE void begin_row(int64_t, const double*) {}
        ALWAYS_INLINE void take(int, int64_t, int64_t, typename Simd<L>::Vec, const double*) {}
        ALWAYS_INLINE void end() {}
    };
};

struct Similarities {
    double* out;
    int64_t pitch;
    template <class Rule, int L, int steps>
    struct Tile {
        using S = Simd<L>;
        double* out;
        int64_t pitch, stride, n, end_at, at = 0;
        const double* ri = nullptr;
        ALWAYS_INLINE Tile(const Similarities& sink, const Prefixes::View& r, int64_t to, int64_t first)
            : out(sink.out + first * sink.pitch),
              pitch(sink.pitch),
              stride(r.stride),
              n(r.stimuli),
              end_at(row_start(to, r.stimuli)) {}
        ALWAYS_INLINE void begin_row(int64_t i, const double* inverses) {
            ri = inverses;
            at = row_start(i, n) - i - 1;
        }
        ALWAYS_INLINE void take(int s, int64_t, int64_t j, typename S::Vec value, const double* rj) {
            if constexpr (Rule::normalised) value *= ri[s * stride] * S::load(rj);
            if constexpr (Rule::rooted) value = S::sqrt(value);
            value *= Rule::orientation;
            double* to = out + s * pitch + at + j;
            if (at + j + L <= end_at) {  // lanes behind the row are those of later rows, and come after
                S::store(to, value);
            } else {
                for (int l = 0; l < L && j + l < n; ++l) to[l] = value[l];
            }
        }
        ALWAYS_INLINE void end() {}
    };
};

struct Places {
    BucketMap map;
    uint16_t* out;
    int64_t pitch;
    Nearest* nearest;
    template <class Rule, int L, int steps>
    struct Tile {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        using Ints = typename Lanes<L>::Ints;
        using Shorts = typename Lanes<L>::Shorts;
        const Places& sink;
        const int64_t first, stride;
        uint16_t* at = nullptr;
        const int64_t* row_at;
        double scaled[steps];
        Ints low[steps], high[steps];
        Vec largest[steps];
        const int grid, stretch_bits;
        const int32_t in_bucket, in_stretch;
        const Vec least, most, offset;
        ALWAYS_INLINE Tile(const Places& sink, const Prefixes::View& r, int64_t, int64_t first)
            : sink(sink),
              first(first),
              stride(r.stride),
              row_at(r.row_at),
              grid(sink.map.grid_bits()),
              stretch_bits(sink.map.bits - 3),
              in_bucket((1 << grid) - 1),
              in_stretch((1 << stretch_bits) - 1),
              least(S::splat(std::ldexp(0.5, grid))),
              most(S::splat(std::ldexp(static_cast<double>(sink.map.count()) - 0.5, grid))),
              offset(S::splat(std::ldexp(sink.map.offset, grid))) {
            UNROLL(8)
            for (int s = 0; s < steps; ++s) {
                low[s] = Ints{} + INT32_MAX;
                high[s] = Ints{} - 1;
                largest[s] = Vec{};
            }
        }
        ALWAYS_INLINE void begin_row(int64_t i, const double* ri) {
            at = sink.out + first * sink.pitch + row_at[i] - i - 1;
            for (int s = 0; s < steps; ++s) {
                scaled[s] = std::ldexp(sink.map.scale, grid);
                if constexpr (Rule::normalised) scaled[s] *= ri[s * stride];
            }
        }
        ALWAYS_INLINE void take(int s, int64_t, int64_t j, Vec value, const double* rj) {
            if constexpr (Rule::normalised) {
                value *= S::load(rj);
            } else {
                const Vec size = magnitude(value);
                largest[s] = size > largest[s] ? size : largest[s];
            }
            Vec u = value * scaled[s] + offset;
            u = u > least ? u : least;
            u = u < most ? u : most;
            const Ints place = __builtin_convertvector(u, Ints), inside = place & in_bucket;
            low[s] = inside < low[s] ? inside : low[s];
            high[s] = inside > high[s] ? inside : high[s];
            const Ints bucket = (((place >> grid) & in_stretch) << 3) | (place >> (grid + stretch_bits));
            const auto shorts = __builtin_convertvector(bucket, Shorts);
            std::memcpy(at + s * sink.pitch + j, &shorts, sizeof shorts);
        }
        ALWAYS_INLINE void end() {
            for (int s = 0; s < steps; ++s) {
                Nearest found;
                for (int l = 0; l < L; ++l) found.take({low[s][l], high[s][l], largest[s][l]});
                sink.nearest[first + s].take(found);
            }
        }
    };
};

template <class Rule>
struct ValuesOfRows {
    template <int L>
    ALWAYS_INLINE static void run(const Prefixes::View* view, int64_t from, int64_t to, int64_t begin, int64_t end, double* out,
                                  int64_t pitch) {
        AdvanceRows<Rule, Similarities>::template through<L>(*view, from, to, begin, end, {out, pitch});
    }
};

template <class Rule>
struct BucketsOfRows {
    template <int L>
    ALWAYS_INLINE static void run(const Prefixes::View* view, int64_t from, int64_t to, int64_t begin, int64_t end,
                                  const BucketMap* map, uint16_t* out, Nearest* nearest) {
        AdvanceRows<Rule, Places>::template through<L>(*view, from, to, begin, end,
                                                       {*map, out, view->row_at[view->stimuli], nearest});
    }
};

template <class Rule>
struct SumsOfRows {
    template <int L>
    ALWAYS_INLINE static void run(const Prefixes::View* view, int64_t from, int64_t to, int64_t begin, int64_t end) {
        AdvanceRows<Rule, Ignored>::template through<L>(*view, from, to, begin, end, {});
    }
};

}  // namespace

std::vector<int64_t> row_shares(int64_t stimuli, int64_t shares) {
    const int64_t pairs = stimuli * (stimuli - 1) / 2;
    std::vector<int64_t> starts;
    for (int64_t i = 0; i < stimuli; ++i)
        if (row_start(i, stimuli) * shares >= static_cast<int64_t>(starts.size()) * pairs) starts.push_back(i);
    starts.push_back(stimuli);
    return starts;
}

template <class Rule>
void Prefixes::prepare_block(Prefixes& own, const Columns& x, const int64_t* order, int64_t first, int64_t count, int64_t from) {
    double sum[block], mean[block], centre[block];
    const auto lanes = static_cast<int>(std::min(block, own.stimuli_ - from));
    for (int l = 0; l < block; ++l) {
        sum[l] = own.own_[from + l];
        mean[l] = own.mean_[from + l];
        centre[l] = own.centre_[from + l];
    }
    for (int64_t s = 0; s < count; ++s) {
        const double* column = x.values + from * x.by_stimulus + order[first + s] * x.by_feature;
        double *z = &own.z_[s * own.stride_ + from], *inverse = &own.inverse_[s * own.stride_ + from];
        double now[block] = {};
        for (int l = 0; l < lanes; ++l) now[l] = column[l * x.by_stimulus] - centre[l];
        if constexpr (Rule::centred) {
            const auto before = static_cast<double>(first + s);
            const double weight = std::sqrt(centring_weight(before, 1));
#pragma omp simd
            for (int l = 0; l < block; ++l) {
                const double gap = now[l] - mean[l];
                now[l] = gap * weight;
                mean[l] += gap / (before + 1);
            }
        }
        if constexpr (Rule::normalised) {
            double* owns = &own.owns_[s * own.stride_ + from];
#pragma omp simd
            for (int l = 0; l < block; ++l) {
                sum[l] += now[l] * now[l];
                owns[l] = sum[l];
                const double root = std::sqrt(sum[l] > 0 ? sum[l] : 1.0);
                inverse[l] = sum[l] > 0 ? 1 / root : nan;
            }
        }
        for (int l = 0; l < block; ++l) z[l] = l < lanes ? now[l] : nan;
    }
    for (int l = 0; l < block; ++l) {
        own.own_[from + l] = sum[l];
        own.mean_[from + l] = mean[l];
    }
}

// A row's last vector reaches up to a vector behind the last stimulus. There all is NaN.
Prefixes::Prefixes(int64_t stimuli, Metric metric, int64_t most_steps)
    : stimuli_(stimuli),
      stride_(rounded(stimuli) + widest),
      centred_(traits_of(metric).centred),
      normalised_(traits_of(metric).normalised),
      row_at_(stimuli + 1),
      own_(stride_, 0.0),
      mean_(stride_, 0.0),
      centre_(stride_, 0.0),
      z_(most_steps * stride_, nan),
      inverse_(most_steps * stride_, nan),
      owns_(normalised_ ? most_steps * stride_ : 0) {
    for (int64_t i = 0; i < stimuli; ++i) row_at_[i + 1] = row_at_[i] + rounded(stimuli - i - 1);
    pair_ = Buffer(padded_pairs());
    with_rule(metric, [&](auto rule) {
        using Rule = decltype(rule);
        values_ = choose<ValuesOfRows<Rule>, const View*, int64_t, int64_t, int64_t, int64_t, double*, int64_t>();
        buckets_ =
            choose<BucketsOfRows<Rule>, const View*, int64_t, int64_t, int64_t, int64_t, const BucketMap*, uint16_t*, Nearest*>();
        sums_ = choose<SumsOfRows<Rule>, const View*, int64_t, int64_t, int64_t, int64_t>();
        prepare_ = &prepare_block<Rule>;
    });
}

void Prefixes::begin(const Columns& x, const int64_t* order) {
    std::fill_n(pair_.get(), padded_pairs(), 0.0);
    std::fill_n(own_.get(), stride_, 0.0);
    std::fill_n(mean_.get(), stride_, 0.0);
    // Where centred: the first feature's values, taken from all, for their digits.
    for (int64_t i = 0; centred_ && i < stimuli_; ++i) centre_[i] = x.values[i * x.by_stimulus + order[0] * x.by_feature];
}

void Prefixes::prepare(const Columns& x, const int64_t* order, int64_t first, int64_t count, int64_t at_block) {
    prepare_(*this, x, order, first, count, at_block * block);
}

void Prefixes::values(int64_t from, int64_t to, int64_t begin, int64_t end, double* out, int64_t pitch) const {
    const View own = view();
    values_(&own, from, to, begin, end, out, pitch);
}

void Prefixes::buckets(int64_t from, int64_t to, int64_t begin, int64_t end, const BucketMap& map, uint16_t* out,
                       Nearest* nearest) const {
    const View own = view();
    buckets_(&own, from, to, begin, end, &map, out, nearest);
}

void Prefixes::sums(int64_t from, int64_t to, int64_t begin, int64_t end) const {
    const View own = view();
    sums_(&own, from, to, begin, end);
}

void Prefixes::sample(int64_t count, std::vector<double>& out) const {
    out.clear();
    const int64_t pairs = stimuli_ * (stimuli_ - 1) / 2, step = std::max<int64_t>(1, pairs / count);
    int64_t next = 0;  // in packed order
    for (int64_t i = 0; i < stimuli_; ++i)
        for (const int64_t start = row_start(i, stimuli_); next < start + stimuli_ - i - 1; next += step) {
            const double sum = pair_[row_at_[i] + next - start];
            const double value = normalised_ ? sum * (inverse_[i] * inverse_[i + 1 + next - start]) : sum;
            if (std::isfinite(value)) out.push_back(value);
        }
}

void Prefixes::keep(double* out) const {
    out = std::copy_n(pair_.get(), padded_pairs(), out);
    out = std::copy_n(own_.get(), stride_, out);
    std::copy_n(mean_.get(), stride_, out);
}

void Prefixes::come_back(const double* kept) {
    std::copy_n(kept, padded_pairs(), pair_.get());
    std::copy_n(kept + padded_pairs(), stride_, own_.get());
    std::copy_n(kept + padded_pairs() + stride_, stride_, mean_.get());
}

}  // namespace secateur::cpu
