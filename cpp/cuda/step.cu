// One feature comes or goes, from a space that is made on the device and stays there: under the searches step by step and the one
// by ranking. Over goes which features are inside; back come the stimuli's own sums and a few sums over pairs, from which the
// core says when updates can't be trusted, and which candidates these are.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/targets.hpp"
#include "verbs.hpp"

namespace secateur::cuda {

namespace {

constexpr int threads = 256, measured = 4;
constexpr int64_t pairs_a_slice = 1 << 16, most_slices = 256, most_in_a_batch = 32768;

// One block a slice of the pairs and a weight pattern, or (the first) none. out (slices, 1 + patterns, measured): as SpaceSums
// has them, in its order.
__global__ void __launch_bounds__(threads) measure(const double* similarities, const double* pair, int64_t pairs,
                                                   double orientation, const double* weights, double* out) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const int64_t pattern = int64_t{blockIdx.x} - 1, slice = (pairs + gridDim.y - 1) / gridDim.y, from = blockIdx.y * slice,
                  to = min(from + slice, pairs);
    const double* w = pattern >= 0 && weights ? weights + pattern * pairs : nullptr;
    double sums[measured] = {};
    for (int64_t p = from + threadIdx.x; p < to; p += threads) {
        const double weight = w ? w[p] : 1.0, value = orientation * similarities[p], sum = pair[p];
        if (pattern < 0) sums[3] = fmax(sums[3], std::fabs(sum));
        if (!(weight > 0) || std::isnan(value)) continue;
        sums[0] += pattern < 0 ? 1.0 : weight * sum;
        sums[1] += weight * value * value;
        if (pattern < 0) sums[2] += value;
    }
    for (int m = 0; m < 3; ++m) sums[m] = over_block(sums[m], shared, plus);
    sums[3] = over_block(sums[3], shared, [](double a, double b) { return fmax(a, b); });
    if (threadIdx.x != 0) return;
    for (int m = 0; m < measured; ++m) out[(int64_t{blockIdx.y} * gridDim.x + blockIdx.x) * measured + m] = sums[m];
}

// One block a list: features (lists, length), lengths (lists): the subset with a feature behind it (`positions` null), or without
// the one at a position.
__global__ void __launch_bounds__(threads) list_changed(const int64_t* subset, const int64_t* come, const int64_t* positions,
                                                        int64_t length, int64_t* features, int64_t* lengths) {
    const int64_t row = blockIdx.x;
    for (int64_t k = threadIdx.x; k < length; k += threads)
        features[row * length + k] = positions ? subset[k < positions[row] ? k : k + 1] : k + 1 == length ? come[row] : subset[k];
    if (threadIdx.x == 0) lengths[row] = length;
}

// values (targets, count), in the columns of some candidates := sign * alignments (candidates, targets).
__global__ void put_columns(const double* alignments, double sign, const int64_t* columns, int64_t targets, int64_t count,
                            double* values) {
    const int64_t t = int64_t{blockIdx.y} * blockDim.x + threadIdx.x;
    if (t < targets) values[t * count + columns[blockIdx.x]] = sign * alignments[blockIdx.x * targets + t];
}

}  // namespace

Step::Step(Device& device, const Features& x, Precision precision, const StepPlan& given, const Context& context)
    : device_(device),
      x_(x),
      precision_(precision),
      given_(given),
      context_(context),
      plan_(given.plan),
      subset_(device, plan_.subset.values, plan_.subset.count, "a subset"),
      size_(device, &plan_.subset.count, 1, "its length"),
      spaces_(device, x, plan_.metric, 1, 0, true),
      space_(spaces_.whole({subset_.get(), size_.get(), 1, plan_.subset.count})) {}

SpaceSums Step::sums_of_pairs(const double* weights, int64_t patterns) const {
    const int64_t pairs = x_.pairs(), columns = 1 + (weights ? patterns : 1),
                  slices = std::clamp<int64_t>(pairs / pairs_a_slice, 1, most_slices);
    const DeviceBuffer<double> there(device_, slices * columns * measured, "sums");
    launch(device_, "measuring the space", measure, grid_of(columns, slices), threads, threads * sizeof(double),
           space_.similarities, space_.pair, pairs, traits_of(plan_.metric).orientation, weights, there.get());
    std::vector<double> parts(slices * columns * measured);
    there.download(parts.data());
    SpaceSums sums;
    sums.weighted.resize(patterns);
    sums.weighted_squares.resize(patterns);
    for (int64_t s = 0; s < slices; ++s) {
        const double* part = parts.data() + s * columns * measured;
        sums.defined += part[0];
        sums.squares += part[1];
        sums.total += part[2];
        sums.largest = std::max(sums.largest, part[3]);
        for (int64_t u = 0; u < patterns; ++u) {
            const double* own = part + (1 + (weights ? u : 0)) * measured;
            sums.weighted[u] += own[0];
            sums.weighted_squares[u] += own[1];
        }
    }
    return sums;
}

