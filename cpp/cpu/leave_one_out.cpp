#include "one_feature.hpp"

namespace secateur::cpu {

void leave_one_out(const Features& x, const Targets& targets, Metric metric, Comparator comparator, Indices subset,
                   const Context& context, double* out, Accelerator* elsewhere) {
    one_feature(x, targets, metric, comparator, subset, subset, -1, context, out, elsewhere);
}

}  // namespace secateur::cpu
