#include "core/one_feature.hpp"

namespace secateur::cpu {

void leave_one_out(const Features& x, const Targets& source, Metric metric, Comparator comparator, Indices subset,
                   const Context& context, double* out, Accelerator* elsewhere, AcceleratedTargets* targets_elsewhere) {
    StandardTargets targets = standard_targets(source, x, metric, comparator, context, targets_elsewhere);
    one_feature(x, targets, space_of(x, metric, subset, context, elsewhere), metric, subset, subset, -1, context, out, elsewhere);
}

}  // namespace secateur::cpu
