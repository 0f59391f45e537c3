// One feature comes or goes, for tiles of candidates.
//   factors   what a candidate adds to each stimulus: (stimuli, candidates), twice
//   moments   lanes over candidates, warps over rows of pairs: the three sums, fused; for few targets
//   products  a block of values (pairs x candidates), made once in shared memory, times the targets; for many
// Double takes the values themselves. Single takes their changes in float (the delta form) and adds the unchanged space's own
// sums in double. Both leave partial sums by slice of the pairs, a split that depends on sizes alone; `conclude` adds them in
// order.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/space.hpp"
#include "core/targets.hpp"
#include "verbs.hpp"

namespace secateur::cuda {

namespace {

// By this a sum that has the features' unit to some power comes back to their unit.
double root(double value, int degree) {
    return degree == 1 ? value : degree == 2 ? std::sqrt(value) : std::pow(value, 1.0 / degree);
}

constexpr int lanes = 32, warps = 8, threads = lanes * warps;
constexpr int64_t few = 8;      // targets up to which the sums are taken for each anew
constexpr int depth = 16;       // pairs at a time in `products`
constexpr int rows_a_lane = 8;  // candidates a thread holds sums of in `products`
constexpr int64_t tile_bytes = 256 << 20, batch_bytes = int64_t{1} << 33;
constexpr int64_t pairs_a_slice = 1 << 16;  // of the unchanged space
constexpr int64_t most_in_a_batch = 32768;  // a grid's second axis ends at 65535
constexpr int64_t enough_blocks = 512, most_slices = 16, most_parts = 256;

// A float sum that keeps what it loses (Neumaier's, with a fixed order): single precision for the price of a few additions.
struct Compensated {
    float sum = 0, lost = 0;
    __device__ void add(float x) {
        const float total = sum + x, part = total - sum;
        lost += (sum - (total - part)) + (x - part);
        sum = total;
    }
    __device__ double value() const { return static_cast<double>(sum) + static_cast<double>(lost); }
};
// A double needs no help.
struct Plain {
    double sum = 0;
    __device__ void add(double x) { sum += x; }
    __device__ double value() const { return sum; }
};
template <class Real>
using Total = std::conditional_t<std::is_same_v<Real, float>, Compensated, Plain>;

// What the kernels of a call take.
template <class Real>
struct Job {
    const double* x;  // (n, features)
    int64_t features, n, pairs;
    Metric metric;
    int sign;
    // The unchanged space, and what its updates need to know (Guards).
    const double *pair, *own, *mean;
    double weight, shift, factor_unit, unit;
    const double *min_norm, *undefined, *cancel_threshold, *scale;
    // By pair: its stimuli, and for the delta form the unchanged values and their distance from the shift.
    uint32_t* stimuli;
    float *value, *shifted;
    // A tile of candidates: what each adds to a stimulus, twice (n, stride).
    const int64_t* candidates;
    int64_t count, stride;
    Real *z, *r;
    // A batch of targets, and the columns of sums: targets, or (rows null) weight patterns.
    const double *rows, *weights, *totals;
    const int64_t* pattern_of;
    int64_t targets, columns;
    int by_target, centred;
    // Partial sums by slice of the pairs, those of the unchanged space (delta form), and what comes of them.
    int64_t slices, product_slices;
    double *sums, *product_sums, *base, *base_of_patterns, *values;
    char* needs_recompute;
};

// What a pair contributes: `term` to the sum and the products, `square` to the squares; `lost` where it has cancelled.
template <class Rule, int sign>
__device__ ALWAYS_INLINE void contribution(double pair, double, double shift, double zi, double ri, double zj, double rj,
                                           double& term, double& square, bool& lost) {
    double value = Rule::template moved<sign>(pair, zi, zj);
    if constexpr (Rule::normalised) value *= ri * rj;
    if constexpr (Rule::rooted) {
        if constexpr (Rule::guard == Guard::pair && sign < 0) lost |= value < least_pair(pair);
        value = std::sqrt(value > 0 ? value : 0.0);
    }
    term = value - shift;
    square = term * term;
}
template <class Rule, int sign>
__device__ ALWAYS_INLINE void contribution(float value, float shifted, float, float zi, float ei, float zj, float ej, float& term,
                                           float& square, bool& lost) {
    term = Rule::template change<sign>(value, zi, ei, zj, ej);
    if constexpr (Rule::guard == Guard::pair && sign < 0) {
        const float left = value + term;
        lost |= left * left < least_pair(value * value);
    }
    square = term * (2 * shifted + term);
}

// The same with the rule and the sign looked up at run time, for where that costs little beside what follows.
template <class Real>
__device__ Real term_of(Metric metric, int sign, Real first, Real second, Real shift, Real zi, Real ri, Real zj, Real rj) {
    Real term = 0, square;
    bool lost = false;  // `moments` has said so
    with_rule(metric, [&](auto rule) {
        using Rule = decltype(rule);
        if (sign > 0)
            contribution<Rule, 1>(first, second, shift, zi, ri, zj, rj, term, square, lost);
        else
            contribution<Rule, -1>(first, second, shift, zi, ri, zj, rj, term, square, lost);
    });
    return term;
}

// z and r of every stimulus (blockIdx.y) and candidate of the tile; those behind the last candidate are zero.
// Double: the factor and the inverse norm. Single: the factor over the new norm, and the share by which the inverse norm grows.
template <class Rule, int sign, class Real>
__global__ void factors(Job<Real> job) {
    const int64_t c = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, i = blockIdx.y;
    if (c >= job.stride) return;
    double factor = 0, other = 0;
    if (c < job.count) {
        const double value = job.x[i * job.features + job.candidates[c]];
        factor = Rule::centred ? (value - job.mean[i]) * job.weight : value;
        if constexpr (Rule::guard == Guard::own) {
            const double rest = job.own[i] + sign * (factor * factor);
            if (rest <= job.min_norm[i]) job.needs_recompute[c] = 1;
            if constexpr (Rule::normalised && std::is_same_v<Real, float>) {
                if (job.own[i] > 0 && rest > 0) {
                    other = inverse_growth(job.own[i], factor, sign);
                    factor /= std::sqrt(rest);
                } else {
                    factor = 0;  // no direction before: the exact way, if any pair of it counts
                    if (job.undefined[i] != 0 || rest > 0) job.needs_recompute[c] = 1;
                }
            } else if constexpr (Rule::normalised) {
                other = rest > 0 ? 1 / std::sqrt(rest) : job.undefined[i];
            }
        }
        if constexpr (Rule::difference && std::is_same_v<Real, float>)
            factor -= job.x[job.candidates[c]];  // differences are all that counts: theirs are the digits a float keeps
        if constexpr (!Rule::normalised && std::is_same_v<Real, float>) factor *= job.factor_unit;
    }
    job.z[i * job.stride + c] = static_cast<Real>(factor);
    job.r[i * job.stride + c] = static_cast<Real>(other);
}

// Where each pair's stimuli are, and for the delta form the unchanged values and their distance from the shift.
template <class Rule, class Real>
__global__ void prepare(Job<Real> job) {
    const int64_t i = blockIdx.y, j = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (j <= i || j >= job.n) return;
    const int64_t p = row_start(i, job.n) + j - i - 1;
    job.stimuli[p] = static_cast<uint32_t>(i << 16 | j);
    if (!job.value) return;
    double whole = job.pair[p];
    if constexpr (Rule::normalised) whole = job.own[i] > 0 && job.own[j] > 0 ? whole / std::sqrt(job.own[i] * job.own[j]) : 0.0;
    if constexpr (Rule::rooted) whole = std::sqrt(whole);
    job.value[p] = static_cast<float>(whole * job.unit);
    job.shifted[p] = static_cast<float>((whole - job.shift) * job.unit);
}

// The unchanged space's own sums (slices, columns, 3), one block a column and slice of the pairs; for the delta form.
template <class Rule, class Real>
__global__ void unchanged(Job<Real> job) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const int64_t column = blockIdx.x;
    const double* w = job.weights ? job.weights + (job.pattern_of ? job.pattern_of[column] : column) * job.pairs : nullptr;
    const int64_t slice = (job.pairs + gridDim.y - 1) / gridDim.y, from = blockIdx.y * slice, to = min(from + slice, job.pairs);
    double all[3] = {0, 0, 0};
    for (int64_t p = from + threadIdx.x; p < to; p += blockDim.x) {
        const uint32_t i = job.stimuli[p] >> 16, j = job.stimuli[p] & 0xffffu;
        double value = job.pair[p];
        if constexpr (Rule::normalised)
            value = job.own[i] > 0 && job.own[j] > 0 ? value / std::sqrt(job.own[i] * job.own[j]) : 0.0;
        if constexpr (Rule::rooted) value = std::sqrt(value);
        value -= job.shift;
        all[0] += (w ? w[p] : 1.0) * value;
        all[1] += (w ? w[p] : 1.0) * value * value;
        if (job.rows) all[2] += job.rows[column * job.pairs + p] * value;
    }
#pragma unroll
    for (int m = 0; m < 3; ++m) {
        double one[1] = {all[m]};
        sum_over_warp(one);
        if (threadIdx.x % lanes == 0) shared[m * warps + threadIdx.x / lanes] = one[0];
    }
    __syncthreads();
    if (threadIdx.x < 3) {
        double sum = 0;
        for (int w8 = 0; w8 < warps; ++w8) sum += shared[threadIdx.x * warps + w8];
        job.base[(int64_t{blockIdx.y} * gridDim.x + column) * 3 + threadIdx.x] = sum;
    }
}

// sums (slices, columns, 3, stride): of w v, w v^2 and h v, by column (blockIdx.y: a target, or a weight pattern where rows is
// null). A warp takes two rows of pairs at a time, so that what it loads of a partner serves both.
template <class Rule, int sign, class Real, bool weighted>
__global__ void __launch_bounds__(threads, 1) moments(Job<Real> job) {
    constexpr bool whole = std::is_same_v<Real, double>;
    const int lane = threadIdx.x % lanes, warp = threadIdx.x / lanes;
    const int64_t c = int64_t{blockIdx.x} * lanes + lane, pairs = job.n * (job.n - 1) / 2, column = blockIdx.y;
    const double* h = job.rows ? job.rows + column * pairs : nullptr;
    const double* w = weighted ? job.weights + (job.pattern_of ? job.pattern_of[column] : column) * pairs : nullptr;
    Total<Real> sum, squares, product;
    bool lost = false;
    for (int64_t i = 2 * (int64_t{blockIdx.z} * warps + warp); i < job.n - 1; i += 2 * warps * int64_t{gridDim.z}) {
        Real zi[2], ri[2], a = 0, b = 0, k = 0;
        const bool second = i + 2 < job.n;  // the last row has no pairs
#pragma unroll
        for (int s = 0; s < 2; ++s) {
            zi[s] = job.z[(i + s) * job.stride + c];
            ri[s] = job.r[(i + s) * job.stride + c];
        }
        const auto pair_with = [&](int64_t p, int s, Real zj, Real rj) {
            Real term, square;
            if constexpr (whole)
                contribution<Rule, sign>(job.pair[p], 0.0, job.shift, zi[s], ri[s], zj, rj, term, square, lost);
            else
                contribution<Rule, sign>(job.value[p], job.shifted[p], 0.0f, zi[s], ri[s], zj, rj, term, square, lost);
            if constexpr (weighted) {
                const Real weight = static_cast<Real>(w[p]);
                a += weight * term;
                b += weight * square;
            } else {
                a += term;
                b += square;
            }
            if (h) k += static_cast<Real>(h[p]) * term;
        };
        const int64_t first = row_start(i, job.n) - i - 1, next = row_start(i + 1, job.n) - i - 2;
        pair_with(first + i + 1, 0, zi[1], ri[1]);
        for (int64_t j = i + 2; j < job.n; ++j) {
            const Real zj = job.z[j * job.stride + c], rj = job.r[j * job.stride + c];
            pair_with(first + j, 0, zj, rj);
            if (second) pair_with(next + j, 1, zj, rj);
            if (!whole && (j - i) % lanes == 0) {
                sum.add(a);
                squares.add(b);
                product.add(k);
                a = b = k = 0;
            }
        }
        sum.add(a);
        squares.add(b);
        product.add(k);
    }
    double* shared = reinterpret_cast<double*>(block_memory);  // (3, warps, lanes)
    shared[(0 * warps + warp) * lanes + lane] = sum.value();
    shared[(1 * warps + warp) * lanes + lane] = squares.value();
    shared[(2 * warps + warp) * lanes + lane] = product.value();
    if (lost) job.needs_recompute[c] = 1;
    __syncthreads();
    if (warp < 3) {
        double all = 0;
        for (int from = 0; from < warps; ++from) all += shared[(warp * warps + from) * lanes + lane];
        job.sums[((blockIdx.z * gridDim.y + column) * 3 + warp) * job.stride + c] = all;
    }
}

// sums (slices, columns, stride): of column times v, in tiles of 32 candidates by `wide` columns. A thread holds 8 candidates by
// `wide` / 64 columns.
template <class Real, int wide>
__global__ void __launch_bounds__(threads, 1) products(Job<Real> job) {
    constexpr int held = wide / (2 * lanes);
    Real* targets = reinterpret_cast<Real*>(block_memory);  // (depth, wide)
    Real* values = targets + depth * wide;                  // (depth, lanes)
    const int lane = threadIdx.x % lanes, warp = threadIdx.x / lanes;
    const int own_candidate = warp % 4 * rows_a_lane, own_column = warp / 4 * (wide / 2) + lane;
    const int64_t c = int64_t{blockIdx.x} * lanes, column = int64_t{blockIdx.y} * wide;
    const int64_t slice = rounded_up((job.pairs + gridDim.z - 1) / gridDim.z, depth);
    const int64_t from = blockIdx.z * slice, to = min(from + slice, job.pairs);
    Total<Real> total[rows_a_lane][held];
    for (int64_t start = from; start < to; start += depth) {
        for (int t = threadIdx.x; t < wide; t += threads) {
            const double* row = job.rows + (column + t) * job.pairs + start;
            for (int k = 0; k < depth; ++k)
                targets[k * wide + t] = static_cast<Real>(column + t < job.targets && start + k < to ? row[k] : 0.0);
        }
#pragma unroll
        for (int k = warp; k < depth; k += warps) {
            const int64_t p = start + k;
            Real term = 0;
            if (p < to) {
                const int64_t i = (job.stimuli[p] >> 16) * job.stride + c + lane,
                              j = (job.stimuli[p] & 0xffffu) * job.stride + c + lane;
                if constexpr (std::is_same_v<Real, double>)
                    term = term_of<double>(job.metric, job.sign, job.pair[p], 0.0, job.shift, job.z[i], job.r[i], job.z[j],
                                           job.r[j]);
                else
                    term = term_of<float>(job.metric, job.sign, job.value[p], job.shifted[p], 0.0f, job.z[i], job.r[i], job.z[j],
                                          job.r[j]);
            }
            values[k * lanes + lane] = term;
        }
        __syncthreads();
        [[maybe_unused]] Real part[rows_a_lane][held] = {};
#pragma unroll 4
        for (int k = 0; k < depth; ++k) {
            Real v[rows_a_lane], h[held];
#pragma unroll
            for (int a = 0; a < rows_a_lane; ++a) v[a] = values[k * lanes + own_candidate + a];
#pragma unroll
            for (int q = 0; q < held; ++q) h[q] = targets[k * wide + own_column + q * lanes];
#pragma unroll
            for (int a = 0; a < rows_a_lane; ++a)
#pragma unroll
                for (int q = 0; q < held; ++q)
                    if constexpr (std::is_same_v<Real, double>)
                        total[a][q].sum += v[a] * h[q];
                    else
                        part[a][q] += v[a] * h[q];
        }
        if constexpr (!std::is_same_v<Real, double>)
#pragma unroll
            for (int a = 0; a < rows_a_lane; ++a)
#pragma unroll
                for (int q = 0; q < held; ++q) total[a][q].add(part[a][q]);
        __syncthreads();
    }
#pragma unroll
    for (int a = 0; a < rows_a_lane; ++a)
#pragma unroll
        for (int q = 0; q < held; ++q) {
            const int64_t t = column + own_column + q * lanes;
            if (t < job.targets)
                job.product_sums[(blockIdx.z * job.targets + t) * job.stride + c + own_candidate + a] = total[a][q].value();
        }
}

// values (targets, count): alignments, from the partial sums. `base` (targets, 3), `base_of_patterns` (patterns, 3) or null: the
// unchanged space's sums.
template <class Real>
__global__ void conclude(Job<Real> job) {
    const int64_t c = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, t = blockIdx.y;
    if (c >= job.count) return;
    const int64_t pattern = job.pattern_of ? job.pattern_of[t] : 0, column = job.by_target ? t : pattern;
    double all[3] = {0, 0, 0};
    for (int64_t s = 0; s < job.slices; ++s)
        for (int m = 0; m < 3; ++m) all[m] += job.sums[((s * job.columns + column) * 3 + m) * job.stride + c];
    for (int64_t s = 0; s < job.product_slices; ++s) all[2] += job.product_sums[(s * job.targets + t) * job.stride + c];
    if (job.base) {
        const double* own = job.by_target ? job.base + t * 3 : job.base_of_patterns + pattern * 3;
        all[0] = own[0] + all[0] / job.unit;
        all[1] = own[1] + all[1] / (job.unit * job.unit);
        all[2] = job.base[t * 3 + 2] + all[2] / job.unit;
    }
    const Moments m{all[0], all[1], all[2]};
    const double weight = job.totals[pattern];
    const double raised = fmax(job.scale[pattern], unshifted(m.sum, m.squares, job.shift, weight));
    bool trusted;
    const double alignment = alignment_of(m, m.squares, raised, weight, job.centred, trusted);
    // The delta form never meets a stimulus without direction: what is not finite there is beyond a float's range.
    if (!trusted || m.sum <= job.cancel_threshold[pattern] || (job.base && !std::isfinite(all[0] + all[1])))
        job.needs_recompute[c] = 1;
    job.values[t * job.count + c] = alignment;
}

// Whether weights are of a size whose sums with small changes a float holds.
bool fit_floats(const StandardRows& targets, int64_t pairs) {
    for (int64_t u = 0; targets.weights && u < targets.patterns; ++u) {
        const double most = *std::max_element(targets.weights + u * pairs, targets.weights + (u + 1) * pairs);
        if (most > 0 && (most < 1e-12 || most > 1e12)) return false;
    }
    return true;
}

// Whether similarities vary by more than a thousandth of their size: where they are all but equal, a feature's changes are large,
// all but cancel, and floats lose what is left.
bool vary(const SpaceSums& sums) {
    return sums.defined == 0 || sums.squares - sums.total * sums.total / sums.defined >= 1e-6 * sums.squares;
}

int64_t slices_for(int64_t blocks, int64_t longest) {
    return std::clamp<int64_t>(enough_blocks / std::max<int64_t>(blocks, 1), 1, std::min(most_slices, longest));
}

template <class Rule, int sign, class Real>
class Verb {
  public:
    Verb(Device& device, const Features& x, const OneFeaturePlan& plan, const SpaceThere& space)
        : device_(device),
          x_(x),
          plan_(plan),
          n_(x.stimuli),
          pairs_(x.pairs()),
          patterns_(plan.targets.patterns),
          weighted_(plan.targets.weights != nullptr),
          rows_there_(lies_there(plan.targets.rows)),
          min_norm_(device, plan.guards.min_norm.data(), n_, "guards"),
          undefined_(device, plan.guards.undefined.data(), n_, "guards"),
          cancel_threshold_(device, plan.guards.cancel_threshold.data(), patterns_, "guards"),
          scale_(device, plan.guards.scale.data(), patterns_, "guards"),
          totals_(device, plan.targets.totals, patterns_, "sums of weights"),
          weights_(device, plan.targets.weights, patterns_ * pairs_, "weights"),
          candidates_(device, plan.candidates.values, plan.candidates.count, "candidates"),
          stimuli_(device, pairs_, "pairs"),
          value_(device, single ? pairs_ : 0, "similarities"),
          shifted_(device, single ? pairs_ : 0, "similarities") {
        if (single && !Rule::normalised) {  // so that the sums of any features fit a float
            const double largest = plan.sums.largest;
            factor_unit_ = largest > 0 ? 1 / root(largest, Rule::degree) : 1;
        }
        job_.x = x.values;
        job_.features = x.count;
        job_.n = n_;
        job_.pairs = pairs_;
        job_.metric = plan.metric;
        job_.sign = plan.sign;
        job_.pair = space.pair;
        job_.own = space.own;
        job_.mean = space.mean;
        job_.weight = plan.guards.weight;
        job_.shift = plan.guards.shift;
        job_.factor_unit = factor_unit_;
        job_.unit = factor_unit_;
        for (int power = 1; power < Rule::degree && !Rule::rooted; ++power) job_.unit *= factor_unit_;
        job_.min_norm = min_norm_.get();
        job_.undefined = undefined_.get();
        job_.cancel_threshold = cancel_threshold_.get();
        job_.scale = scale_.get();
        job_.stimuli = stimuli_.get();
        job_.value = value_.get();
        job_.shifted = shifted_.get();
        job_.weights = weights_.get();
        job_.totals = totals_.get();
        job_.centred = plan.targets.centred;
        launch(device, "laying out pairs", prepare<Rule, Real>, grid_of((n_ + 127) / 128, n_), 128, 0, job_);
    }

