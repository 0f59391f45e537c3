// Whole vectors of similarities against targets.
//   select    the pairs that count and are defined, of similarities and target, moved together
//   whiten    doubly centred values (core/targets.cpp says why), or what is left of a target by them
//   dots      a vector and a target a block; for few targets, and for vectors that have one of their own
//   products  64 vectors by 64 targets a block, 4 by 4 a thread; for many
// Products of ranks are whole numbers: their sums are exact up to 2^53, that is of 775 stimuli.
#include <algorithm>
#include <cmath>

#include "core/targets.hpp"
#include "vectors.hpp"

namespace secateur::cuda {

namespace {

constexpr int threads = 256, warps = threads / 32;
constexpr int64_t few = 8;  // targets of the call, up to which each has a block of its own
constexpr int side = 64, depth = 16, own_side = 4;
constexpr int64_t batch_bytes = int64_t{1} << 31;
enum State : char { usual, undefined_somewhere, constant };

// The sum over a block of `threads`, in a fixed order; `shared` holds one value a warp.
__device__ double sum_over_threads(double value, double* shared) {
    double one[1] = {value};
    sum_over_warp(one);
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = one[0];
    __syncthreads();
    double sum = 0;
    for (int w = 0; w < warps; ++w) sum += shared[w];
    __syncthreads();
    return sum;
}

struct Selection {
    TargetRows from;
    TargetsAmong::Comparison with;   // similarities null: of targets alone
    int64_t first;                   // (space, target) places before those of this launch
    double *similarities, *targets;  // (places, pairs)
    int64_t *counts, *undefined;     // (places)
};

// One block a place.
__global__ void __launch_bounds__(threads, 1) select(Selection job) {
    uint32_t* shared = reinterpret_cast<uint32_t*>(block_memory);
    const int64_t row = blockIdx.x, place = job.first + row, x = place % job.with.count, y = place / job.with.count;
    const int64_t pairs = job.from.pairs, t = job.with.which ? job.with.which[x] : x;
    const double *h = job.from.values + t * job.from.all_pairs,
                 *w = job.from.weights ? job.from.weights + job.from.pattern_of[t] * pairs : nullptr,
                 *s = job.with.similarities ? job.with.similarities + (job.with.stride ? x * job.with.stride : y * pairs)
                                            : nullptr;
    const int64_t share = (pairs + threads - 1) / threads, from = min(int64_t{threadIdx.x} * share, pairs),
                  to = min(from + share, pairs);
    uint32_t kept = 0, lost = 0;
    for (int64_t p = from; p < to; ++p) {
        if (w && !(w[p] > 0)) continue;
        const bool missing = s && std::isnan(s[p]);
        kept += !missing;
        lost += missing;
    }
    int64_t at = sum_before(kept, shared);
    const uint32_t lost_before = sum_before(lost, shared);
    if (threadIdx.x == threads - 1) {
        if (job.counts) job.counts[row] = at + kept;
        if (job.undefined) job.undefined[row] = int64_t{lost_before} + lost;
    }
    for (int64_t p = from; p < to; ++p) {
        if ((w && !(w[p] > 0)) || (s && std::isnan(s[p]))) continue;
        if (s) job.similarities[row * pairs + at] = s[p];
        job.targets[row * pairs + at++] = h[job.from.at ? job.from.at[p] : p];
    }
}

struct Whitening {
    double *values, *means;  // (rows, pairs), (rows, stimuli)
    double* deviations;      // (rows)
    char* state;             // (rows)
    int64_t stimuli, pairs;
    int centred, of_targets;
};

// One block a row. Of similarities: centred values in place, and their whitened sum of squares; of targets: whitened and scaled.
__global__ void __launch_bounds__(threads, 1) whiten(Whitening job) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const int64_t row = blockIdx.x, n = job.stimuli;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    double *v = job.values + row * job.pairs, *m = job.means + row * n;
    double sum = 0, squares = 0, missing = 0, deviation = 0;
    for (int64_t p = threadIdx.x; p < job.pairs; p += threads) {
        sum += v[p];
        squares += v[p] * v[p];
        missing += std::isnan(v[p]);
    }
    squares = sum_over_threads(squares, shared);
    missing = sum_over_threads(missing, shared);
    const double mean = job.centred ? sum_over_threads(sum, shared) / static_cast<double>(job.pairs) : 0.0;
    for (int64_t p = threadIdx.x; p < job.pairs; p += threads) {
        v[p] -= mean;
        deviation += v[p] * v[p];
    }
    const bool flat = is_constant(sum_over_threads(deviation, shared), squares);  // and all is written
    double of_means = 0;
    for (int64_t i = warp; i < n; i += warps) {
        double one[1] = {0};
        for (int64_t j = lane; j < n; j += 32)
            if (i != j) one[0] += v[i < j ? row_start(i, n) + j - i - 1 : row_start(j, n) + i - j - 1];
        sum_over_warp(one);
        one[0] /= static_cast<double>(n);
        if (lane == 0) {
            m[i] = one[0];
            of_means += one[0];
        }
    }
    of_means = sum_over_threads(of_means, shared) / static_cast<double>(n);  // and all is written
    double product = 0;
    for (int64_t i = warp; i < n; i += warps)
        for (int64_t j = i + 1 + lane; j < n; j += 32) {
            const double value = v[row_start(i, n) + j - i - 1];
            product += value * (value - m[i] - m[j] + of_means);
        }
    product = sum_over_threads(product, shared);
    if (job.of_targets) {
        const double scale = flat ? static_cast<double>(NAN) : 1 / std::sqrt(product);
        for (int64_t i = warp; i < n; i += warps)
            for (int64_t j = i + 1 + lane; j < n; j += 32) {
                const int64_t p = row_start(i, n) + j - i - 1;
                v[p] = (v[p] - m[i] - m[j] + of_means) * scale;
            }
    } else if (threadIdx.x == 0) {
        job.deviations[row] = product;
        job.state[row] = missing > 0 ? undefined_somewhere : flat ? constant : usual;
    }
}

struct Product {
    const void *vectors, *targets;  // (rows, pairs)
    // Of vector v and column c: target members[c], else target_of[v], else v.
    const int64_t *members, *target_of;
    const int64_t* counts;  // (vectors), or nullptr: `count`
    int64_t count, pairs, rows, columns;
    double* out;  // (vectors, columns)
};

// One block a vector (blockIdx.x) and column (blockIdx.y).
template <class Value>
__global__ void __launch_bounds__(threads) dots(Product job) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const int64_t v = blockIdx.x, column = blockIdx.y;
    const int64_t t = job.members ? job.members[column] : job.target_of ? job.target_of[v] : v;
    const Value *a = static_cast<const Value*>(job.vectors) + v * job.pairs,
                *b = static_cast<const Value*>(job.targets) + t * job.pairs;
    const int64_t count = job.counts ? job.counts[v] : job.count;
    double sum = 0;
    for (int64_t p = threadIdx.x; p < count; p += threads) sum += static_cast<double>(a[p]) * static_cast<double>(b[p]);
    sum = sum_over_threads(sum, shared);
    if (threadIdx.x == 0) job.out[v * job.columns + column] = sum;
}

