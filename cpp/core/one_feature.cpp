#include "core/one_feature.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace secateur {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// A call that is to end may get a part of them.
SpaceSums sums_of(const StandardTargets& targets, const Space& space, Metric metric, const Context& context) {
    const int64_t pairs = targets.pairs;
    const double orientation = traits_of(metric).orientation;
    SpaceSums sums;
    Buffer values(pairs);
    finish(space, targets.stimuli, metric, values.get());
    sums.weighted.resize(targets.patterns);
    sums.weighted_squares.resize(targets.patterns);
    if (context.stop(0)) return sums;
    for (int64_t p = 0; p < pairs; ++p) {
        sums.largest = std::max(sums.largest, std::abs(space.pair[p]));
        if (std::isnan(values[p])) continue;
        sums.total += orientation * values[p], ++sums.defined;
        sums.squares += values[p] * values[p];
    }
    for (int64_t u = 0; u < targets.patterns && !context.stop(0); ++u) {
        double sum = 0, squares = 0;
        for (int64_t p = 0; p < pairs; ++p) {
            const double w = targets.weighted ? targets.weights(u)[p] : 1;
            if (!(w > 0) || std::isnan(values[p])) continue;
            sum += w * space.pair[p];
            squares += w * values[p] * values[p];
        }
        sums.weighted[u] = sum;
        sums.weighted_squares[u] = squares;
    }
    return sums;
}

Guards guards_of(const StandardTargets& targets, const double* own, const SpaceSums& sums, Metric metric, int64_t subset,
                 int sign) {
    const Traits traits = traits_of(metric);
    Guards guards;
    if (traits.centred) guards.weight = std::sqrt(centring_weight(static_cast<double>(subset), sign));
    for (int64_t i = 0; i < targets.stimuli; ++i) {
        const bool active = targets.active_somewhere(i), directionless = traits.normalised && !(own[i] > 0);
        guards.undefined.push_back(active ? nan : 0);
        // A removal that leaves next to nothing; an addition that leaves some targets undefined and others not.
        guards.min_norm.push_back(!active ? -1 : sign < 0 ? removal_guard * own[i] : targets.active_everywhere(i) ? -1 : 0);
        if (sign < 0 && directionless && active) {
            guards.zero_norm.push_back(i);
            guards.undefined[i] = 0;
            guards.min_norm[i] = -1;
        }
    }
    if (targets.centred && sums.defined > 0) guards.shift = sums.total / sums.defined;
    for (int64_t u = 0; u < targets.patterns; ++u) {
        const bool cancels = traits.guard == Guard::total && sign < 0;
        guards.cancel_threshold.push_back(cancels ? removal_guard * sums.weighted[u] - guards.shift * targets.total(u)
                                                  : -std::numeric_limits<double>::infinity());
        guards.scale.push_back(sums.weighted_squares[u]);
    }
    return guards;
}

// No removal gives a stimulus a direction that had none.
void leave_undefined(const StandardTargets& targets, const Guards& guards, Indices candidates, int64_t d, double* out) {
    for (const int64_t i : guards.zero_norm)
        for (int64_t t = 0; t < targets.count; ++t)
            if (targets.active(targets.pattern_of(t), i))
                for (int64_t c = 0; c < candidates.count; ++c) out[t * d + candidates.values[c]] = nan;
}

// Whether no update leads there: to fewer features than a similarity needs.
bool too_few(Metric metric, Indices subset, int sign) {
    return subset.count + sign < traits_of(metric).least_features();
}