    // What a call takes at the least: the bytes of the pairs alone, and those of a target and of a candidate.
    static int64_t least_bytes(const Features& x, const OneFeaturePlan& plan, bool rows_there) {
        const StandardRows& targets = plan.targets;
        const int64_t pairs = x.pairs(), columns = by_target(targets) ? 1 : targets.patterns;
        return (targets.weights ? 8 * targets.patterns * pairs : 0) + (single ? 12 : 4) * pairs + (rows_there ? 0 : 8 * pairs) +
               8 * plan.candidates.count + lanes * bytes_a_candidate(x.stimuli, columns, 1);
    }

    void run(const Context& context, double* values, char* needs_recompute) {
        const StandardRows& targets = plan_.targets;
        const int64_t each = (rows_there_ ? 0 : 8 * pairs_) + lanes * (bytes_a_candidate(0, 1, 1));
        const int64_t largest = std::clamp<int64_t>(std::min(batch_bytes, room()) / each, 1, most_in_a_batch);
        for (int64_t from = 0; from < targets.count; from += largest)
            batch(from, std::min(largest, targets.count - from), context, values, needs_recompute);
    }

  private:
    static constexpr bool single = std::is_same_v<Real, float>;
    Device& device_;
    const Features x_;
    const OneFeaturePlan& plan_;
    const int64_t n_, pairs_, patterns_;
    const bool weighted_, rows_there_;
    const DeviceBuffer<double> min_norm_, undefined_, cancel_threshold_, scale_, totals_, weights_;
    const DeviceBuffer<int64_t> candidates_;
    const DeviceBuffer<uint32_t> stimuli_;
    const DeviceBuffer<float> value_, shifted_;
    double factor_unit_ = 1;
    Job<Real> job_{};

