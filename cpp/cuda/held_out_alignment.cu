// Alignments with each target's own features: the similarities of every list of features, then the comparison.
#include <algorithm>

#include "device.hpp"

namespace secateur::cuda {

namespace {

constexpr int threads = 128;
constexpr int64_t batch_bytes = 1 << 30, most_in_a_batch = 32768;

// sums (lists, pairs + stimuli) -> similarities (lists, pairs), NaN where undefined.
__global__ void similarities(const double* sums, int64_t n, Metric metric, double* values) {
    const int64_t i = blockIdx.y, j = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, pairs = n * (n - 1) / 2;
    if (j <= i || j >= n) return;
    const double *pair = sums + blockIdx.z * (pairs + n), *own = pair + pairs;
    const int64_t p = row_start(i, n) + j - i - 1;
    values[blockIdx.z * pairs + p] = similarity_of(metric, pair[p], own[i], own[j]);
}

}  // namespace

void held_out_alignment(Device& device, const Features& x, const LoadedTargets& loaded, const HeldOutPlan& plan, int64_t targets,
                        const Context& context, double* out, int64_t* undefined) {
    const int64_t n = x.stimuli, pairs = x.pairs(), size = pairs + n;
    const TargetsAmong among(device, loaded, plan.positions, plan.weights, plan.weight_of, plan.patterns, targets, plan.centred);
    DeviceBuffer<double> alignments(device, targets, "alignments");
    DeviceBuffer<int64_t> left_out(device, targets, "counts");
    const int64_t each = 8 * (size + pairs + n + plan.stride + 1);
    const auto room = static_cast<int64_t>(device.available_bytes() / 3);
    const int64_t largest = std::clamp<int64_t>(std::min(batch_bytes, room) / each, 1, std::min(plan.lists, most_in_a_batch));
    DeviceBuffer<double> sums(device, largest * size, "inner products"), values(device, largest * pairs, "similarities"),
        mean(device, plan.metric == Metric::correlation ? largest * n : 0, "means");
    DeviceBuffer<int64_t> features(device, largest * plan.stride, "kept features"), lengths(device, largest, "lengths");
    for (int64_t first = 0; first < plan.lists && !context.stop(0); first += largest) {
        const int64_t count = std::min(largest, plan.lists - first);
        features.upload(plan.features + first * plan.stride, count * plan.stride);
        lengths.upload(plan.lengths + first, count);
        const Lists lists{features.get(), lengths.get(), count, plan.stride};
        add_up(device, x, plan.metric, lists, mean.get(), sums.get());
        launch(device, "taking similarities", similarities, grid_of((n + threads - 1) / threads, n, count), threads, 0, sums.get(), n,
               plan.metric, values.get());
        if (plan.lists == 1)
            among.compared(0, targets, values.get(), 0, false, alignments.get(), left_out.get());
        else
            among.compared(first, count, values.get(), pairs, false, alignments.get() + first, left_out.get() + first);
    }
    alignments.download(out);
    left_out.download(undefined);
}

}  // namespace secateur::cuda
