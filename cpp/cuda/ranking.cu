// A search by ranking whose matrices (targets, features) stay on the device: leave-one-out, the order of importance, insertion, the best
// prefix. What an update can't be trusted with is recomputed on the host and put in its place.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "device.hpp"

namespace secateur::cuda {

namespace {

constexpr int threads = 256, digit = 4, buckets = 1 << digit;
constexpr int64_t batch_bytes = int64_t{1} << 32, most_in_a_batch = 32768;

// Integers that ascend where values descend; NaN as if infinite.
__device__ uint64_t key_of(double value) {
    if (std::isnan(value)) value = INFINITY;
    if (value == 0) value = 0.0;  // no sign
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 63 ? bits : ~bits ^ (uint64_t{1} << 63);
}

// One block a target: importance = baseline - alignment without the feature, in place, and the places of its values, largest first, ties
// by place. A radix sort: each thread counts and moves its own stretch, so that equal digits keep their order.
// keys, places: (2, targets, count), where blocks sort to and fro.
__global__ void __launch_bounds__(threads, 1)
    rank(double* values, const double* baseline, double sign, int64_t count, uint64_t* keys, uint32_t* places, int64_t* order) {
    uint32_t* counts = reinterpret_cast<uint32_t*>(block_memory);  // (buckets, threads)
    uint32_t* sums = counts + buckets * threads;                   // (threads)
    uint64_t* differing = reinterpret_cast<uint64_t*>(sums + threads);  // (threads)
    const int64_t row = blockIdx.x, rows = gridDim.x;
    const int64_t each = (count + threads - 1) / threads;
    const int64_t from = min(int64_t{threadIdx.x} * each, count), to = min(from + each, count);
    uint64_t *key = keys + row * count, *next_key = keys + (rows + row) * count;
    uint32_t *place = places + row * count, *next_place = places + (rows + row) * count;
    const uint64_t first = key_of(baseline[row] - sign * values[row * count]);
    __syncthreads();  // before a thread overwrites the first value
    uint64_t differs = 0;
    for (int64_t k = threadIdx.x; k < count; k += threads) {
        const double importance = baseline[row] - sign * values[row * count + k];
        values[row * count + k] = importance;
        key[k] = key_of(importance);
        place[k] = static_cast<uint32_t>(k);
        differs |= key[k] ^ first;
    }
    differing[threadIdx.x] = differs;
    __syncthreads();
    for (unsigned half = threads / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) differing[threadIdx.x] |= differing[threadIdx.x + half];
        __syncthreads();
    }
    differs = differing[0];
    for (int shift = 0; shift < 64; shift += digit) {
        if (!(differs >> shift & (buckets - 1))) continue;  // the same for the whole block
        for (int b = 0; b < buckets; ++b) counts[b * threads + threadIdx.x] = 0;
        for (int64_t k = from; k < to; ++k) ++counts[(key[k] >> shift & (buckets - 1)) * threads + threadIdx.x];
        __syncthreads();
        // Where each thread's share of each bucket begins: sums over all that lies before, bucket by bucket.
        uint32_t sum = 0;
        for (int b = 0; b < buckets; ++b) sum += counts[threadIdx.x * buckets + b];
        sums[threadIdx.x] = sum;
        __syncthreads();
        for (unsigned step = 1; step < threads; step *= 2) {
            const uint32_t before = threadIdx.x >= step ? sums[threadIdx.x - step] : 0;
            __syncthreads();
            sums[threadIdx.x] += before;
            __syncthreads();
        }
        uint32_t start = sums[threadIdx.x] - sum;
        for (int b = 0; b < buckets; ++b) {
            const uint32_t here = counts[threadIdx.x * buckets + b];
            counts[threadIdx.x * buckets + b] = start;
            start += here;
        }
        __syncthreads();
        for (int64_t k = from; k < to; ++k) {
            const uint32_t at = counts[(key[k] >> shift & (buckets - 1)) * threads + threadIdx.x]++;
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
    for (int64_t k = threadIdx.x; k < count; k += threads) order[row * count + k] = place[k];
}

// One block a target: the curve, oriented in place; length, alignment and support of its best prefix (cpu/ranking.cpp).
__global__ void __launch_bounds__(threads)
    keep_prefix(double* curve, const int64_t* order, double sign, int64_t count, PrefixRule rule, int64_t* length, double* alignment,
                bool* support) {
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
            if (s >= rule.least - 1 && s < rule.most && values[s] >= highest - rule.tie) earliest = fmin(earliest, static_cast<double>(s + 1));
    earliest = over_block(earliest, shared, [](double a, double b) { return fmin(a, b); });
    const int64_t kept = earliest < INFINITY ? static_cast<int64_t>(earliest) : 0;
    for (int64_t s = threadIdx.x; s < kept; s += threads) support[row * count + order[row * count + s]] = true;
    if (threadIdx.x != 0) return;
    length[row] = kept;
    alignment[row] = kept > 0 ? values[kept - 1] : static_cast<double>(NAN);
}

__global__ void replace(double* values, const int64_t* places, const double* by, int64_t count) {
    const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (at < count) values[places[at]] = by[at];
}

void put(Device& device, double* values, const std::vector<int64_t>& places, const std::vector<double>& by) {
    const auto count = static_cast<int64_t>(places.size());
    const DeviceBuffer<int64_t> to(device, places.data(), count, "places");
    const DeviceBuffer<double> from(device, by.data(), count, "alignments");
    launch(device, "putting alignments in their place", replace, grid_of((count + threads - 1) / threads), threads, 0, values, to.get(),
           from.get(), count);
    device.finish("putting alignments in their place");  // before what was copied from goes
}

// Alignments (targets, features) with each feature left out, on the device. False if asked to stop.
bool leave_one_out(Device& device, const Features& x, Precision precision, const RankingPlan& plan, const StandardRows& targets,
                   int64_t first, const Context& context, const OnHost& x_here, LoadedTargets& loaded, double* values) {
    const int64_t d = x.count;
    std::vector<char> again(d, plan.all_exactly);
    if (!plan.all_exactly) {
        OneFeaturePlan part = plan.leave_one_out;
        part.targets = targets;
        one_feature(device, x, precision, part, context, values, again.data());
    }
    if (context.stop(0)) return false;
    std::vector<int64_t> features, places;
    for (int64_t k = 0; k < d; ++k)
        if (again[k]) features.push_back(k);
    if (features.empty()) return true;
    const auto some = static_cast<int64_t>(features.size());
    std::vector<double> exact(plan.leave_one_out.targets.count * some);
    plan.exactly.left_out(x_here(), loaded.fetched(), features, exact.data());
    if (context.stop(0)) return false;
    for (int64_t t = 0; t < targets.count; ++t)
        for (const int64_t k : features) places.push_back(t * d + k);
    put(device, values, places, {exact.begin() + first * some, exact.begin() + (first + targets.count) * some});
    return true;
}

// The curves (targets, features) of the orders, on the device, not oriented. False if asked to stop.
bool insert(Device& device, const Features& x, const RankingPlan& plan, const StandardRows& targets, int64_t first,
            const Context& context, const OnHost& x_here, LoadedTargets& loaded, const DeviceBuffer<int64_t>& orders, double* curve) {
    const int64_t d = x.count;
    std::vector<char> again(targets.count * d);
    insertion_curve(device, x, {plan.leave_one_out.metric, targets, orders.get(), targets.count, d}, context, curve, again.data());
    if (context.stop(0)) return false;
    std::vector<int64_t> places;
    int64_t longest = 0;
    for (int64_t at = 0; at < targets.count * d; ++at)
        if (again[at]) {
            places.push_back(at);
            longest = std::max(longest, at % d + 1);
        }
    if (places.empty()) return true;
    std::vector<int64_t> beginnings(targets.count * longest);
    orders.download_columns(beginnings.data(), targets.count, longest, d);
    std::vector<Exactly::Place> asked;
    for (const int64_t at : places) asked.push_back({first + at / d, beginnings.data() + at / d * longest, at % d + 1});
    std::vector<double> exact(places.size());
    plan.exactly.inserted(x_here(), loaded.fetched(), asked, exact.data());
    if (context.stop(0)) return false;
    put(device, curve, places, exact);
    return true;
}

}  // namespace

bool ranking(Device& device, const Features& x, Precision precision, LoadedTargets& loaded, const RankingPlan& plan,
             const Context& context, const OnHost& x_here, Ranked out) {
    const StandardRows& targets = plan.leave_one_out.targets;
    const int64_t d = x.count, pairs = x.pairs();
    const double sign = orientation(plan.leave_one_out.metric);
    const TargetsAmong among(device, loaded, plan.positions, targets.weights, targets.weight_of, targets.patterns, targets.count,
                             targets.centred);
    const DeviceBuffer<double> similarities(device, plan.similarities, pairs, "similarities");
    DeviceBuffer<double> baseline(device, targets.count, "alignments");
    among.compared(0, targets.count, similarities.get(), 0, true, baseline.get(), nullptr);
    baseline.download(out.baseline);
    if (std::any_of(out.baseline, out.baseline + targets.count, [](double r) { return std::isnan(r); })) return false;

    const int64_t each = 8 * pairs + d * (8 + 8 + 8 + 2 * (8 + 4) + 1) + 16;
    const auto room = static_cast<int64_t>(device.available_bytes() / 3);
    const int64_t largest = std::clamp<int64_t>(std::min(batch_bytes, room) / each, 1, std::min(targets.count, most_in_a_batch));
    DeviceBuffer<double> rows(device, largest * pairs, "targets"), values(device, largest * d, "importances"),
        curve(device, largest * d, "alignments"), alignment(device, largest, "alignments");
    DeviceBuffer<int64_t> order(device, largest * d, "orders"), length(device, largest, "lengths");
    DeviceBuffer<uint64_t> keys(device, 2 * largest * d, "keys");
    DeviceBuffer<uint32_t> places(device, 2 * largest * d, "places");
    DeviceBuffer<bool> support(device, largest * d, "kept features");
    constexpr std::size_t sorting = (buckets + 1) * threads * sizeof(uint32_t) + threads * sizeof(uint64_t);
    for (int64_t first = 0; first < targets.count; first += largest) {
        const int64_t count = std::min(largest, targets.count - first);
        among.standardised(first, count, rows.get());
        const StandardRows part = targets.part(first, count, rows.get());
        if (!leave_one_out(device, x, precision, plan, part, first, context, x_here, loaded, values.get())) return true;
        launch(device, "ranking features", rank, grid_of(count), threads, sorting, values.get(), baseline.get() + first, sign, d,
               keys.get(), places.get(), order.get());
        if (!insert(device, x, plan, part, first, context, x_here, loaded, order, curve.get())) return true;
        launch(device, "choosing prefixes", keep_prefix, grid_of(count), threads, threads * sizeof(double), curve.get(), order.get(), sign,
               d, plan.rule, length.get(), alignment.get(), support.get());
        values.download(out.importance + first * d, 1, count * d, count * d);
        if (out.order) order.download(out.order + first * d, 1, count * d, count * d);
        if (out.curve) curve.download(out.curve + first * d, 1, count * d, count * d);
        length.download(out.length + first, 1, count, count);
        alignment.download(out.alignment + first, 1, count, count);
        support.download(out.support + first * d, 1, count * d, count * d);
    }
    return true;
}

}  // namespace secateur::cuda
