#include "core/one_feature.hpp"
#include "core/verbs.hpp"

namespace secateur {

void leave_one_out(Engine& engine, const Targets& source, Measures by, Indices subset, const Context& context, double* out) {
    StandardTargets targets(source, engine, by, context);
    if (step(engine, source, targets, by.metric, subset, subset, -1, context, out)) return;
    const Space space = space_of(engine, by.metric, subset, context);
    one_feature(engine, targets, plan_of(targets, space, by.metric, subset, subset, -1, context), context, out);
}

}  // namespace secateur
