#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "core/space.hpp"
#include "cpu/cpu.hpp"

// Blocks of 8 time points, a cache line of the recording, are dealt to threads. A block is turned once, so that a time's
// patterns lie with the stimuli side by side; from there on everything is one product, left' right, of panels with the
// sensors along their rows: the patterns with themselves, and the whitening with the patterns.
namespace secateur::cpu {

namespace {

constexpr int64_t together = 8;  // time points
constexpr int64_t ahead = 24;    // sensors between asking for a line and its use: each lies on a page of its own
constexpr int64_t wide = 24;     // panels are padded to this: three vectors of the widest instruction set, and the rows of a tile

int64_t padded(int64_t count) {
    return (count + wide - 1) / wide * wide;
}

struct Job {
    const Recording* recording;
    Dissimilarity metric;
    Indices times;
    const double* whitening;     // (sensors, padded(rank)), or nullptr
    int64_t rank, stride;        // padded(rank); padded(stimuli)
    std::vector<int64_t> first;  // (stride of the whitening / tile rows): where a tile's columns begin to be not zero
    double* out;
    std::atomic<bool>* finite;
    bool crossed() const { return traits_of(metric).crossed; }
    bool correlation() const { return metric == Dissimilarity::correlation || metric == Dissimilarity::crossed_correlation; }
    int64_t rows() const { return whitening ? rank : recording->sensors; }
    int64_t panel() const { return recording->sensors * stride; }
};

// One thread's memory.
struct Bench {
    Buffer turned, whole, white, product;
    explicit Bench(const Job& job)
        : turned(together * job.panel()),                                 // (time, sensor, stimulus)
          whole(job.crossed() ? together * job.rows() * job.stride : 0),  // sums over splits
          white(job.whitening ? padded(job.rank) * job.stride : 0),
          product((job.crossed() ? together : 1) * job.stride * job.stride) {}
};

struct Movie {
    // out (i, j) += or -= sum over rows k >= from of left[k, i] right[k, j], for a tile of R x 3 L.
    template <int L, int R, bool minus>
    ALWAYS_INLINE static void tile(const double* left, int64_t left_stride, const double* right, int64_t right_stride,
                                   int64_t rows, double* out, int64_t out_stride) {
        using S = Simd<L>;
        typename S::Vec acc[R][3];
        UNROLL(8)
        for (int r = 0; r < R; ++r) UNROLL(3)
        for (int c = 0; c < 3; ++c) acc[r][c] = S::load(out + r * out_stride + c * L);
        for (int64_t k = 0; k < rows; ++k) {
            const double *a = left + k * left_stride, *b = right + k * right_stride;
            const typename S::Vec b0 = S::load(b), b1 = S::load(b + L), b2 = S::load(b + 2 * L);
            UNROLL(8)
            for (int r = 0; r < R; ++r) {
                const double factor = minus ? -a[r] : a[r];
                acc[r][0] += factor * b0;
                acc[r][1] += factor * b1;
                acc[r][2] += factor * b2;
            }
        }
        UNROLL(8)
        for (int r = 0; r < R; ++r) UNROLL(3)
        for (int c = 0; c < 3; ++c) S::store(out + r * out_stride + c * L, acc[r][c]);
    }

    template <int L>
    static constexpr int tile_rows = L == 8 ? 8 : 4;

    // product (stimuli, stimuli) += or -= panel' panel, upper triangle and what shares its tiles.
    template <int L, bool minus>
    ALWAYS_INLINE static void gram(const double* panel, int64_t rows, int64_t stride, double* product) {
        constexpr int R = tile_rows<L>;
        for (int64_t j = 0; j < stride; j += 3 * L)
            for (int64_t i = 0; i < j + 3 * L; i += R)
                tile<L, R, minus>(panel + i, stride, panel + j, stride, rows, product + i * stride + j, stride);
    }

    // white (rank, stimuli) = whitening' panel.
    template <int L>
    ALWAYS_INLINE static void whiten(const Job& job, const double* panel, double* white) {
        constexpr int R = tile_rows<L>;
        const int64_t sensors = job.recording->sensors, ranks = padded(job.rank);
        std::fill_n(white, ranks * job.stride, 0.0);
        for (int64_t j = 0; j < job.stride; j += 3 * L)
            for (int64_t r = 0; r < ranks; r += R) {
                const int64_t from = job.first[r];
                tile<L, R, false>(job.whitening + from * ranks + r, ranks, panel + from * job.stride + j, job.stride,
                                  sensors - from, white + r * job.stride + j, job.stride);
            }
    }

