// A search by ranking whose matrices (targets, features) stay on the device: leave-one-out, the order of importance, insertion,
// the best prefix. What an update can't be trusted with is made anew, from spaces built of the features, and put in its place.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/targets.hpp"
#include "space.hpp"
#include "verbs.hpp"

namespace secateur::cuda {

namespace {

constexpr int threads = 256, sorters = 512, digit = 4, buckets = 1 << digit;
constexpr int64_t batch_bytes = int64_t{1} << 32, most_in_a_batch = 32768;

// Integers that ascend where values descend; NaN as if infinite.
__device__ uint64_t key_of(double value) {
    if (std::isnan(value)) value = INFINITY;
    if (value == 0) value = 0.0;  // no sign
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 63 ? bits : ~bits ^ (uint64_t{1} << 63);
}

// One block a target: importance = baseline - alignment without the feature, in place, and the places of its values, largest
// first, ties by place. A radix sort: each thread counts and moves its own stretch, so that equal digits keep their order. keys,
// places: (2, targets, count), where blocks sort to and fro.
__global__ void __launch_bounds__(sorters, 1)
    order_by_importance(double* values, const double* baseline, double sign, int64_t count, uint64_t* keys, uint32_t* places,
                        int64_t* order) {
    uint32_t* counts = reinterpret_cast<uint32_t*>(block_memory);       // (buckets, sorters)
    uint32_t* sums = counts + buckets * sorters;                        // (sorters)
    uint64_t* differing = reinterpret_cast<uint64_t*>(sums + sorters);  // (sorters)
    const int64_t row = blockIdx.x, rows = gridDim.x;
    const int64_t each = (count + sorters - 1) / sorters;
    const int64_t from = min(int64_t{threadIdx.x} * each, count), to = min(from + each, count);
    uint64_t *key = keys + row * count, *next_key = keys + (rows + row) * count;
    uint32_t *place = places + row * count, *next_place = places + (rows + row) * count;
    const uint64_t first = key_of(baseline[row] - sign * values[row * count]);
    __syncthreads();  // before a thread overwrites the first value
    uint64_t differs = 0;
    for (int64_t k = threadIdx.x; k < count; k += sorters) {
        const double importance = baseline[row] - sign * values[row * count + k];
        values[row * count + k] = importance;
        key[k] = key_of(importance);
        place[k] = static_cast<uint32_t>(k);
        differs |= key[k] ^ first;
    }
    differs = over_block(differs, differing, [](uint64_t a, uint64_t b) { return a | b; });
    for (int shift = 0; shift < 64; shift += digit) {
        if (!(differs >> shift & (buckets - 1))) continue;  // the same for the whole block
        for (int b = 0; b < buckets; ++b) counts[b * sorters + threadIdx.x] = 0;
        for (int64_t k = from; k < to; ++k) ++counts[(key[k] >> shift & (buckets - 1)) * sorters + threadIdx.x];
        __syncthreads();
        // Where each thread's share of each bucket begins: sums over all that lies before, bucket by bucket.
        uint32_t sum = 0;
        for (int b = 0; b < buckets; ++b) sum += counts[threadIdx.x * buckets + b];
        uint32_t start = sum_before(sum, sums);
        for (int b = 0; b < buckets; ++b) {
            const uint32_t here = counts[threadIdx.x * buckets + b];
            counts[threadIdx.x * buckets + b] = start;
            start += here;
        }
        __syncthreads();
        for (int64_t k = from; k < to; ++k) {
            const uint32_t at = counts[(key[k] >> shift & (buckets - 1)) * sorters + threadIdx.x]++;
            next_key[at] = key[k];
            next_place[at] = place[k];
        }
        __syncthreads();
        uint64_t* const keys_now = key;
        key = next_key;
        next_key = keys_now;
        uint32_t* const places_now = place;
        place = next_place;
        next_place = places_now;
    }
    for (int64_t k = threadIdx.x; k < count; k += sorters) order[row * count + k] = place[k];
}

// One block a target: the curve, oriented in place; length, alignment and support of its best prefix (cpu/ranking.cpp).
__global__ void __launch_bounds__(threads) keep_prefix(double* curve, const int64_t* order, double sign, int64_t count,
                                                       PrefixRule rule, int64_t* length, double* alignment, bool* support) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const int64_t row = blockIdx.x;
    double *values = curve + row * count, highest = -INFINITY;
    for (int64_t s = threadIdx.x; s < count; s += threads) {
        values[s] *= sign;
        support[row * count + s] = false;
        if (s >= rule.least - 1 && s < rule.most) highest = fmax(highest, values[s]);
    }
    highest = over_block(highest, shared, [](double a, double b) { return fmax(a, b); });
    double earliest = INFINITY;
    if (highest > -INFINITY)
        for (int64_t s = threadIdx.x; s < count; s += threads)
            if (s >= rule.least - 1 && s < rule.most && values[s] >= highest - rule.tie)
                earliest = fmin(earliest, static_cast<double>(s + 1));
    earliest = over_block(earliest, shared, [](double a, double b) { return fmin(a, b); });
    const int64_t kept = earliest < INFINITY ? static_cast<int64_t>(earliest) : 0;
    for (int64_t s = threadIdx.x; s < kept; s += threads) support[row * count + order[row * count + s]] = true;
    if (threadIdx.x != 0) return;
    length[row] = kept;
    alignment[row] = kept > 0 ? values[kept - 1] : static_cast<double>(NAN);
}

// Where a flag is set, in any order; found: how many.
__global__ void find(const char* flags, int64_t size, unsigned long long* found, int64_t* places) {
    const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (at < size && flags[at]) places[atomicAdd(found, 1ull)] = at;
}

// One block a list: features (lists, stride): the beginning of a target's order, of its length.
__global__ void list_beginnings(const int64_t* order, int64_t count, const int64_t* targets, const int64_t* lengths,
                                int64_t stride, int64_t* features) {
    const int64_t row = blockIdx.x;
    for (int64_t k = threadIdx.x; k < lengths[row]; k += threads) features[row * stride + k] = order[targets[row] * count + k];
}

// values (targets, count) behind so many steps of some targets := sign * alignments (places).
__global__ void put_steps(const double* alignments, double sign, const int64_t* targets, const int64_t* steps, int64_t places,
                          int64_t count, double* values) {
    const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (at < places) values[targets[at] * count + steps[at] - 1] = sign * alignments[at];
}

// A part of the targets, and what is made for them: (targets, features), on the device.
struct Part {
    int64_t first, count;
    StandardRows targets;
    double *values, *curve;
    int64_t* order;
    char* flags;
};

class Insertion {
  public:
    Insertion(Device& device, const Features& x, Metric metric, const TargetsAmong& among, const Context& context)
        : device_(device), x_(x), metric_(metric), among_(among), context_(context) {}

