#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/among.hpp"
#include "core/failure.hpp"
#include "core/space.hpp"
#include "core/targets.hpp"

namespace secateur::cpu {

namespace {

// One thread's memory.
struct Scratch {
    SpaceBuilder builder;
    Space space;
    Buffer similarities, weights;
    CompareScratch look;
    std::vector<int64_t> features;
    Scratch(int64_t stimuli, int64_t pairs)
        : builder(stimuli, 1), space(stimuli), similarities(pairs), weights(pairs), look(stimuli, pairs) {}
};

// Alignment of target t over the pairs where the similarities are defined.
double align(const Targets& targets, int64_t t, int64_t stimuli, int64_t pairs, const double* similarities, Metric metric,
             Comparator comparator, Buffer& weights, CompareScratch& look, int64_t& undefined) {
    static constexpr int64_t own = 0;
    Targets one{targets.values + t * pairs, 1, nullptr, &own, 1};
    if (targets.weights) one.weights = targets.weights + targets.weight_of[t] * pairs;
    undefined = 0;
    for (int64_t p = 0; p < pairs; ++p) {
        weights[p] = one.weights ? one.weights[p] : 1;
        if (!std::isnan(similarities[p])) continue;
        undefined += weights[p] > 0;
        weights[p] = 0;
    }
    if (undefined > 0) one.weights = weights.get();
    if (undefined > 0 && is_whitened(comparator)) return 0;  // refused by the caller
    const StandardTargets standard(one, stimuli, pairs, tie_scale_of(metric), comparator, 1);
    standard.look_at(0, similarities, look);
    return standard.alignment(0, similarities, look);
}

}  // namespace

void held_out_alignment(const Features& all, const Targets& source, Metric metric, Comparator comparator, Indices stimuli,
                        const bool* kept, const Context& context, double* out, int64_t* undefined, Accelerator* elsewhere,
                        AcceleratedTargets* targets_elsewhere) {
    const int64_t d = all.count, count = source.count;
    const Among among(all, source, stimuli, context);
    const Features& x = among.features;
    const int64_t n = x.stimuli, pairs = x.pairs();
    if (elsewhere) {
        const auto part = stimuli.values ? elsewhere->among(stimuli) : nullptr;
        const HeldOutPlan plan{metric,
                               is_centred(comparator),
                               among.positions(),
                               among.targets.weights,
                               among.targets.weight_of,
                               among.targets.patterns,
                               count,
                               kept};
        (part ? *part : *elsewhere).held_out_alignment(*targets_elsewhere, plan, context, out, undefined);
        return context.throw_if_stopped();
    }
    Buffer whole(kept ? 0 : pairs);
    if (!kept) {
        std::vector<int64_t> everything(d);
        std::iota(everything.begin(), everything.end(), int64_t{0});
        finish(space_of(x, metric, {everything.data(), d}, context, nullptr), n, metric, whole.get());
    }
    std::vector<Scratch> scratch;
    for (int t = 0; t < context.threads; ++t) scratch.emplace_back(n, pairs);
    FirstFailure failure;
#pragma omp parallel for schedule(dynamic) num_threads(context.threads) if (context.threads > 1)
    for (int64_t t = 0; t < count; ++t) {
        if (context.stop(omp_thread())) continue;
        failure.guard([&] {
            Scratch& own = scratch[omp_thread()];
            if (kept) {
                own.features.clear();
                for (int64_t k = 0; k < d; ++k)
                    if (kept[t * d + k]) own.features.push_back(k);
                own.builder.build(x, metric, {own.features.data(), static_cast<int64_t>(own.features.size())}, -1, own.space);
                finish(own.space, n, metric, own.similarities.get());
            }
            const double* similarities = kept ? own.similarities.get() : whole.get();
            out[t] = align(among.targets, t, n, pairs, similarities, metric, comparator, own.weights, own.look, undefined[t]);
        });
    }
    failure.rethrow();
    context.throw_if_stopped();
    const int64_t most = is_whitened(comparator) ? *std::max_element(undefined, undefined + count) : 0;
    if (most > 0)
        throw std::invalid_argument("X must give every stimulus a direction for a whitened comparator, got " +
                                    std::to_string(most) + " undefined pairs");
}

}  // namespace secateur::cpu
