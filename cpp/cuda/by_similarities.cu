// Comparators that take more than sums over pairs see the similarities themselves: of each candidate, or of each prefix. These
// are made some vectors at a time, and compared (vectors.hpp).
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/space.hpp"
#include "core/targets.hpp"
#include "vectors.hpp"
#include "verbs.hpp"

namespace secateur::cuda {

namespace {

constexpr int threads = 256;
constexpr int64_t batch_bytes = int64_t{1} << 32, most_targets = 8192, longest_window = 128;

// Which stimuli a pair is of.
__global__ void lay_out_pairs(int64_t n, uint32_t* stimuli) {
    const int64_t i = blockIdx.y, j = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (j > i && j < n) stimuli[row_start(i, n) + j - i - 1] = static_cast<uint32_t>(i << 16 | j);
}

DeviceBuffer<uint32_t> pairs_of(Device& device, int64_t n) {
    DeviceBuffer<uint32_t> stimuli(device, n * (n - 1) / 2, "pairs");
    launch(device, "laying out pairs", lay_out_pairs, grid_of((n + 127) / 128, n), 128, 0, n, stimuli.get());
    return stimuli;
}

// Targets and vectors at a time: as many as there is room for, half of it for each.
struct Batches {
    int64_t targets, vectors;
    // A vector takes `more` beside what comparing it takes, and all together take `fixed`. Throws where not even one target has
    // room with one vector.
    Batches(const Device& device, const StandardRows& all, int64_t stimuli, int64_t more, int64_t fixed, int64_t most) {
        const Comparator comparator = all.of->comparator;
        const int64_t a_target = VectorTargets::bytes_a_target(all, comparator),
                      least = VectorTargets::bytes_a_vector(all, comparator, stimuli, 1) + more;
        expect_room(device, fixed + a_target + least, "comparing similarities, one target and one vector at a time");
        const int64_t room = std::min(batch_bytes, static_cast<int64_t>(device.available_bytes() / 2)) - fixed;
        targets = std::clamp<int64_t>(room / 2 / a_target, 1, std::min(most_targets, all.count));
        vectors =
            std::clamp<int64_t>((room - targets * a_target) / (least + 16 * (targets - 1)), 1, std::min(most, Ranks::most_rows));
    }
};

struct Updates {
    const double* x;  // (n, features)
    int64_t features, n, pairs;
    const double *pair, *own, *mean, *min_norm;  // of the unchanged space
    double weight;
    const int64_t* subset;
    int64_t subset_count;
    const int64_t* candidates;
    const uint32_t* stimuli;
    double *z, *inverse;   // (candidates, n)
    double* similarities;  // (candidates, pairs)
    char* needs_recompute;
};

// Of every stimulus and candidate (blockIdx.y): what it adds, and the inverse norm then.
template <class Rule, int sign>
__global__ void candidate_factors(Updates job) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, c = blockIdx.y;
    if (i >= job.n) return;
    const double value = job.x[i * job.features + job.candidates[c]];
    const double z = Rule::centred ? (value - job.mean[i]) * job.weight : value;
    job.z[c * job.n + i] = z;
    if constexpr (Rule::normalised) {
        const double rest = job.own[i] + sign * (z * z);
        if (rest <= job.min_norm[i]) job.needs_recompute[c] = 1;
        job.inverse[c * job.n + i] = inverse_norm(rest);
    }
}

// Ranks see the last bit: what cancels (to a tie at zero, most often) is summed up again (cpu/one_feature.cpp).
template <class Rule, int sign>
__global__ void __launch_bounds__(threads) candidate_similarities(Updates job) {
    const int64_t p = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, c = blockIdx.y;
    if (p >= job.pairs) return;
    const int64_t i = job.stimuli[p] >> 16, j = job.stimuli[p] & 0xffffu;
    const double zi = job.z[c * job.n + i], zj = job.z[c * job.n + j], before = job.pair[p];
    double value = Rule::template moved<sign>(before, zi, zj);
    if constexpr (sign < 0 && !Rule::centred)
        if (value != before && std::fabs(value) <= removal_guard * std::fabs(before)) {
            value = 0;
            for (int64_t s = 0; s < job.subset_count; ++s) {
                const int64_t f = job.subset[s];
                if (f != job.candidates[c])
                    value = Rule::template moved<1>(value, job.x[i * job.features + f], job.x[j * job.features + f]);
            }
        }
    double ri = 0, rj = 0;
    if constexpr (Rule::normalised) {
        ri = job.inverse[c * job.n + i];
        rj = job.inverse[c * job.n + j];
    }
    job.similarities[c * job.pairs + p] = similarity_of<Rule>(value, ri, rj);
}

// values (targets, candidates): not oriented, as those of one_feature.
__global__ void orient(double* values, int64_t count, double orientation) {
    const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (at < count) values[at] *= orientation;
}
void orient_all(Device& device, Metric metric, double* values, int64_t count) {
    const double orientation = traits_of(metric).orientation;
    if (orientation != 1)
        launch(device, "orienting", orient, grid_of((count + threads - 1) / threads), threads, 0, values, count, orientation);
}

template <class Rule, int sign>
void one_feature_of(Device& device, const Features& x, const OneFeaturePlan& plan, const SpaceThere& space,
                    const Context& context, double* values, char* needs_recompute) {
    const StandardTargets& of = *plan.targets.of;
    const int64_t n = x.stimuli, pairs = x.pairs(), candidates = plan.candidates.count;
    const DeviceBuffer<uint32_t> stimuli = pairs_of(device, n);
    const DeviceBuffer<double> min_norm(device, plan.guards.min_norm.data(), n, "guards");
    const DeviceBuffer<int64_t> subset(device, plan.subset.values, plan.subset.count, "a subset"),
        chosen(device, plan.candidates.values, candidates, "candidates");
    const Batches batches(device, plan.targets, n, 16 * n + 1, 0, candidates);
    const int64_t at_once = batches.vectors;
    for (int64_t first = 0; first < plan.targets.count; first += batches.targets) {
        const int64_t count = std::min(batches.targets, plan.targets.count - first);
        const StandardRows targets = plan.targets.part(first, count, plan.targets.rows + first * pairs);
        VectorTargets compared(device, targets, of.comparator, tie_scale_of(plan.metric), n, at_once, false);
        const DeviceBuffer<double> z(device, at_once * n, "factors"), inverse(device, at_once * n, "norms"),
            similarities(device, at_once * pairs, "similarities"), out(device, at_once * count, "alignments");
        DeviceBuffer<char> flags(device, at_once, "flags");
        std::vector<char> flagged(at_once);
        Updates job{x.values,
                    x.count,
                    n,
                    pairs,
                    space.pair,
                    space.own,
                    space.mean,
                    min_norm.get(),
                    plan.guards.weight,
                    subset.get(),
                    plan.subset.count,
                    chosen.get(),
                    stimuli.get(),
                    z.get(),
                    inverse.get(),
                    similarities.get(),
                    flags.get()};
        for (int64_t c = 0; c < candidates; c += at_once) {
            if (context.stop(0)) return;
            const int64_t now = std::min(at_once, candidates - c);
            job.candidates = chosen.get() + c;
            flags.zero();
            launch(device, "making factors", candidate_factors<Rule, sign>, grid_of((n + 127) / 128, now), 128, 0, job);
            launch(device, "taking similarities", candidate_similarities<Rule, sign>,
                   grid_of((pairs + threads - 1) / threads, now), threads, 0, job);
            compared.compare(similarities.get(), now, out.get());
            orient_all(device, plan.metric, out.get(), count * now);
            out.download(values + first * candidates + c, count, now, candidates);
            flags.download(flagged.data());
            for (int64_t k = 0; k < now; ++k) needs_recompute[c + k] |= flagged[k];
            context.did(static_cast<double>(count * now) / static_cast<double>(plan.targets.count * candidates));
        }
    }
}

// Prefixes of some runs, each through its order.
struct Prefixes {
    const double* x;  // (n, features)
    int64_t features, n, pairs;
    const int64_t* orders;  // (runs, all_steps)
    int64_t all_steps, start, steps;
    const uint32_t* stimuli;
    double *sums, *own, *mean, *centre;  // (runs, pairs), (runs, n): before the steps
    double *z, *inverse;                 // (runs, steps, n)
    double* similarities;                // (runs, steps, pairs)
};

// Of a stimulus and run (blockIdx.y) through the steps.
template <class Rule>
__global__ void step_factors(Prefixes job) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, run = blockIdx.y, at = run * job.n + i;
    if (i >= job.n) return;
    const int64_t* order = job.orders + run * job.all_steps;
    const double* row = job.x + i * job.features;
    // Where centred: the first feature's values are taken from all, for their digits.
    const double centre = !Rule::centred ? 0.0 : job.start == 0 ? row[order[0]] : job.centre[at];
    double own = job.start == 0 ? 0.0 : job.own[at], mean = job.start == 0 ? 0.0 : job.mean[at];
    for (int64_t s = 0; s < job.steps; ++s) {
        const double gap = row[order[job.start + s]] - centre - mean;
        double factor = gap;
        if constexpr (Rule::centred) {
            const auto seen = static_cast<double>(job.start + s);
            factor *= std::sqrt(centring_weight(seen, 1));
            mean += gap / (seen + 1);
        }
        const int64_t to = (run * job.steps + s) * job.n + i;
        job.z[to] = factor;
        if constexpr (Rule::normalised) {
            own += factor * factor;
            job.inverse[to] = inverse_norm(own);
        }
    }
    job.own[at] = own;
    job.mean[at] = mean;
    job.centre[at] = centre;
}

