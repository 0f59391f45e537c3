// Alignments with each target's own features: the similarities of every list of features, then the comparison.
#include <algorithm>
#include <vector>

#include "space.hpp"
#include "verbs.hpp"

namespace secateur::cuda {

namespace {

constexpr int threads = 256;

// One block a target. features (lists, count), lengths (lists): the places where kept (lists, count) is true, ascending.
__global__ void __launch_bounds__(threads) list(const bool* kept, int64_t count, int64_t* features, int64_t* lengths) {
    uint32_t* shared = reinterpret_cast<uint32_t*>(block_memory);
    const int64_t row = blockIdx.x, each = (count + threads - 1) / threads;
    const int64_t from = min(int64_t{threadIdx.x} * each, count), to = min(from + each, count);
    uint32_t own = 0;
    for (int64_t k = from; k < to; ++k) own += kept[row * count + k];
    int64_t at = sum_before(own, shared);
    if (threadIdx.x == threads - 1) lengths[row] = at + own;
    for (int64_t k = from; k < to; ++k)
        if (kept[row * count + k]) features[row * count + at++] = k;
}

}  // namespace

void held_out_alignment(Device& device, const Features& x, const LoadedTargets& loaded, const HeldOutPlan& plan,
                        const Context& context, double* out, int64_t* undefined) {
    const int64_t d = x.count, targets = plan.targets, all = plan.kept ? targets : 1;
    const TargetsAmong among(device, loaded, plan.positions, plan.weights, plan.weight_of, plan.patterns, targets,
                             plan.by.comparator, tie_scale_of(plan.by.metric), x.stimuli);
    DeviceBuffer<double> alignments(device, targets, "alignments");
    DeviceBuffer<int64_t> left_out(device, targets, "counts");
    Spaces spaces(device, x, plan.by.metric, all, 9 * d + 8, !plan.kept);
    DeviceBuffer<bool> kept(device, spaces.at_once() * d, "kept features");
    DeviceBuffer<int64_t> features(device, spaces.at_once() * d, "kept features"), lengths(device, spaces.at_once(), "lengths");
    const std::vector<char> all_features(plan.kept ? 0 : d, 1);
    for (int64_t first = 0; first < all && !context.stop(0); first += spaces.at_once()) {
        const int64_t count = std::min(spaces.at_once(), all - first);
        kept.upload(plan.kept ? plan.kept + first * d : reinterpret_cast<const bool*>(all_features.data()), count * d);
        launch(device, "listing kept features", list, grid_of(count), threads, threads * sizeof(uint32_t), kept.get(), d,
               features.get(), lengths.get());
        const double* similarities = spaces.of({features.get(), lengths.get(), count, d});
        const TargetsAmong::Comparison each{first, count, nullptr, similarities, x.pairs(), 1};
        const TargetsAmong::Comparison shared{0, targets, nullptr, similarities, 0, 1};
        among.compared(plan.kept ? each : shared, false, alignments.get() + first, left_out.get() + first);
    }
    alignments.download(out);
    left_out.download(undefined);
}

}  // namespace secateur::cuda