template <class Value>
__global__ void __launch_bounds__(threads) products(Product job) {
    constexpr int across = side / own_side, pitch = side + 1;
    double *left = reinterpret_cast<double*>(block_memory), *right = left + depth * pitch;  // (depth, pitch)
    const int64_t first = int64_t{blockIdx.x} * side, column = int64_t{blockIdx.y} * side;
    const int own_row = threadIdx.x / across, own_column = threadIdx.x % across;
    double sums[own_side][own_side] = {};
    for (int64_t start = 0; start < job.count; start += depth) {
        for (int at = threadIdx.x; at < side * depth; at += threads) {
            const int row = at / depth, k = at % depth;
            const bool inside = start + k < job.count;
            left[k * pitch + row] =
                inside && first + row < job.rows
                    ? static_cast<double>(static_cast<const Value*>(job.vectors)[(first + row) * job.pairs + start + k])
                    : 0.0;
            right[k * pitch + row] = inside && column + row < job.columns
                                         ? static_cast<double>(static_cast<const Value*>(
                                               job.targets)[job.members[column + row] * job.pairs + start + k])
                                         : 0.0;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < depth; ++k) {
            double a[own_side], b[own_side];
#pragma unroll
            for (int q = 0; q < own_side; ++q) {
                a[q] = left[k * pitch + own_row + q * across];
                b[q] = right[k * pitch + own_column + q * across];
            }
#pragma unroll
            for (int q = 0; q < own_side; ++q)
#pragma unroll
                for (int r = 0; r < own_side; ++r) sums[q][r] += a[q] * b[r];
        }
        __syncthreads();
    }
#pragma unroll
    for (int q = 0; q < own_side; ++q)
#pragma unroll
        for (int r = 0; r < own_side; ++r) {
            const int64_t row = first + own_row + q * across, c = column + own_column + r * across;
            if (row < job.rows && c < job.columns) job.out[row * job.columns + c] = sums[q][r];
        }
}