    // Turns `count` time points of one split: (stimulus, sensor, time) -> (time, sensor, stimulus). False where not finite.
    template <int L, class T>
    ALWAYS_INLINE static bool turn(const Job& job, const T* values, int64_t split, const int64_t* at, int64_t count,
                                   double* turned) {
        using S = Simd<L>;
        const Recording& x = *job.recording;
        typename S::Vec doubt{};
        const bool in_line = x.steps[3] == 1 && count == together && at[together - 1] == at[0] + together - 1;
        for (int64_t j = 0; j < job.stride; j += L) {
            const T* rows[L];
            for (int l = 0; l < L; ++l) rows[l] = values + split * x.steps[0] + std::min(j + l, x.stimuli - 1) * x.steps[1];
            const int64_t blank = std::clamp<int64_t>(j + L - x.stimuli, 0, L);  // lanes behind the last stimulus
            for (int64_t c = 0; c < x.sensors; ++c) {
                double* to = turned + c * job.stride + j;
                if (in_line) {
                    for (int l = 0; l < L; ++l) __builtin_prefetch(rows[l] + (c + ahead) * x.steps[2] + at[0]);
                    UNROLL(4)
                    for (int t = 0; t < together; t += L) {
                        typename S::Vec v[L];
                        UNROLL(8)
                        for (int l = 0; l < L; ++l) v[l] = S::load(rows[l] + c * x.steps[2] + at[0] + t);
                        UNROLL(8)
                        for (int l = 0; l < L; ++l) doubt += v[l] * 0.0;
                        S::transpose(v);
                        UNROLL(8)
                        for (int l = 0; l < L; ++l) S::store(to + (t + l) * job.panel(), v[l]);
                    }
                } else {
                    for (int64_t t = 0; t < count; ++t) {
                        typename S::Vec v;
                        for (int l = 0; l < L; ++l) v[l] = static_cast<double>(rows[l][c * x.steps[2] + at[t] * x.steps[3]]);
                        doubt += v * 0.0;
                        S::store(to + t * job.panel(), v);
                    }
                }
                for (int64_t t = 0; blank && t < count; ++t) std::fill_n(to + t * job.panel() + L - blank, blank, 0.0);
            }
        }
        return S::sum(doubt) == 0;
    }

    // Correlations: patterns centred over sensors, of norm 1; one constant over sensors has no direction: NaN.
    template <int L>
    ALWAYS_INLINE static void norm(const Job& job, double* panel) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        const Recording& x = *job.recording;
        for (int64_t j = 0; j < job.stride; j += L) {
            Vec total{}, square{}, raw{};
            for (int64_t c = 0; c < x.sensors; ++c) {
                const Vec v = S::load(panel + c * job.stride + j);
                total += v;
                raw += v * v;
            }
            const Vec mean = total / static_cast<double>(x.sensors);
            for (int64_t c = 0; c < x.sensors; ++c) {
                const Vec v = S::load(panel + c * job.stride + j) - mean;
                square += v * v;
            }
            Vec inverse;
            for (int l = 0; l < L; ++l) {
                const bool constant = !(std::sqrt(square[l]) > constant_share * std::sqrt(raw[l]));
                inverse[l] = j + l >= x.stimuli ? 0
                             : constant         ? std::numeric_limits<double>::quiet_NaN()
                                                : 1 / std::sqrt(square[l]);
            }
            for (int64_t c = 0; c < x.sensors; ++c) {
                double* at = panel + c * job.stride + j;
                S::store(at, (S::load(at) - mean) * inverse);
            }
        }
    }

    // Distances: every sensor centred over stimuli, which changes none of them and keeps their digits.
    template <int L>
    ALWAYS_INLINE static void centre(const Job& job, double* panel) {
        using S = Simd<L>;
        const Recording& x = *job.recording;
        for (int64_t c = 0; c < x.sensors; ++c) {
            double* row = panel + c * job.stride;
            typename S::Vec total{};
            for (int64_t j = 0; j < job.stride; j += L) total += S::load(row + j);
            const double mean = S::sum(total) / static_cast<double>(x.stimuli);
            for (int64_t j = 0; j < x.stimuli; ++j) row[j] -= mean;
        }
    }

    template <int L>
    ALWAYS_INLINE static void add(const double* from, int64_t count, double* to) {
        using S = Simd<L>;
        for (int64_t k = 0; k < count; k += L) S::store(to + k, S::load(to + k) + S::load(from + k));
    }

