#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/among.hpp"
#include "core/insertion_curve.hpp"
#include "core/one_feature.hpp"

namespace secateur::cpu {

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

bool ranking_elsewhere(const Features& all, const Targets& source, Metric metric, Comparator comparator, Indices stimuli,
                       Indices whole, PrefixRule rule, const Context& context, Ranked out, Accelerator& elsewhere,
                       AcceleratedTargets& targets_elsewhere) {
    const auto part = stimuli.values ? elsewhere.among(stimuli) : nullptr;
    Accelerator& there = part ? *part : elsewhere;
    const Among among(all, source, stimuli, context);
    const Features& x = among.features;
    const StandardTargets targets(among.targets, x.stimuli, tie_scale_of(metric), comparator);
    const Space space = space_of(x, metric, whole, context, &there);
    const Guards guards = guards_of(targets, space, metric, whole, -1);
    Buffer similarities(x.pairs());
    finish(space, x.stimuli, metric, similarities.get());
    const RankingPlan plan{plan_of(guards, targets, space, metric, whole, -1), among.positions(), similarities.get(), rule,
                           whole.count - 1 < traits_of(metric).least_features()};
    const bool ranked = there.ranking(targets_elsewhere, plan, context, out);
    context.throw_if_stopped();
    return ranked;
}

}  // namespace

bool ranking(const Features& all, const Targets& source, Metric metric, Comparator comparator, Indices stimuli, PrefixRule rule,
             const Context& context, Ranked out, Accelerator* elsewhere, AcceleratedTargets* targets_elsewhere) {
    const int64_t d = all.count, count = source.count;
    std::vector<int64_t> everything(d);
    std::iota(everything.begin(), everything.end(), int64_t{0});
    const Indices whole{everything.data(), d};
    if (elsewhere)
        return ranking_elsewhere(all, source, metric, comparator, stimuli, whole, rule, context, out, *elsewhere,
                                 *targets_elsewhere);
    const Among among(all, source, stimuli, context);
    const Features& x = among.features;
    StandardTargets targets(among.targets, x.stimuli, x.pairs(), tie_scale_of(metric), comparator, context.threads);
    std::vector<int64_t> orders(out.order ? 0 : count * d);
    Buffer importances(out.importance ? 0 : count * d), curves(out.curve ? 0 : count * d);
    if (!out.importance) out.importance = importances.get();
    if (!out.order) out.order = orders.data();
    if (!out.curve) out.curve = curves.get();
    const Space space = space_of(x, metric, whole, context, nullptr);
    {
        Buffer similarities(x.pairs());
        CompareScratch look(x.stimuli, x.pairs());
        finish(space, x.stimuli, metric, similarities.get());
        compare_all(targets, similarities.get(), 1, look, out.baseline, 0, 1, &context);
    }
    context.throw_if_stopped();
    for (int64_t t = 0; t < count; ++t)
        if (std::isnan(out.baseline[t]) ||
            (out.baseline[t] == 0 && traits_of(comparator).zero_where_constant && is_constant(among.targets, t, x.pairs())))
            return false;
    one_feature(x, targets, space, metric, whole, whole, -1, context, out.importance, nullptr);
    for (int64_t t = 0; t < count; ++t)
        for (int64_t k = 0; k < d; ++k) out.importance[t * d + k] = out.baseline[t] - out.importance[t * d + k];
    rank(out.importance, count, d, context, out.order);
    insertion_curve(x, targets, metric, out.order, count, d, context, out.curve, nullptr);
#pragma omp parallel for schedule(static) num_threads(context.threads) if (context.threads > 1)
    for (int64_t t = 0; t < count; ++t)
        keep_prefix(out.order + t * d, out.curve + t * d, d, rule, out.length[t], out.alignment[t], out.support + t * d);
    return true;
}

}  // namespace secateur::cpu