// Some candidates alone, from spaces built without updates.
void recompute_candidates(const Features& x, const StandardTargets& targets, const OneFeaturePlan& plan,
                          const std::vector<int64_t>& asked, const Context& context, double* out) {
    struct Scratch {
        FreshSimilarities fresh;
        CompareScratch compare_scratch;
        std::vector<int64_t> features;  // the subset's, and one more
        Scratch(const Features& x, Indices subset, const Context& context)
            : fresh(x.stimuli),
              compare_scratch(x.stimuli, x.pairs(), 1, &context),
              features(subset.values, subset.values + subset.count) {
            features.push_back(-1);
        }
    };
    const Indices& subset = plan.subset;
    std::vector<Scratch> scratch;
    for (int t = 0; t < context.threads; ++t) scratch.emplace_back(x, subset, context);
    std::vector<int64_t> position(x.count, -1);
    for (int64_t s = 0; s < subset.count; ++s) position[subset.values[s]] = s;
    const auto count = static_cast<int64_t>(asked.size());
    const bool adding = plan.sign > 0;
#pragma omp parallel for schedule(dynamic) num_threads(context.threads) if (context.threads > 1)
    for (int64_t c = 0; c < count; ++c) {
        if (context.stop(omp_thread())) continue;
        Scratch& s = scratch[omp_thread()];
        s.features.back() = asked[c];
        const Indices features{s.features.data(), subset.count + adding};
        const double* similarities = s.fresh.of(x, plan.metric, features, context, adding ? -1 : position[asked[c]]);
        compare_all(targets, similarities, 1, s.compare_scratch, out + asked[c], 0, x.count);
    }
}

}  // namespace

OneFeaturePlan plan_of(const StandardTargets& targets, const Space& space, Metric metric, Indices subset, Indices candidates,
                       int sign, const Context& context) {
    const SpaceSums sums = sums_of(targets, space, metric, context);
    context.throw_if_stopped();
    const Guards guards = guards_of(targets, space.own.get(), sums, metric, subset.count, sign);
    return {metric, sign, subset, candidates, targets.view(), &space, sums, guards};
}

StepPlan step_of(const StandardTargets& targets, const StandardRows& rows, Metric metric, Indices subset, Indices candidates,
                 int sign) {
    return {{metric, sign, subset, candidates, rows, nullptr, {}, {}},
            [&targets, metric, subset, sign](const double* own, const SpaceSums& sums) {
                return guards_of(targets, own, sums, metric, subset.count, sign);
            },
            too_few(metric, subset, sign)};
}

bool step(Engine& engine, const Targets& source, const StandardTargets& targets, Metric metric, Indices subset,
          Indices candidates, int sign, const Context& context, double* out) {
    if (!source.loaded) return false;
    StepPlan plan = step_of(targets, targets.view(), metric, subset, candidates, sign);
    Guards guards;
    plan.guards = [&, ask = plan.guards](const double* own, const SpaceSums& sums) { return guards = ask(own, sums); };
    if (!engine.step(source, plan, context, out)) return false;
    context.throw_if_stopped();
    leave_undefined(targets, guards, candidates, engine.features, out);
    return true;
}

void one_feature(Engine& engine, StandardTargets& targets, const OneFeaturePlan& plan, const Context& context, double* out) {
    const int64_t d = engine.features;
    const Indices& candidates = plan.candidates;
    if (candidates.count < d) {
        Buffer similarities(engine.pairs());
        finish(*plan.space, engine.stimuli, plan.metric, similarities.get());
        targets.alignments(similarities.get(), out, d);
        for (int64_t t = 0; t < targets.count; ++t) std::fill_n(out + t * d + 1, d - 1, out[t * d]);
    }
    std::vector<char> needs_recompute(candidates.count);
    if (too_few(plan.metric, plan.subset, plan.sign))
        std::fill(needs_recompute.begin(), needs_recompute.end(), 1);
    else
        engine.one_feature(plan, context, out, needs_recompute.data());
    std::vector<int64_t> left;
    for (int64_t c = 0; c < candidates.count; ++c)
        if (needs_recompute[c]) left.push_back(candidates.values[c]);
    if (!left.empty() && !context.stop(0)) {
        targets.materialise(context);
        recompute_candidates(engine.host_features(), targets, plan, left, context, out);
    }
    context.throw_if_stopped();
    leave_undefined(targets, plan.guards, candidates, d, out);
}

}  // namespace secateur