struct Conclusion {
    const double* products;  // (vectors, columns)
    RankedRows vectors, targets;
    OrderCounts orders;        // of the one column
    const double* deviations;  // of whitened vectors
    const char* state;
    const int64_t *members, *target_of, *counts;  // as in Product
    int64_t count, rows, columns;
    const int64_t* undefined;  // (vectors): pairs that are; or nullptr
    Comparator comparator;
    int of_constants, strict, whitened;  // of_constants: 0 where what doesn't vary has an alignment of 0, else 1
    double* out;                         // members: (targets, vectors); else (vectors)
};

__global__ void conclude(Conclusion job) {
    const int64_t v = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, column = blockIdx.y;
    if (v >= job.rows) return;
    const int64_t t = job.members ? job.members[column] : job.target_of ? job.target_of[v] : v;
    const int64_t count = job.counts ? job.counts[v] : job.count;
    double alignment = NAN;
    const bool lost = count == 0 || (job.strict && job.undefined && job.undefined[v] > 0);
    if (job.whitened) {
        if (!lost && job.state[v] == usual) alignment = job.products[v * job.columns + column] / std::sqrt(job.deviations[v]);
    } else if (!lost && !job.vectors.undefined[v]) {
        RankSums sums;
        sums.count = count;
        sums.squares = job.vectors.squares[v];
        sums.squares_of_target = job.targets.squares[t];
        if (job.products) sums.product = job.products[v * job.columns + column];
        sums.order = {pairs_among(count), job.vectors.tied[v], job.targets.tied[t], 0, 0};
        if (job.orders.discordant) {
            sums.order.tied_in_both = job.orders.tied_in_both[v];
            sums.order.discordant = static_cast<int64_t>(job.orders.discordant[v]);
        }
        if (sums.order.tied < sums.order.pairs)
            alignment = alignment_by(job.comparator, sums);
        else if (!job.of_constants)
            alignment = 0;
    }
    job.out[job.members ? t * job.rows + v : v] = alignment;
}

// out (vectors, pairs): of each the pairs of a list; counts (vectors), where vectors have lists of their own.
__global__ void gather(const double* values, const int64_t* lists, const int64_t* list_counts, const int64_t* pattern_of,
                       const int64_t* target_of, int64_t pattern, int64_t pairs, double* out, int64_t* counts) {
    const int64_t k = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, v = blockIdx.y;
    const int64_t u = target_of ? pattern_of[target_of[v]] : pattern, count = list_counts[u];
    if (k < count) out[v * pairs + k] = values[v * pairs + lists[u * pairs + k]];
    if (counts && k == 0) counts[v] = count;
}

Conclusion conclusion_of(Comparator comparator) {
    Conclusion job{};
    job.comparator = comparator;
    job.of_constants = !traits_of(comparator).zero_where_constant;
    job.whitened = is_whitened(comparator);
    return job;
}