    // The curves of the orders, not oriented. False if asked to stop.
    bool curves(const Part& part) const {
        const int64_t size = part.count * x_.count;
        insertion_curve(device_, x_, {metric_, part.targets, {part.order, part.count, x_.count}}, context_, part.curve,
                        part.flags);
        if (context_.stop(0)) return false;
        if (!by_moments(part.targets.of->comparator)) return true;  // there no step is in doubt
        DeviceBuffer<unsigned long long> found(device_, 1, "a count");
        const DeviceBuffer<int64_t> places(device_, size, "places");
        found.zero();
        launch(device_, "looking for flags", find, grid_of((size + threads - 1) / threads), threads, 0, part.flags, size,
               found.get(), places.get());
        unsigned long long count = 0;
        found.download(&count);
        if (count == 0) return true;
        std::vector<int64_t> flagged(count);
        places.download(flagged.data(), 1, static_cast<int64_t>(count), static_cast<int64_t>(count));
        insert_anew(part, flagged);
        return !context_.stop(0);
    }

  private:
    Device& device_;
    const Features x_;
    const Metric metric_;
    const TargetsAmong& among_;
    const Context& context_;

    void insert_anew(const Part& part, const std::vector<int64_t>& places) const {
        const auto count = static_cast<int64_t>(places.size());
        std::vector<int64_t> rows, steps;
        for (const int64_t place : places) {
            rows.push_back(place / x_.count);
            steps.push_back(place % x_.count + 1);
        }
        const int64_t longest = *std::max_element(steps.begin(), steps.end());
        Spaces spaces(device_, x_, metric_, count, 8 * longest);
        const DeviceBuffer<int64_t> targets(device_, rows.data(), count, "places"),
            lengths(device_, steps.data(), count, "lengths"), lists(device_, spaces.at_once() * longest, "lists of features");
        const DeviceBuffer<double> alignments(device_, count, "alignments");
        for (int64_t from = 0; from < count && !context_.stop(0); from += spaces.at_once()) {
            const int64_t now = std::min(spaces.at_once(), count - from);
            launch(device_, "listing features", list_beginnings, grid_of(now), threads, 0, part.order, x_.count,
                   targets.get() + from, lengths.get() + from, longest, lists.get());
            const double* similarities = spaces.of({lists.get(), lengths.get() + from, now, longest});
            among_.compared({part.first, now, targets.get() + from, similarities, x_.pairs(), 1}, true, alignments.get() + from,
                            nullptr);
        }
        launch(device_, "putting alignments in their place", put_steps, grid_of((count + threads - 1) / threads), threads, 0,
               alignments.get(), traits_of(metric_).orientation, targets.get(), lengths.get(), count, x_.count, part.curve);
        device_.finish("inserting features");  // before what was copied from goes
    }
};

}  // namespace

