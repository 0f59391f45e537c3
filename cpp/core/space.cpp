#include "core/space.hpp"

#include "core/verbs.hpp"

namespace secateur {

void finish(const Space& space, int64_t n, Metric metric, double* out) {
    with_rule(metric, [&](auto rule) {
        using Rule = decltype(rule);
        if constexpr (Rule::normalised)
            for (int64_t i = 0; i < n; ++i) space.inverse[i] = inverse_norm(space.own[i]);
        for (int64_t i = 0, p = 0; i < n; ++i)
            for (int64_t j = i + 1; j < n; ++j, ++p)
                out[p] = similarity_of<Rule>(space.pair[p], space.inverse[i], space.inverse[j]);
    });
}

void similarity(Engine& engine, Metric metric, Indices subset, const Context& context, double* out) {
    finish(space_of(engine, metric, subset, context), engine.stimuli, metric, out);
}

}  // namespace secateur
