#include <vector>

#include "core/one_feature.hpp"
#include "core/verbs.hpp"

namespace secateur {

void add_one(Engine& engine, const Targets& source, Measures by, Indices subset, const Context& context, double* out) {
    std::vector<char> member(engine.features);
    for (int64_t s = 0; s < subset.count; ++s) member[subset.values[s]] = 1;
    std::vector<int64_t> others;
    for (int64_t k = 0; k < engine.features; ++k)
        if (!member[k]) others.push_back(k);
    const Indices candidates{others.data(), static_cast<int64_t>(others.size())};
    StandardTargets targets(source, engine, by, context);
    if (step(engine, source, targets, by.metric, subset, candidates, +1, context, out)) return;
    const Space space = space_of(engine, by.metric, subset, context);
    one_feature(engine, targets, plan_of(targets, space, by.metric, subset, candidates, +1, context), context, out);
}

}  // namespace secateur
