#include <algorithm>
#include <cmath>
#include <vector>

#include "core/among.hpp"
#include "core/insertion_curve.hpp"
#include "core/one_feature.hpp"
#include "core/verbs.hpp"

namespace secateur {

namespace {

// Length, alignment and support of one target's best prefix.
void keep_prefix(const int64_t* order, const double* curve, int64_t features, const PrefixRule& rule, int64_t& length,
                 double& alignment, bool* support) {
    double highest = -std::numeric_limits<double>::infinity();
    for (int64_t s = rule.least - 1; s < rule.most; ++s) highest = std::fmax(highest, curve[s]);
    length = 0;
    alignment = std::numeric_limits<double>::quiet_NaN();
    std::fill_n(support, features, false);
    for (int64_t s = rule.least - 1; s < rule.most && length == 0; ++s)
        if (curve[s] >= highest - rule.tie && highest > -std::numeric_limits<double>::infinity()) length = s + 1;
    if (length == 0) return;
    alignment = curve[length - 1];
    for (int64_t s = 0; s < length; ++s) support[order[s]] = true;
}

// Whether all pairs that count have one value: some comparators call their alignment 0.
bool is_constant(const Targets& targets, int64_t t, int64_t pairs) {
    const double *h = targets.values + t * pairs, *w = targets.weights ? targets.weights + targets.weight_of[t] * pairs : nullptr;
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (int64_t p = 0; p < pairs; ++p)
        if (!w || w[p] > 0) {
            low = std::min(low, h[p]);
            high = std::max(high, h[p]);
        }
    return !(low < high);
}

}  // namespace

bool ranking(Engine& all, const Targets& source, Measures by, Indices stimuli, PrefixRule rule, const Context& context,
             Ranked out) {
    const auto part = stimuli.values ? all.among(stimuli) : nullptr;
    Engine& engine = part ? *part : all;
    const TargetsAmong among(source, all.stimuli, stimuli, context);
    const int64_t d = engine.features, count = source.count;
    const std::vector<int64_t> features = all_features(d);
    const Indices whole{features.data(), d};
    StandardTargets targets(among.targets, engine, by, context);
    const RankingPlan there{step_of(targets, targets.view(), by.metric, whole, whole, -1), among.positions(), rule};
    if (const auto ranked = engine.ranking(source, there, context, out)) {
        context.throw_if_stopped();
        return *ranked;
    }
    const Space space = space_of(engine, by.metric, whole, context);
    Buffer similarities(engine.pairs());
    finish(space, engine.stimuli, by.metric, similarities.get());
    const OneFeaturePlan plan = plan_of(targets, space, by.metric, whole, whole, -1, context);
    const bool whole_curve = out.curve;
    std::vector<int64_t> ordered(out.order ? 0 : count * d);
    Buffer importances(out.importance ? 0 : count * d), curves(out.curve ? 0 : count * d);
    if (!out.importance) out.importance = importances.get();
    if (!out.order) out.order = ordered.data();
    if (!out.curve) out.curve = curves.get();
    {
        CompareScratch compare_scratch(engine.stimuli, engine.pairs(), 1, &context);
        compare_all(targets, similarities.get(), 1, compare_scratch, out.baseline, 0, 1, &context);
        similarities = {};
    }
    context.throw_if_stopped();
    for (int64_t t = 0; t < count; ++t)
        if (std::isnan(out.baseline[t]) || (out.baseline[t] == 0 && traits_of(by.comparator).zero_where_constant &&
                                            is_constant(among.targets, t, engine.pairs())))
            return false;
    // Multiply-adds: 5 and one a target, then 6 a target; or rankings: one for all targets, then one a target.
    const auto each = static_cast<double>(count);
    context.stage(by_moments(by.comparator) ? (5 + each) / (5 + 7 * each) : 1 / (1 + each));
    one_feature(engine, targets, plan, context, out.importance);
    for (int64_t t = 0; t < count; ++t)
        for (int64_t k = 0; k < d; ++k) out.importance[t * d + k] = out.baseline[t] - out.importance[t * d + k];
    order_by_importance(out.importance, count, d, context, out.order);
    context.stage(1);
    const Orders orders{out.order, count, d};
    if (whole_curve || !engine.insertion_near_best({by.metric, targets.view(), orders}, rule, context, out.curve))
        insertion_curve(engine, targets, by.metric, orders, context, out.curve);
#pragma omp parallel for schedule(static) num_threads(context.threads) if (context.threads > 1)
    for (int64_t t = 0; t < count; ++t)
        keep_prefix(out.order + t * d, out.curve + t * d, d, rule, out.length[t], out.alignment[t], out.support + t * d);
    return true;
}

}  // namespace secateur
