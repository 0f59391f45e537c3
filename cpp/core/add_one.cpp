#include <vector>

#include "core/one_feature.hpp"

namespace secateur::cpu {

void add_one(const Features& x, const Targets& source, Metric metric, Comparator comparator, Indices subset,
             const Context& context, double* out, Accelerator* elsewhere, AcceleratedTargets* targets_elsewhere) {
    std::vector<char> member(x.count);
    for (int64_t s = 0; s < subset.count; ++s) member[subset.values[s]] = 1;
    std::vector<int64_t> others;
    for (int64_t k = 0; k < x.count; ++k)
        if (!member[k]) others.push_back(k);
    StandardTargets targets = standard_targets(source, x, metric, comparator, context, targets_elsewhere);
    one_feature(x, targets, space_of(x, metric, subset, context, elsewhere), metric, subset,
                {others.data(), static_cast<int64_t>(others.size())}, +1, context, out, elsewhere);
}

}  // namespace secateur::cpu