void Step::prepare(const double* weights) {
    std::vector<double> own(x_.stimuli);
    const std::size_t bytes = own.size() * sizeof(double);
    device_.download(own.data(), space_.own, bytes, bytes, bytes);
    plan_.sums = sums_of_pairs(weights, plan_.targets.patterns);
    plan_.guards = given_.guards(own.data(), plan_.sums);
}

bool Step::values(const TargetsAmong& among, int64_t first, const StandardRows& targets, double* values) const {
    std::vector<char> needs_recompute(plan_.candidates.count, given_.no_updates);
    if (!given_.no_updates) {
        OneFeaturePlan plan = plan_;
        plan.targets = targets;
        one_feature(device_, x_, precision_, plan, space_, context_, values, needs_recompute.data());
    }
    std::vector<int64_t> places;
    for (int64_t c = 0; c < plan_.candidates.count; ++c)
        if (needs_recompute[c]) places.push_back(c);
    if (!places.empty() && !context_.stop(0)) make_anew(among, first, targets.count, places, values);
    return !context_.stop(0);
}

void Step::make_anew(const TargetsAmong& among, int64_t first, int64_t targets, const std::vector<int64_t>& places,
                     double* values) const {
    const auto count = static_cast<int64_t>(places.size());
    const bool adding = plan_.sign > 0;
    const int64_t length = plan_.subset.count + plan_.sign;
    std::vector<int64_t> moved, position(adding ? 0 : x_.count);
    for (int64_t s = 0; !adding && s < plan_.subset.count; ++s) position[plan_.subset.values[s]] = s;
    for (const int64_t c : places) moved.push_back(adding ? plan_.candidates.values[c] : position[plan_.candidates.values[c]]);
    Spaces spaces(device_, x_, plan_.metric, count, 8 * (length + 2) + targets * (8 + among.bytes_compared()));
    const DeviceBuffer<double> alignments(device_, spaces.at_once() * targets, "alignments");
    const DeviceBuffer<int64_t> lists(device_, spaces.at_once() * length, "lists of features"),
        lengths(device_, spaces.at_once(), "lengths"), columns(device_, places.data(), count, "features"),
        moving(device_, moved.data(), count, "features");
    for (int64_t from = 0; from < count && !context_.stop(0); from += spaces.at_once()) {
        const int64_t now = std::min(spaces.at_once(), count - from);
        launch(device_, "listing features", list_changed, grid_of(now), threads, 0, subset_.get(),
               adding ? moving.get() + from : nullptr, adding ? nullptr : moving.get() + from, length, lists.get(),
               lengths.get());
        const double* similarities = spaces.of({lists.get(), lengths.get(), now, length});
        among.compared({first, targets, nullptr, similarities, 0, now}, true, alignments.get(), nullptr);
        launch(device_, "putting alignments in their place", put_columns, grid_of(now, (targets + threads - 1) / threads),
               threads, 0, alignments.get(), traits_of(plan_.metric).orientation, columns.get() + from, targets,
               plan_.candidates.count, values);
    }
    device_.finish("making spaces anew");  // before what was copied from goes
}

void step(Device& device, const Features& x, Precision precision, LoadedTargets& loaded, const StepPlan& plan,
          const Context& context, double* out) {
    const StandardRows& targets = plan.plan.targets;
    const Indices candidates = plan.plan.candidates;
    const double orientation = traits_of(plan.plan.metric).orientation;
    const TargetsAmong& among = loaded.whole(targets.of->comparator, tie_scale_of(plan.plan.metric));
    Step step(device, x, precision, plan, context);
    if (candidates.count < x.count) {  // of the others: as it is
        const DeviceBuffer<double> alignments(device, targets.count, "alignments");
        std::vector<double> own(targets.count);
        among.compared({0, targets.count, nullptr, step.space().similarities, 0, 1}, true, alignments.get(), nullptr);
        alignments.download(own.data());
        for (int64_t t = 0; t < targets.count; ++t) std::fill_n(out + t * x.count, x.count, own[t]);
    }
    if (candidates.count == 0) return;
    step.prepare(targets.weights ? among.weights() : nullptr);
    const int64_t largest = std::clamp<int64_t>(static_cast<int64_t>(device.available_bytes() / 4) / 8 / candidates.count, 1,
                                                std::min(targets.count, most_in_a_batch));
    const DeviceBuffer<double> values(device, largest * candidates.count, "alignments");
    std::vector<double> found(largest * candidates.count);
    for (int64_t first = 0; first < targets.count; first += largest) {
        const int64_t count = std::min(largest, targets.count - first);
        if (!step.values(among, first, targets.part(first, count, targets.rows + first * x.pairs()), values.get())) return;
        values.download(found.data(), 1, count * candidates.count, count * candidates.count);
        for (int64_t t = 0; t < count; ++t)
            for (int64_t c = 0; c < candidates.count; ++c)
                out[(first + t) * x.count + candidates.values[c]] = orientation * found[t * candidates.count + c];
    }
}

}  // namespace secateur::cuda