// in_all: targets of the call that these are of.
void multiply(Device& device, bool of_ranks, const Product& job, int64_t in_all) {
    if (!job.members || in_all <= few)
        launch(device, "multiplying with targets", of_ranks ? dots<int32_t> : dots<double>, grid_of(job.rows, job.columns),
               threads, warps * sizeof(double), job);
    else
        launch(device, "multiplying with targets", of_ranks ? products<int32_t> : products<double>,
               grid_of((job.rows + side - 1) / side, (job.columns + side - 1) / side), threads,
               2 * depth * (side + 1) * sizeof(double), job);
}

void conclude_all(Device& device, const Conclusion& job) {
    launch(device, "comparing", conclude, grid_of((job.rows + 127) / 128, job.columns), 128, 0, job);
}

void whiten_all(Device& device, const Whitening& job, int64_t rows) {
    launch(device, "whitening", whiten, grid_of(rows), threads, warps * sizeof(double), job);
}

void select_all(Device& device, const Selection& job, int64_t places) {
    launch(device, "taking the pairs that count", select, grid_of(places), threads, threads * sizeof(uint32_t), job);
}

}  // namespace

VectorTargets::VectorTargets(Device& device, const StandardRows& targets, Comparator comparator, TieScale scale, int64_t stimuli,
                             int64_t vectors, bool paired)
    : device_(device), comparator_(comparator), scale_(scale), stimuli_(stimuli), pairs_(targets.pairs), count_(targets.count) {
    const auto& all = targets.of->alike();
    std::vector<int64_t> members(count_), patterns, pattern_of(count_);
    for (int64_t t = 0; t < count_; ++t) members[t] = t;
    if (targets.weights)
        std::stable_sort(members.begin(), members.end(),
                         [&](int64_t a, int64_t b) { return targets.weight_of[a] < targets.weight_of[b]; });
    for (int64_t m = 0; m < count_; ++m) {
        const int64_t pattern = targets.pattern_of(members[m]);
        if (m == 0 || pattern != patterns.back()) {
            members_.push_back({static_cast<int64_t>(patterns.size()), m, 0, 0});
            patterns.push_back(pattern);
            for (auto alike = std::lower_bound(all.begin(), all.end(), pattern,
                                               [](const auto& some, int64_t pattern) { return some.pattern < pattern; });
                 alike != all.end() && alike->pattern == pattern; ++alike)
                members_.back().in_all += alike->to - alike->from;
        }
        ++members_.back().count;
        pattern_of[members[m]] = members_.back().pattern;
    }
    members_in_turn_ = members;
    members_there_ = DeviceBuffer<int64_t>(device, members.data(), count_, "targets");
    counts_.assign(patterns.size(), targets.weights ? 0 : pairs_);
    std::vector<int64_t> places(targets.weights ? patterns.size() * pairs_ : 0);
    for (std::size_t u = 0; targets.weights && u < patterns.size(); ++u)
        for (int64_t p = 0; p < pairs_; ++p)
            if (targets.weights[patterns[u] * pairs_ + p] > 0) places[u * pairs_ + counts_[u]++] = p;
    places_ = DeviceBuffer<int64_t>(device, places.data(), static_cast<int64_t>(places.size()), "pairs that count");
    counts_there_ = DeviceBuffer<int64_t>(device, counts_.data(), static_cast<int64_t>(counts_.size()), "counts");
    pattern_of_ = DeviceBuffer<int64_t>(device, targets.weights ? pattern_of.data() : nullptr, count_, "weight patterns");
    rows_ = DeviceBuffer<double>(device, targets.rows, count_ * pairs_, "targets");
    products_ = DeviceBuffer<double>(device, by_order(comparator) ? 0 : vectors * (paired ? 1 : count_), "products");
    if (is_whitened(comparator)) {
        deviations_ = DeviceBuffer<double>(device, vectors, "deviations");
        means_ = DeviceBuffer<double>(device, vectors * stimuli, "means");
        state_ = DeviceBuffer<char>(device, vectors, "flags");
        device.finish("copying targets");  // before what was copied from goes
        return;
    }
    gathered_ = DeviceBuffer<double>(device, targets.weights ? vectors * pairs_ : 0, "similarities");
    vector_counts_ = DeviceBuffer<int64_t>(device, targets.weights ? vectors : 0, "counts");
    std::vector<int64_t> target_counts(count_);
    for (int64_t t = 0; t < count_; ++t) target_counts[t] = counts_[pattern_of[t]];
    const DeviceBuffer<int64_t> counts(device, target_counts.data(), count_, "counts");
    target_ranks_ = std::make_unique<Ranks>(device, count_, pairs_);
    targets_ = target_ranks_->of(rows_.get(), count_, counts.get(), pairs_, equal_ones());
    ranks_ = std::make_unique<Ranks>(device, vectors, pairs_);
    device.finish("ranking targets");  // before what was copied from goes
}