// A pair and run (blockIdx.y) through the steps.
template <class Rule>
__global__ void __launch_bounds__(threads) step_similarities(Prefixes job) {
    const int64_t p = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, run = blockIdx.y;
    if (p >= job.pairs) return;
    const int64_t i = job.stimuli[p] >> 16, j = job.stimuli[p] & 0xffffu;
    const double *z = job.z + run * job.steps * job.n, *inverse = job.inverse + run * job.steps * job.n;
    double sum = job.start == 0 ? 0.0 : job.sums[run * job.pairs + p];
    double* out = job.similarities + run * job.steps * job.pairs + p;
#pragma unroll 4
    for (int64_t s = 0; s < job.steps; ++s) {
        sum = Rule::template moved<1>(sum, z[s * job.n + i], z[s * job.n + j]);
        double ri = 0, rj = 0;
        if constexpr (Rule::normalised) {
            ri = inverse[s * job.n + i];
            rj = inverse[s * job.n + j];
        }
        out[s * job.pairs] = similarity_of<Rule>(sum, ri, rj);
    }
    job.sums[run * job.pairs + p] = sum;
}

// target_of (runs, steps): the run's place.
__global__ void name_targets(int64_t steps, int64_t count, int64_t* target_of) {
    const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (at < count) target_of[at] = at / steps;
}

