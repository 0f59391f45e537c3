// The insertion of targets that are standardised already, and of single prefixes.
#pragma once

#include <vector>

#include "core/space.hpp"
#include "core/targets.hpp"

namespace secateur::cpu {

// As data.hpp has it.
void insertion_curve(const Features&, StandardTargets&, Metric, const int64_t* orders, int64_t order_count, int64_t steps,
                     const Context&, double* out, Accelerator*);

// The alignment of a target with one prefix, from a space built without updates.
struct Prefix {
    int64_t target;
    Indices features;
    double* alignment;
};
void exactly(const Features&, const StandardTargets&, Metric, const std::vector<Prefix>&, const Context&);

}  // namespace secateur::cpu