void VectorTargets::compare(double* similarities, int64_t vectors, double* out) {
    Product product{};
    product.rows = vectors;
    product.pairs = pairs_;
    product.out = products_.get();
    Conclusion end = conclusion_of(comparator_);
    end.products = products_.get();
    end.rows = vectors;
    end.out = out;
    if (is_whitened(comparator_)) {
        whiten_all(device_,
                   {similarities, means_.get(), deviations_.get(), state_.get(), stimuli_, pairs_, is_centred(comparator_), 0},
                   vectors);
        product.vectors = similarities;
        product.targets = rows_.get();
        product.members = end.members = members_there_.get();
        product.count = end.count = pairs_;
        product.columns = end.columns = count_;
        multiply(device_, false, product, members_[0].in_all);  // none of these has weights
        end.deviations = deviations_.get();
        end.state = state_.get();
        return conclude_all(device_, end);
    }
    for (const auto& [pattern, from, some, in_all] : members_) {
        const double* values = similarities;
        const int64_t count = counts_[pattern];
        if (gathered_.get()) {
            launch(device_, "taking the pairs that count", gather, grid_of((pairs_ + threads - 1) / threads, vectors), threads, 0,
                   similarities, places_.get(), counts_there_.get(), nullptr, nullptr, pattern, pairs_, gathered_.get(), nullptr);
            values = gathered_.get();
        }
        const RankedRows ranked = ranks_->of(values, vectors, nullptr, count, near_ones(scale_));
        product.count = end.count = count;
        end.vectors = ranked;
        end.targets = targets_;
        if (by_ranks(comparator_)) {
            product.vectors = ranked.ranks;
            product.targets = targets_.ranks;
            product.members = end.members = members_there_.get() + from;
            product.columns = end.columns = some;
            multiply(device_, true, product, in_all);
            conclude_all(device_, end);
            continue;
        }
        end.products = nullptr;
        end.columns = 1;
        for (int64_t m = from; m < from + some; ++m) {
            end.members = members_there_.get() + m;
            end.orders = ranks_->against(targets_.ranks + members_in_turn_[m] * pairs_, nullptr, 0);
            conclude_all(device_, end);
        }
    }
}

void VectorTargets::compare_each(double* similarities, int64_t vectors, const int64_t* target_of, double* out) {
    Product product{};
    product.rows = vectors;
    product.pairs = product.count = pairs_;
    product.columns = 1;
    product.target_of = target_of;
    product.out = products_.get();
    Conclusion end = conclusion_of(comparator_);
    end.products = products_.get();
    end.rows = vectors;
    end.count = pairs_;
    end.columns = 1;
    end.target_of = target_of;
    end.out = out;
    if (is_whitened(comparator_)) {
        whiten_all(device_,
                   {similarities, means_.get(), deviations_.get(), state_.get(), stimuli_, pairs_, is_centred(comparator_), 0},
                   vectors);
        product.vectors = similarities;
        product.targets = rows_.get();
        multiply(device_, false, product, 1);
        end.deviations = deviations_.get();
        end.state = state_.get();
        return conclude_all(device_, end);
    }
    const double* values = similarities;
    if (gathered_.get()) {
        launch(device_, "taking the pairs that count", gather, grid_of((pairs_ + threads - 1) / threads, vectors), threads, 0,
               similarities, places_.get(), counts_there_.get(), pattern_of_.get(), target_of, int64_t{0}, pairs_,
               gathered_.get(), vector_counts_.get());
        values = gathered_.get();
        product.counts = end.counts = vector_counts_.get();
    }
    end.vectors = ranks_->of(values, vectors, end.counts, pairs_, near_ones(scale_));
    end.targets = targets_;
    if (by_ranks(comparator_)) {
        product.vectors = end.vectors.ranks;
        product.targets = targets_.ranks;
        multiply(device_, true, product, 1);
    } else {
        end.products = nullptr;
        end.orders = ranks_->against(targets_.ranks, target_of, pairs_);
    }
    conclude_all(device_, end);
}