template <class Rule>
void insertion_of(Device& device, const Features& x, const InsertionPlan& plan, const Context& context, double* values) {
    const StandardTargets& of = *plan.targets.of;
    const int64_t n = x.stimuli, pairs = x.pairs(), steps = plan.orders.steps;
    const bool shared = plan.orders.count == 1;  // one run for all targets
    const DeviceBuffer<uint32_t> stimuli = pairs_of(device, n);
    const int64_t window = std::min(steps, longest_window), more = 16 * n + 8, of_run = 8 * (pairs + 3 * n + steps);
    const Batches batches(device, shared ? plan.targets : plan.targets.part(0, 1, plan.targets.rows), n, more, of_run,
                          shared ? steps : window);
    int64_t runs = 1;
    if (!shared) {  // each with its own target
        const int64_t each = of_run + VectorTargets::bytes_a_target(plan.targets, of.comparator) +
                             batches.vectors * (VectorTargets::bytes_a_vector(plan.targets, of.comparator, n, 1) + more);
        const int64_t room = std::min(batch_bytes, static_cast<int64_t>(device.available_bytes() / 2));
        runs = std::clamp<int64_t>(room / each, 1, std::min(plan.targets.count, Ranks::most_rows / batches.vectors));
    }
    const int64_t largest = shared ? batches.targets : runs, most_steps = batches.vectors;
    for (int64_t first = 0; first < plan.targets.count; first += largest) {
        const int64_t count = std::min(largest, plan.targets.count - first);
        runs = shared ? 1 : count;
        const StandardRows targets = plan.targets.part(first, count, plan.targets.rows + first * pairs);
        VectorTargets compared(device, targets, of.comparator, tie_scale_of(plan.metric), n, runs * most_steps, !shared);
        const DeviceBuffer<double> sums(device, runs * pairs, "inner products"), own(device, runs * n, "norms"),
            mean(device, runs * n, "means"), centre(device, runs * n, "means"), z(device, runs * most_steps * n, "factors"),
            inverse(device, runs * most_steps * n, "norms"), similarities(device, runs * most_steps * pairs, "similarities"),
            out(device, (shared ? count : runs) * most_steps, "alignments");
        const DeviceBuffer<int64_t> orders(device, plan.orders.of(first), runs * steps, "orders"),
            target_of(device, shared ? 0 : runs * most_steps, "targets");
        Prefixes job{x.values,
                     x.count,
                     n,
                     pairs,
                     orders.get(),
                     steps,
                     0,
                     0,
                     stimuli.get(),
                     sums.get(),
                     own.get(),
                     mean.get(),
                     centre.get(),
                     z.get(),
                     inverse.get(),
                     similarities.get()};
        for (int64_t start = 0; start < steps; start += job.steps) {
            if (context.stop(0)) return device.finish("inserting features");  // before what was copied from goes
            job.start = start;
            job.steps = std::min(most_steps, steps - start);
            launch(device, "making factors", step_factors<Rule>, grid_of((n + 63) / 64, runs), 64, 0, job);
            launch(device, "inserting features", step_similarities<Rule>, grid_of((pairs + threads - 1) / threads, runs), threads,
                   0, job);
            const int64_t vectors = runs * job.steps, rows = shared ? count : runs;
            if (shared) {
                compared.compare(similarities.get(), vectors, out.get());
            } else {
                launch(device, "naming targets", name_targets, grid_of((vectors + threads - 1) / threads), threads, 0, job.steps,
                       vectors, target_of.get());
                compared.compare_each(similarities.get(), vectors, target_of.get(), out.get());
            }
            orient_all(device, plan.metric, out.get(), rows * job.steps);
            out.download(values + first * steps + start, rows, job.steps, steps);
            context.did(static_cast<double>(count * job.steps) / static_cast<double>(plan.targets.count * steps));
        }
    }
}

}  // namespace

void one_feature_by_similarities(Device& device, const Features& x, const OneFeaturePlan& plan, const SpaceThere& space,
                                 const Context& context, double* values, char* needs_recompute) {
    with_rule(plan.metric, [&](auto rule) {
        using Rule = decltype(rule);
        if (plan.sign > 0)
            one_feature_of<Rule, 1>(device, x, plan, space, context, values, needs_recompute);
        else
            one_feature_of<Rule, -1>(device, x, plan, space, context, values, needs_recompute);
    });
}

void insertion_by_similarities(Device& device, const Features& x, const InsertionPlan& plan, const Context& context,
                               double* values) {
    with_rule(plan.metric, [&](auto rule) { insertion_of<decltype(rule)>(device, x, plan, context, values); });
}

}  // namespace secateur::cuda
