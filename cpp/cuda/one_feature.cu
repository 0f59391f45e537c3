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
#include "verbs.hpp"

namespace secateur::cuda {

namespace {

constexpr int lanes = 32, warps = 8, threads = lanes * warps;
constexpr int64_t few = 8;      // targets up to which the sums are taken for each anew
constexpr int depth = 16;       // pairs at a time in `products`
constexpr int rows_a_lane = 8;  // candidates a thread holds sums of in `products`
constexpr int64_t tile_bytes = 256 << 20, batch_bytes = 512 << 20;
constexpr int64_t most_in_a_batch = 32768;  // a grid's second axis ends at 65535
constexpr int64_t enough_blocks = 512, most_slices = 16;

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
__global__ void factors(const double* x, int64_t features, const int64_t* candidates, int64_t count, int64_t stride,
                        const double* own, const double* mean, double weight, const double* least, const double* undefined,
                        double unit, Real* z, Real* r, char* again) {
    const int64_t c = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, i = blockIdx.y;
    if (c >= stride) return;
    double factor = 0, other = 0;
    if (c < count) {
        const double value = x[i * features + candidates[c]];
        factor = Rule::centred ? (value - mean[i]) * weight : value;
        if constexpr (Rule::guard == Guard::own) {
            const double rest = own[i] + sign * (factor * factor);
            if (rest <= least[i]) again[c] = 1;
            if constexpr (Rule::normalised && std::is_same_v<Real, float>) {
                if (own[i] > 0 && rest > 0) {
                    other = inverse_growth(own[i], factor, sign);
                    factor /= std::sqrt(rest);
                } else {
                    factor = 0;  // no direction before: the exact way, if any pair of it counts
                    if (undefined[i] != 0 || rest > 0) again[c] = 1;
                }
            } else if constexpr (Rule::normalised) {
                other = rest > 0 ? 1 / std::sqrt(rest) : undefined[i];
            }
        }
        if constexpr (Rule::difference && std::is_same_v<Real, float>)
            factor -= x[candidates[c]];  // differences are all that counts: theirs are the digits a float keeps
        if constexpr (!Rule::normalised && std::is_same_v<Real, float>) factor *= unit;
    }
    z[i * stride + c] = static_cast<Real>(factor);
    r[i * stride + c] = static_cast<Real>(other);
}

// Where each pair's stimuli are, and for the delta form the unchanged values and their distance from the shift.
template <class Rule>
__global__ void prepare(const double* pair, const double* own, int64_t n, double shift, double unit, uint32_t* stimuli,
                        float* value, float* shifted) {
    const int64_t i = blockIdx.y, j = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (j <= i || j >= n) return;
    const int64_t p = row_start(i, n) + j - i - 1;
    stimuli[p] = static_cast<uint32_t>(i << 16 | j);
    if (!value) return;
    double whole = pair[p];
    if constexpr (Rule::normalised) whole = own[i] > 0 && own[j] > 0 ? whole / std::sqrt(own[i] * own[j]) : 0.0;
    if constexpr (Rule::rooted) whole = std::sqrt(whole);
    value[p] = static_cast<float>(whole * unit);
    shifted[p] = static_cast<float>((whole - shift) * unit);
}

// The unchanged space's own sums (columns, 3), one block a column; for the delta form.
template <class Rule>
__global__ void unchanged(const double* pair, const double* own, const uint32_t* stimuli, int64_t pairs, double shift,
                          const double* rows, const double* weights, const int64_t* pattern_of, double* sums) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const int64_t column = blockIdx.x;
    const double* w = weights ? weights + (pattern_of ? pattern_of[column] : column) * pairs : nullptr;
    double all[3] = {0, 0, 0};
    for (int64_t p = threadIdx.x; p < pairs; p += blockDim.x) {
        const uint32_t i = stimuli[p] >> 16, j = stimuli[p] & 0xffffu;
        double value = pair[p];
        if constexpr (Rule::normalised) value = own[i] > 0 && own[j] > 0 ? value / std::sqrt(own[i] * own[j]) : 0.0;
        if constexpr (Rule::rooted) value = std::sqrt(value);
        value -= shift;
        all[0] += (w ? w[p] : 1.0) * value;
        all[1] += (w ? w[p] : 1.0) * value * value;
        if (rows) all[2] += rows[column * pairs + p] * value;
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
        sums[column * 3 + threadIdx.x] = sum;
    }
}

// sums (slices, columns, 3, stride): of w v, w v^2 and h v, by column (blockIdx.y: a target, or a weight pattern where rows is
// null). A warp takes two rows of pairs at a time, so that what it loads of a partner serves both.
template <class Rule, int sign, class Real, bool weighted>
__global__ void __launch_bounds__(threads, 1)
    moments(const double* pair, const float* value, const float* shifted, int64_t n, const Real* z, const Real* r, int64_t stride,
            double shift, const double* rows, const double* weights, const int64_t* pattern_of, double* sums, char* again) {
    constexpr bool whole = std::is_same_v<Real, double>;
    const int lane = threadIdx.x % lanes, warp = threadIdx.x / lanes;
    const int64_t c = int64_t{blockIdx.x} * lanes + lane, pairs = n * (n - 1) / 2, column = blockIdx.y;
    const double* h = rows ? rows + column * pairs : nullptr;
    const double* w = weighted ? weights + (pattern_of ? pattern_of[column] : column) * pairs : nullptr;
    Total<Real> sum, squares, product;
    bool lost = false;
    for (int64_t i = 2 * (int64_t{blockIdx.z} * warps + warp); i < n - 1; i += 2 * warps * int64_t{gridDim.z}) {
        Real zi[2], ri[2], a = 0, b = 0, k = 0;
        const bool second = i + 2 < n;  // the last row has no pairs
#pragma unroll
        for (int s = 0; s < 2; ++s) {
            zi[s] = z[(i + s) * stride + c];
            ri[s] = r[(i + s) * stride + c];
        }
        const auto pair_with = [&](int64_t p, int s, Real zj, Real rj) {
            Real term, square;
            if constexpr (whole)
                contribution<Rule, sign>(pair[p], 0.0, shift, zi[s], ri[s], zj, rj, term, square, lost);
            else
                contribution<Rule, sign>(value[p], shifted[p], 0.0f, zi[s], ri[s], zj, rj, term, square, lost);
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
        const int64_t first = row_start(i, n) - i - 1, next = row_start(i + 1, n) - i - 2;
        pair_with(first + i + 1, 0, zi[1], ri[1]);
        for (int64_t j = i + 2; j < n; ++j) {
            const Real zj = z[j * stride + c], rj = r[j * stride + c];
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
    if (lost) again[c] = 1;
    __syncthreads();
    if (warp < 3) {
        double all = 0;
        for (int from = 0; from < warps; ++from) all += shared[(warp * warps + from) * lanes + lane];
        sums[((blockIdx.z * gridDim.y + column) * 3 + warp) * stride + c] = all;
    }
}

// sums (slices, columns, stride): of column times v, in tiles of 32 candidates by `wide` columns. A thread holds 8 candidates by
// `wide` / 64 columns.
template <class Real, int wide>
__global__ void __launch_bounds__(threads, 1)
    products(Metric metric, int sign, const double* pair, const float* value, const float* shifted, const uint32_t* stimuli,
             int64_t pairs, const Real* z, const Real* r, int64_t stride, double shift, const double* rows, int64_t columns,
             double* sums) {
    constexpr int held = wide / (2 * lanes);
    Real* targets = reinterpret_cast<Real*>(block_memory);  // (depth, wide)
    Real* values = targets + depth * wide;                  // (depth, lanes)
    const int lane = threadIdx.x % lanes, warp = threadIdx.x / lanes;
    const int own_candidate = warp % 4 * rows_a_lane, own_column = warp / 4 * (wide / 2) + lane;
    const int64_t c = int64_t{blockIdx.x} * lanes, column = int64_t{blockIdx.y} * wide;
    const int64_t slice = rounded_up((pairs + gridDim.z - 1) / gridDim.z, depth);
    const int64_t from = blockIdx.z * slice, to = min(from + slice, pairs);
    Total<Real> total[rows_a_lane][held];
    for (int64_t start = from; start < to; start += depth) {
        for (int t = threadIdx.x; t < wide; t += threads) {
            const double* row = rows + (column + t) * pairs + start;
            for (int k = 0; k < depth; ++k)
                targets[k * wide + t] = static_cast<Real>(column + t < columns && start + k < to ? row[k] : 0.0);
        }
#pragma unroll
        for (int k = warp; k < depth; k += warps) {
            const int64_t p = start + k;
            Real term = 0;
            if (p < to) {
                const int64_t i = (stimuli[p] >> 16) * stride + c + lane, j = (stimuli[p] & 0xffffu) * stride + c + lane;
                if constexpr (std::is_same_v<Real, double>)
                    term = term_of<double>(metric, sign, pair[p], 0.0, shift, z[i], r[i], z[j], r[j]);
                else
                    term = term_of<float>(metric, sign, value[p], shifted[p], 0.0f, z[i], r[i], z[j], r[j]);
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
            if (t < columns) sums[(blockIdx.z * columns + t) * stride + c + own_candidate + a] = total[a][q].value();
        }
}

// values (targets, count): alignments, from the partial sums. `base` (targets, 3), `base_of_patterns` (patterns, 3) or null: the
// unchanged space's sums.
__global__ void conclude(const double* sums, int64_t slices, int64_t columns, bool by_target, const double* product_sums,
                         int64_t product_slices, int64_t targets, int64_t stride, int64_t count, const double* base,
                         const double* base_of_patterns, double unit, const int64_t* pattern_of, const double* totals,
                         const double* remain, const double* level, double shift, bool centred, double* values, char* again) {
    const int64_t c = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, t = blockIdx.y;
    if (c >= count) return;
    const int64_t pattern = pattern_of ? pattern_of[t] : 0, column = by_target ? t : pattern;
    double all[3] = {0, 0, 0};
    for (int64_t s = 0; s < slices; ++s)
        for (int m = 0; m < 3; ++m) all[m] += sums[((s * columns + column) * 3 + m) * stride + c];
    for (int64_t s = 0; s < product_slices; ++s) all[2] += product_sums[(s * targets + t) * stride + c];
    if (base) {
        const double* own = by_target ? base + t * 3 : base_of_patterns + pattern * 3;
        all[0] = own[0] + all[0] / unit;
        all[1] = own[1] + all[1] / (unit * unit);
        all[2] = base[t * 3 + 2] + all[2] / unit;
    }
    const Moments m{all[0], all[1], all[2]};
    const double weight = totals[pattern];
    const double raised = fmax(level[pattern], unshifted(m.sum, m.squares, shift, weight));
    bool trusted;
    const double alignment = alignment_of(m, m.squares, raised, weight, centred, trusted);
    // The delta form never meets a stimulus without direction: what is not finite there is beyond a float's range.
    if (!trusted || m.sum <= remain[pattern] || (base && !std::isfinite(all[0] + all[1]))) again[c] = 1;
    values[t * count + c] = alignment;
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
template <class Rule>
bool vary(const OneFeaturePlan& plan, int64_t n) {
    double count = 0, sum = 0, squares = 0;
    for (int64_t i = 0, p = 0; i < n; ++i)
        for (int64_t j = i + 1; j < n; ++j, ++p) {
            double value = plan.space->pair[p];
            if constexpr (Rule::normalised) value /= std::sqrt(plan.space->own[i] * plan.space->own[j]);
            if constexpr (Rule::rooted) value = std::sqrt(value);
            if (!std::isfinite(value)) continue;
            ++count;
            sum += value;
            squares += value * value;
        }
    return count == 0 || squares - sum * sum / count >= 1e-6 * squares;
}

int64_t slices_for(int64_t blocks, int64_t longest) {
    return std::clamp<int64_t>(enough_blocks / std::max<int64_t>(blocks, 1), 1, std::min(most_slices, longest));
}

template <class Rule, int sign, class Real>
class Verb {
  public:
    Verb(Device& device, const Features& x, const OneFeaturePlan& plan)
        : device_(device),
          x_(x),
          plan_(plan),
          n_(x.stimuli),
          pairs_(x.pairs()),
          patterns_(plan.targets.patterns),
          weighted_(plan.targets.weights != nullptr),
          pair_(device, plan.space->pair.get(), pairs_, "inner products"),
          own_(device, plan.space->own.get(), n_, "norms"),
          mean_(device, Rule::centred ? plan.space->mean.get() : nullptr, n_, "means"),
          least_(device, plan.guards.least.data(), n_, "guards"),
          undefined_(device, plan.guards.undefined.data(), n_, "guards"),
          remain_(device, plan.guards.remain.data(), patterns_, "guards"),
          level_(device, plan.guards.level.data(), patterns_, "guards"),
          totals_(device, plan.targets.totals, patterns_, "sums of weights"),
          weights_(device, plan.targets.weights, patterns_ * pairs_, "weights"),
          candidates_(device, plan.candidates.values, plan.candidates.count, "candidates"),
          stimuli_(device, pairs_, "pairs"),
          value_(device, single ? pairs_ : 0, "similarities"),
          shifted_(device, single ? pairs_ : 0, "similarities") {
        if (single && !Rule::normalised) {  // so that the sums of any features fit a float
            double largest = 0;
            for (int64_t p = 0; p < pairs_; ++p) largest = std::max(largest, std::abs(plan.space->pair[p]));
            if constexpr (!Rule::difference)
                for (int64_t i = 0; i < n_; ++i) largest = std::max(largest, plan.space->own[i]);
            factor_unit_ = largest > 0 ? 1 / (Rule::degree == 2 ? std::sqrt(largest) : largest) : 1;
        }
        unit_ = Rule::degree == 2 && !Rule::rooted ? factor_unit_ * factor_unit_ : factor_unit_;
        launch(device, "laying out pairs", prepare<Rule>, grid_of((n_ + 127) / 128, n_), 128, 0, pair_.get(), own_.get(), n_,
               plan.guards.shift, unit_, stimuli_.get(), value_.get(), shifted_.get());
    }

    void run(const Context& context, double* values, char* again) {
        const StandardRows& targets = plan_.targets;
        const int64_t largest = std::clamp<int64_t>(std::min(batch_bytes, room()) / 8 / pairs_, 1, most_in_a_batch);
        for (int64_t from = 0; from < targets.count; from += largest)
            batch(from, std::min(largest, targets.count - from), context, values, again);
    }

  private:
    static constexpr bool single = std::is_same_v<Real, float>;
    Device& device_;
    const Features x_;
    const OneFeaturePlan& plan_;
    const int64_t n_, pairs_, patterns_;
    const bool weighted_;
    const DeviceBuffer<double> pair_, own_, mean_, least_, undefined_, remain_, level_, totals_, weights_;
    const DeviceBuffer<int64_t> candidates_;
    const DeviceBuffer<uint32_t> stimuli_;
    const DeviceBuffer<float> value_, shifted_;
    double factor_unit_ = 1, unit_ = 1;

    // A share of the memory that is left; how sums are split, and so their bits, never depends on it.
    int64_t room() const { return static_cast<int64_t>(device_.available_bytes() / 4); }

    void batch(int64_t first, int64_t count, const Context& context, double* values, char* again) {
        const StandardRows& targets = plan_.targets;
        const int64_t candidates = plan_.candidates.count;
        const bool by_target = targets.in_all <= few || (weighted_ && patterns_ >= std::min(targets.in_all, most_in_a_batch));
        const int64_t columns = by_target ? count : patterns_;
        const DeviceBuffer<double> rows(device_, targets.rows + first * pairs_, count * pairs_, "targets");
        const DeviceBuffer<int64_t> pattern_of(device_, weighted_ ? targets.weight_of + first : nullptr, count,
                                               "weight patterns");
        const DeviceBuffer<double> base(device_, single ? count * 3 : 0, "sums"),
            base_of_patterns(device_, single ? patterns_ * 3 : 0, "sums");
        if (single) {
            launch(device_, "summing the unchanged space", unchanged<Rule>, grid_of(count), threads, 3 * warps * sizeof(double),
                   pair_.get(), own_.get(), stimuli_.get(), pairs_, plan_.guards.shift, rows.get(), weights_.get(),
                   pattern_of.get(), base.get());
            launch(device_, "summing the unchanged space", unchanged<Rule>, grid_of(patterns_), threads,
                   3 * warps * sizeof(double), pair_.get(), own_.get(), stimuli_.get(), pairs_, plan_.guards.shift,
                   static_cast<const double*>(nullptr), weights_.get(), static_cast<const int64_t*>(nullptr),
                   base_of_patterns.get());
        }
        const int64_t each = 2 * sizeof(Real) * n_ + 8 * most_slices * (3 * columns + count) + 8 * count + 32;
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
        for (int64_t c = 0; c < candidates; c += tile) {
            if (context.stop(0)) return;
            const int64_t now = std::min(tile, candidates - c), stride = rounded_up(now, lanes);
            flags.zero();
            launch(device_, "making factors", factors<Rule, sign, Real>, grid_of((stride + 127) / 128, n_), 128, 0, x_.values,
                   x_.count, candidates_.get() + c, now, stride, own_.get(), mean_.get(), plan_.guards.weight, least_.get(),
                   undefined_.get(), factor_unit_, z.get(), r.get(), flags.get());
            launch(device_, "summing pairs", weighted_ ? moments<Rule, sign, Real, true> : moments<Rule, sign, Real, false>,
                   grid_of(stride / lanes, columns, slices), threads, 3 * threads * sizeof(double), pair_.get(), value_.get(),
                   shifted_.get(), n_, z.get(), r.get(), stride, plan_.guards.shift, by_target ? rows.get() : nullptr,
                   weights_.get(), by_target ? pattern_of.get() : nullptr, sums.get(), flags.get());
            if (!by_target) {
                const auto multiply = wide == 64 ? products<Real, 64> : products<Real, 256>;
                launch(device_, "multiplying with targets", multiply,
                       grid_of(stride / lanes, (count + wide - 1) / wide, product_slices), threads,
                       depth * (wide + lanes) * sizeof(Real), plan_.metric, plan_.sign, pair_.get(), value_.get(), shifted_.get(),
                       stimuli_.get(), pairs_, z.get(), r.get(), stride, plan_.guards.shift, rows.get(), count,
                       product_sums.get());
            }
            launch(device_, "comparing", conclude, grid_of((now + 127) / 128, count), 128, 0, sums.get(), slices, columns,
                   by_target, product_sums.get(), product_slices, count, stride, now, base.get(), base_of_patterns.get(), unit_,
                   pattern_of.get(), totals_.get(), remain_.get(), level_.get(), plan_.guards.shift, targets.centred, out.get(),
                   flags.get());
            out.download(values + first * candidates + c, count, now, candidates);
            flags.download(flagged.data());
            for (int64_t k = 0; k < now; ++k) again[c + k] |= flagged[k];
        }
    }
};

}  // namespace

void one_feature(Device& device, const Features& x, Precision precision, const OneFeaturePlan& plan, const Context& context,
                 double* values, char* again) {
    with_rule(plan.metric, [&](auto rule) {
        using Rule = decltype(rule);
        const auto run = [&](auto verb) { verb.run(context, values, again); };
        if (precision == Precision::single && fit_floats(plan.targets, x.pairs()) && vary<Rule>(plan, x.stimuli))
            plan.sign > 0 ? run(Verb<Rule, 1, float>(device, x, plan)) : run(Verb<Rule, -1, float>(device, x, plan));
        else
            plan.sign > 0 ? run(Verb<Rule, 1, double>(device, x, plan)) : run(Verb<Rule, -1, double>(device, x, plan));
    });
}

}  // namespace secateur::cuda
