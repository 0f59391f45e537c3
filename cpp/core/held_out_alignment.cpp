#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/among.hpp"
#include "core/failure.hpp"
#include "core/space.hpp"
#include "core/targets.hpp"
#include "core/verbs.hpp"

namespace secateur {

namespace {

// One thread's memory.
struct Scratch {
    FreshSimilarities fresh;
    Buffer weights;
    CompareScratch compare_scratch;
    std::vector<int64_t> features;
    Scratch(int64_t stimuli, int64_t pairs, const Context& context)
        : fresh(stimuli), weights(pairs), compare_scratch(stimuli, pairs, 1, &context) {}
};

// Alignment of target t over the pairs where the similarities are defined.
double align(const Targets& targets, int64_t t, int64_t stimuli, int64_t pairs, const double* similarities, Measures by,
             Buffer& weights, CompareScratch& compare_scratch, const Context& context, int64_t& undefined) {
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
    if (undefined > 0 && is_whitened(by.comparator)) return 0;  // refused by the caller
    const StandardTargets standard(one, stimuli, pairs, tie_scale_of(by.metric), by.comparator, 1, context);
    standard.prepare(0, similarities, compare_scratch);
    return standard.alignment(0, similarities, compare_scratch);
}

void refuse_undefined(Comparator comparator, const int64_t* undefined, int64_t count) {
    const int64_t most = is_whitened(comparator) ? *std::max_element(undefined, undefined + count) : 0;
    if (most > 0)
        throw std::invalid_argument("X must give every stimulus a direction for a whitened comparator, got " +
                                    std::to_string(most) + " undefined pairs");
}

}  // namespace

void held_out_alignment(Engine& all, const Targets& source, Measures by, Indices stimuli, const bool* kept,
                        const Context& context, double* out, int64_t* undefined) {
    const auto part = stimuli.values ? all.among(stimuli) : nullptr;
    Engine& engine = part ? *part : all;
    const TargetsAmong among(source, all.stimuli, stimuli, context);
    const Targets& targets = among.targets;
    const int64_t n = engine.stimuli, pairs = engine.pairs(), d = engine.features, count = source.count;
    const HeldOutPlan plan{by, among.positions(), targets.weights, targets.weight_of, targets.patterns, count, kept};
    if (engine.held_out_alignment(source, plan, context, out, undefined)) {
        context.throw_if_stopped();
        return refuse_undefined(by.comparator, undefined, count);
    }
    const Features x = engine.host_features();
    Buffer whole(kept ? 0 : pairs);
    if (!kept) similarity(engine, by.metric, {all_features(d).data(), d}, context, whole.get());
    std::vector<Scratch> scratch;
    for (int t = 0; t < context.threads; ++t) scratch.emplace_back(n, pairs, context);
    FirstFailure failure;
#pragma omp parallel for schedule(dynamic) num_threads(context.threads) if (context.threads > 1)
    for (int64_t t = 0; t < count; ++t) {
        if (context.stop(omp_thread())) continue;
        failure.guard([&] {
            Scratch& own = scratch[omp_thread()];
            const double* similarities = whole.get();
            if (kept) {
                own.features.clear();
                for (int64_t k = 0; k < d; ++k)
                    if (kept[t * d + k]) own.features.push_back(k);
                similarities =
                    own.fresh.of(x, by.metric, {own.features.data(), static_cast<int64_t>(own.features.size())}, context);
            }
            out[t] = align(targets, t, n, pairs, similarities, by, own.weights, own.compare_scratch, context, undefined[t]);
        });
    }
    failure.rethrow();
    context.throw_if_stopped();
    refuse_undefined(by.comparator, undefined, count);
}

}  // namespace secateur