void compare_vectors(Device& device, Comparator comparator, TieScale scale, int64_t stimuli, const TargetRows& from,
                     const TargetsAmong::Comparison& with, bool strict, double* alignments, int64_t* undefined) {
    const int64_t pairs = from.pairs, places = with.count * with.spaces;
    const auto room = static_cast<int64_t>(device.available_bytes() / 4);
    const int64_t each = 16 * pairs + 2 * Ranks::bytes(pairs) + 16 * stimuli + 64;
    const int64_t at_once = std::clamp<int64_t>(std::min(batch_bytes, room) / each, 1, std::min(places, Ranks::most_rows));
    const bool whitened = is_whitened(comparator);
    const DeviceBuffer<double> similarities(device, at_once * pairs, "similarities"), targets(device, at_once * pairs, "targets"),
        dot(device, at_once, "products"), deviations(device, whitened ? at_once : 0, "deviations"),
        means(device, whitened ? at_once * stimuli : 0, "means");
    const DeviceBuffer<char> state(device, whitened ? at_once : 0, "flags");
    const DeviceBuffer<int64_t> counts(device, at_once, "counts"), lost(device, at_once, "counts");
    Ranks of_vectors(device, whitened ? 0 : at_once, pairs), of_targets(device, whitened ? 0 : at_once, pairs);
    for (int64_t first = 0; first < places; first += at_once) {
        const int64_t now = std::min(at_once, places - first);
        int64_t* const left_out = undefined ? undefined + first : lost.get();
        select_all(device, {from, with, first, similarities.get(), targets.get(), counts.get(), left_out}, now);
        Product product{};
        product.pairs = product.count = pairs;
        product.rows = now;
        product.columns = 1;
        product.counts = counts.get();
        product.vectors = similarities.get();
        product.targets = targets.get();
        product.out = dot.get();
        Conclusion end = conclusion_of(comparator);
        end.products = dot.get();
        end.rows = now;
        end.columns = 1;
        end.counts = counts.get();
        end.undefined = left_out;
        end.strict = strict || whitened;  // pairs that are left out can't be whitened
        end.out = alignments + first;
        if (whitened) {
            const int centred = is_centred(comparator);
            whiten_all(device, {similarities.get(), means.get(), deviations.get(), state.get(), stimuli, pairs, centred, 0}, now);
            whiten_all(device, {targets.get(), means.get(), nullptr, nullptr, stimuli, pairs, centred, 1}, now);
            multiply(device, false, product, 1);
            end.deviations = deviations.get();
            end.state = state.get();
        } else {
            end.vectors = of_vectors.of(similarities.get(), now, counts.get(), pairs, near_ones(scale));
            end.targets = of_targets.of(targets.get(), now, counts.get(), pairs, equal_ones());
            product.vectors = end.vectors.ranks;
            product.targets = end.targets.ranks;
            if (by_ranks(comparator)) {
                multiply(device, true, product, 1);
            } else {
                end.products = nullptr;
                end.orders = of_vectors.against(end.targets.ranks, nullptr, pairs);
            }
        }
        conclude_all(device, end);
    }
    device.finish("comparing");  // before the memory goes
}

void standardise_vectors(Device& device, Comparator comparator, int64_t stimuli, const TargetRows& from, int64_t targets,
                         double* rows) {
    select_all(device, {from, {0, targets, nullptr, nullptr, 0, 1}, 0, nullptr, rows, nullptr, nullptr}, targets);
    if (!is_whitened(comparator)) return;
    const DeviceBuffer<double> means(device, targets * stimuli, "means");
    whiten_all(device, {rows, means.get(), nullptr, nullptr, stimuli, from.pairs, is_centred(comparator), 1}, targets);
}

}  // namespace secateur::cuda