bool ranking(Device& device, const Features& x, Precision precision, const LoadedTargets& loaded, const RankingPlan& plan,
             const Context& context, Ranked out) {
    const OneFeaturePlan& removal = plan.leave_one_out.plan;
    const StandardRows& targets = removal.targets;
    const int64_t d = x.count, pairs = x.pairs();
    const Comparator comparator = targets.of->comparator;
    const double sign = traits_of(removal.metric).orientation;
    const TargetsAmong among(device, loaded, plan.positions, targets.weights, targets.weight_of, targets.patterns, targets.count,
                             comparator, tie_scale_of(removal.metric), x.stimuli);
    Step removals(device, x, precision, plan.leave_one_out, context);
    const DeviceBuffer<double> baseline(device, targets.count, "alignments");
    among.compared({0, targets.count, nullptr, removals.space().similarities, 0, 1}, true, baseline.get(), nullptr);
    baseline.download(out.baseline);
    if (std::any_of(out.baseline, out.baseline + targets.count, [](double r) { return std::isnan(r); })) return false;
    if (traits_of(comparator).zero_where_constant && among.any_constant()) return false;
    removals.prepare(among.weights());

    const int64_t each = 8 * pairs + d * (8 + 8 + 8 + 8 + 2 * (8 + 4) + 2) + 16;
    const auto room = static_cast<int64_t>(device.available_bytes() / 3);
    const int64_t largest = std::clamp<int64_t>(std::min(batch_bytes, room) / each, 1, std::min(targets.count, most_in_a_batch));
    DeviceBuffer<double> rows(device, largest * pairs, "targets"), values(device, largest * d, "importances"),
        curve(device, largest * d, "alignments"), alignment(device, largest, "alignments");
    DeviceBuffer<int64_t> order(device, largest * d, "orders"), length(device, largest, "lengths");
    DeviceBuffer<uint64_t> keys(device, 2 * largest * d, "keys");
    DeviceBuffer<uint32_t> places(device, 2 * largest * d, "places");
    DeviceBuffer<bool> support(device, largest * d, "kept features");
    DeviceBuffer<char> flags(device, largest * d, "flags");
    const Insertion insertion(device, x, removal.metric, among, context);
    constexpr std::size_t sorting = (buckets + 1) * sorters * sizeof(uint32_t) + sorters * sizeof(uint64_t);
    for (int64_t first = 0; first < targets.count; first += largest) {
        const int64_t count = std::min(largest, targets.count - first);
        among.standardised(first, count, rows.get());
        const Part part{first,       count,      targets.part(first, count, rows.get()), values.get(), curve.get(),
                        order.get(), flags.get()};
        const auto done = [&](double of_part) {
            return (static_cast<double>(first) + of_part * static_cast<double>(count)) / static_cast<double>(targets.count);
        };
        context.stage(done(0.5));
        if (!removals.values(among, first, part.targets, part.values)) return true;
        launch(device, "ranking features", order_by_importance, grid_of(count), sorters, sorting, values.get(),
               baseline.get() + first, sign, d, keys.get(), places.get(), order.get());
        context.stage(done(1));
        if (!insertion.curves(part)) return true;
        launch(device, "choosing prefixes", keep_prefix, grid_of(count), threads, threads * sizeof(double), curve.get(),
               order.get(), sign, d, plan.rule, length.get(), alignment.get(), support.get());
        if (out.importance) values.download(out.importance + first * d, 1, count * d, count * d);
        if (out.order) order.download(out.order + first * d, 1, count * d, count * d);
        if (out.curve) curve.download(out.curve + first * d, 1, count * d, count * d);
        length.download(out.length + first, 1, count, count);
        alignment.download(out.alignment + first, 1, count, count);
        support.download(out.support + first * d, 1, count * d, count * d);
    }
    return true;
}

}  // namespace secateur::cuda