    // A share of the memory that is left; how sums are split, and so their bits, never depends on it.
    int64_t room() const { return static_cast<int64_t>(device_.available_bytes() / 4); }

    static constexpr int64_t bytes_a_candidate(int64_t stimuli, int64_t columns, int64_t targets) {
        return 2 * sizeof(Real) * stimuli + 8 * most_slices * (3 * columns + targets) + 8 * targets + 32;
    }
    static bool by_target(const StandardRows& targets) {
        return targets.in_all <= few || (targets.weights && targets.patterns >= std::min(targets.in_all, most_in_a_batch));
    }

    void batch(int64_t first, int64_t count, const Context& context, double* values, char* needs_recompute) {
        const StandardRows& targets = plan_.targets;
        const int64_t candidates = plan_.candidates.count;
        const bool by_target = Verb::by_target(targets);
        const int64_t columns = by_target ? count : patterns_;
        const double* given = targets.rows + first * pairs_;
        const DeviceBuffer<double> rows(device_, rows_there_ ? nullptr : given, count * pairs_, "targets");
        const DeviceBuffer<int64_t> pattern_of(device_, weighted_ ? targets.weight_of + first : nullptr, count,
                                               "weight patterns");
        const int64_t parts = single ? std::clamp<int64_t>(pairs_ / pairs_a_slice, 1, most_parts) : 0;
        const DeviceBuffer<double> base(device_, parts * count * 3, "sums"),
            base_of_patterns(device_, parts * patterns_ * 3, "sums");
        Job<Real> job = job_;
        job.rows = rows_there_ ? given : rows.get();
        job.pattern_of = pattern_of.get();
        job.targets = count;
        job.columns = columns;
        job.by_target = by_target;
        job.base = base.get();
        Job<Real> of_patterns = job;
        of_patterns.rows = nullptr;
        of_patterns.pattern_of = nullptr;
        of_patterns.base = base_of_patterns.get();
        if (single) {
            constexpr std::size_t shared = 3 * warps * sizeof(double);
            launch(device_, "summing the unchanged space", unchanged<Rule, Real>, grid_of(count, parts), threads, shared, job);
            add_slices(device_, base.get(), count * 3, parts);
            launch(device_, "summing the unchanged space", unchanged<Rule, Real>, grid_of(patterns_, parts), threads, shared,
                   of_patterns);
            add_slices(device_, base_of_patterns.get(), patterns_ * 3, parts);
            job.base_of_patterns = base_of_patterns.get();
        }
        const int64_t each = bytes_a_candidate(n_, columns, count);
        const int64_t tile = std::min(rounded_up(candidates, lanes),
                                      std::max<int64_t>(lanes, std::min(tile_bytes, room()) / each / lanes * lanes));
        const int64_t tiles = (candidates + lanes - 1) / lanes;
        const int64_t slices = slices_for(tiles * (by_target ? targets.in_all : patterns_), (n_ + 2 * warps - 1) / (2 * warps));
        const int64_t wide = targets.in_all <= 64 ? 64 : 256;
        const int64_t product_slices =
            by_target ? 0 : slices_for(tiles * ((targets.in_all + wide - 1) / wide), (pairs_ + depth - 1) / depth);
        const DeviceBuffer<Real> z(device_, n_ * tile, "factors"), r(device_, n_ * tile, "factors");
        const DeviceBuffer<double> sums(device_, slices * columns * 3 * tile, "sums"),
            product_sums(device_, product_slices * count * tile, "sums"), out(device_, count * tile, "alignments");
        DeviceBuffer<char> flags(device_, tile, "flags");
        std::vector<char> flagged(tile);
        job.slices = slices;
        job.product_slices = product_slices;
        job.z = z.get();
        job.r = r.get();
        job.sums = sums.get();
        job.product_sums = product_sums.get();
        job.values = out.get();
        job.needs_recompute = flags.get();
        for (int64_t c = 0; c < candidates; c += tile) {
            if (context.stop(0)) return;
            const int64_t now = std::min(tile, candidates - c), stride = rounded_up(now, lanes);
            job.candidates = candidates_.get() + c;
            job.count = now;
            job.stride = stride;
            Job<Real> of_columns = job;
            if (!by_target) of_columns.rows = nullptr, of_columns.pattern_of = nullptr;
            flags.zero();
            launch(device_, "making factors", factors<Rule, sign, Real>, grid_of((stride + 127) / 128, n_), 128, 0, job);
            launch(device_, "summing pairs", weighted_ ? moments<Rule, sign, Real, true> : moments<Rule, sign, Real, false>,
                   grid_of(stride / lanes, columns, slices), threads, 3 * threads * sizeof(double), of_columns);
            if (!by_target)
                launch(device_, "multiplying with targets", wide == 64 ? products<Real, 64> : products<Real, 256>,
                       grid_of(stride / lanes, (count + wide - 1) / wide, product_slices), threads,
                       depth * (wide + lanes) * sizeof(Real), job);
            launch(device_, "comparing", conclude<Real>, grid_of((now + 127) / 128, count), 128, 0, job);
            out.download(values + first * candidates + c, count, now, candidates);
            flags.download(flagged.data());
            for (int64_t k = 0; k < now; ++k) needs_recompute[c + k] |= flagged[k];
            context.did(static_cast<double>(count * now) / static_cast<double>(targets.count * candidates));
        }
    }
};

template <class T>
struct As {
    using Type = T;
};

}  // namespace

void one_feature(Device& device, const Features& x, Precision precision, const OneFeaturePlan& plan, const SpaceThere& space,
                 const Context& context, double* values, char* needs_recompute) {
    if (!by_moments(plan.targets.of->comparator))
        return one_feature_by_similarities(device, x, plan, space, context, values, needs_recompute);
    with_rule(plan.metric, [&](auto rule) {
        using Rule = decltype(rule);
        const auto run = [&](auto kind) {
            using Kind = decltype(kind);
            expect_room(device, Kind::Type::least_bytes(x, plan, lies_there(plan.targets.rows)),
                        "changing one feature, 32 candidates at a time");
            typename Kind::Type(device, x, plan, space).run(context, values, needs_recompute);
        };
        if (precision == Precision::single && fit_floats(plan.targets, x.pairs()) && vary(plan.sums))
            plan.sign > 0 ? run(As<Verb<Rule, 1, float>>{}) : run(As<Verb<Rule, -1, float>>{});
        else
            plan.sign > 0 ? run(As<Verb<Rule, 1, double>>{}) : run(As<Verb<Rule, -1, double>>{});
    });
}

}  // namespace secateur::cuda