    // product -> dissimilarities (pairs).
    ALWAYS_INLINE static void finish(const Job& job, const double* product, double* out) {
        const Recording& x = *job.recording;
        const double share = job.crossed() ? 1 / static_cast<double>(x.splits * (x.splits - 1)) : 1;
        if (job.correlation()) {
            for (int64_t i = 0; i < x.stimuli; ++i) {
                const double* row = product + i * job.stride;
                for (int64_t j = i + 1; j < x.stimuli; ++j) *out++ = 1 - row[j] * share;
            }
            return;
        }
        const double each = share / static_cast<double>(x.sensors);
        for (int64_t i = 0; i < x.stimuli; ++i) {
            const double *row = product + i * job.stride, own = row[i];
            for (int64_t j = i + 1; j < x.stimuli; ++j) {
                const double squared = (own + product[j * job.stride + j] - 2 * row[j]) * each;
                *out++ = job.crossed() || squared > 0 ? squared : 0;
            }
        }
    }

    // One block of time points; outputs (time, pair) from `out` on.
    template <int L>
    ALWAYS_INLINE static void run(const Job* task, Bench* bench, int64_t block) {
        const Job& job = *task;
        const Recording& x = *job.recording;
        const int64_t begin = block * together, count = std::min(together, job.times.count - begin);
        const int64_t pairs = x.stimuli * (x.stimuli - 1) / 2, panel = job.rows() * job.stride, square = job.stride * job.stride;
        if (job.crossed()) {
            std::fill_n(bench->whole.get(), together * panel, 0.0);
            std::fill_n(bench->product.get(), together * square, 0.0);
        }
        for (int64_t split = 0; split < x.splits; ++split) {
            const bool finite = x.single ? turn<L>(job, static_cast<const float*>(x.values), split, job.times.values + begin,
                                                   count, bench->turned.get())
                                         : turn<L>(job, static_cast<const double*>(x.values), split, job.times.values + begin,
                                                   count, bench->turned.get());
            if (!finite) {
                *job.finite = false;
                return;
            }
            for (int64_t t = 0; t < count; ++t) {
                double* patterns = bench->turned.get() + t * job.panel();
                if (job.correlation())
                    norm<L>(job, patterns);
                else
                    centre<L>(job, patterns);
                if (job.whitening) {
                    whiten<L>(job, patterns, bench->white.get());
                    patterns = bench->white.get();
                }
                if (job.crossed()) {
                    gram<L, true>(patterns, job.rows(), job.stride, bench->product.get() + t * square);
                    add<L>(patterns, panel, bench->whole.get() + t * panel);
                } else {
                    std::fill_n(bench->product.get(), square, 0.0);
                    gram<L, false>(patterns, job.rows(), job.stride, bench->product.get());
                    finish(job, bench->product.get(), job.out + (begin + t) * pairs);
                }
            }
        }
        for (int64_t t = 0; job.crossed() && t < count; ++t) {
            double* product = bench->product.get() + t * square;
            gram<L, false>(bench->whole.get() + t * panel, job.rows(), job.stride, product);
            finish(job, product, job.out + (begin + t) * pairs);
        }
    }
};

}  // namespace

bool rdm_movie(const Recording& recording, Dissimilarity metric, const double* whitening, int64_t rank, Indices times,
               const Context& context, double* out) {
    Buffer white;
    std::vector<int64_t> first;
    if (whitening) {
        const int64_t ranks = padded(rank);
        white = Buffer(recording.sensors * ranks, 0.0);
        for (int64_t c = 0; c < recording.sensors; ++c) std::copy_n(whitening + c * rank, rank, &white[c * ranks]);
        first.assign(ranks, recording.sensors);
        for (int64_t c = recording.sensors - 1; c >= 0; --c)
            for (int64_t r = 0; r < rank; ++r)
                if (white[c * ranks + r] != 0)
                    for (int64_t tile = r / 8 * 8; tile <= r; ++tile) first[tile] = c;
    }
    std::atomic<bool> finite{true};
    const Job job{&recording, metric, times,  whitening ? white.get() : nullptr, rank, padded(recording.stimuli),
                  first,      out,    &finite};
    const int64_t blocks = (times.count + together - 1) / together;
    const int threads = static_cast<int>(std::min<int64_t>(context.threads, blocks));
    std::vector<Bench> benches;
    for (int t = 0; t < threads; ++t) benches.emplace_back(job);
    const auto run = choose<Movie, const Job*, Bench*, int64_t>();
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
    for (int64_t block = 0; block < blocks; ++block)
        if (finite && !context.stop(omp_thread())) run(&job, &benches[omp_thread()], block);
    context.throw_if_stopped();
    return finite;
}

}  // namespace secateur::cpu
