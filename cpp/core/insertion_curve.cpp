#include "core/insertion_curve.hpp"

#include <vector>

#include "core/space.hpp"
#include "core/verbs.hpp"

namespace secateur {

namespace {

// Steps of the curves whose moments lost their digits, from spaces built without updates.
void recompute_prefixes(const Features& x, const StandardTargets& targets, Metric metric, const Orders& orders,
                        const std::vector<int64_t>& asked, const Context& context, double* out) {
    std::vector<FreshSimilarities> fresh;
    std::vector<CompareScratch> scratch;
    for (int t = 0; t < context.threads; ++t) {
        fresh.emplace_back(x.stimuli);
        scratch.emplace_back(x.stimuli, x.pairs(), 1, &context);
    }
    const auto count = static_cast<int64_t>(asked.size());
#pragma omp parallel for schedule(dynamic) num_threads(context.threads) if (context.threads > 1)
    for (int64_t c = 0; c < count; ++c) {
        if (context.stop(omp_thread())) continue;
        const int64_t target = asked[c] / orders.steps, step = asked[c] % orders.steps;
        CompareScratch& own = scratch[omp_thread()];
        const double* similarities = fresh[omp_thread()].of(x, metric, {orders.of(target), step + 1}, context);
        targets.prepare(targets.pattern_of(target), similarities, own);
        out[asked[c]] = targets.alignment(target, similarities, own);
    }
}

}  // namespace

void insertion_curve(Engine& engine, StandardTargets& targets, Metric metric, Orders orders, const Context& context,
                     double* out) {
    std::vector<char> needs_recompute(targets.count * orders.steps);
    engine.insertion_curve({metric, targets.view(), orders}, context, out, needs_recompute.data());
    std::vector<int64_t> left;
    for (std::size_t at = 0; at < needs_recompute.size(); ++at)
        if (needs_recompute[at]) left.push_back(static_cast<int64_t>(at));
    if (!left.empty() && !context.stop(0)) {
        targets.materialise(context);
        recompute_prefixes(engine.host_features(), targets, metric, orders, left, context, out);
    }
    context.throw_if_stopped();
}

void insertion_curve(Engine& engine, const Targets& source, Measures by, Orders orders, const Context& context, double* out) {
    StandardTargets targets(source, engine, by, context);
    insertion_curve(engine, targets, by.metric, orders, context, out);
}

}  // namespace secateur
