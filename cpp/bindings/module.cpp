// The compiled module: a table of contents.
#include <pybind11/stl.h>

#include "bindings/arrays.hpp"
#include "bindings/names.hpp"

namespace secateur::bindings {

void bind_arguments(py::module_&);  // Features, Targets, Measures, PrefixRule: what verbs take
void bind_verbs(py::module_&);      // similarity, compare, leave_one_out, add_one, insertion_curve, ranking, held_out_alignment
void bind_processor(py::module_&);  // rdm_movie, choices_*, magnitudes, order_by_importance: what runs on the processor alone
void bind_feature_maps(py::module_&);  // masked_embeddings, cuda_load_layer, cuda_similarities
void bind_device(py::module_&);        // cuda_*: is there a device, and what is loaded on it

namespace {

std::vector<std::string> level_names() {
    std::vector<std::string> names;
    for (const Level level : simd_levels()) names.push_back(secateur::name_of(level));
    return names;
}

void bind_facts(py::module_& module) {
    module.def("metrics", &names<Metric>, "The names of the metrics that the verbs know.");
    module.def("comparators", &names<Comparator>, "The names of the comparators that the verbs know.");
    module.def(
        "simd_level", [] { return secateur::name_of(simd_level()); },
        "The instruction level in use: the one that SECATEUR_SIMD named at the first call, else the widest.");
    module.def("simd_levels", &level_names, "The instruction levels of this build that this machine runs, narrowest first.");
    module.def("simd_lanes", &simd_lanes, "Doubles that move together in the kernels chosen for this machine.");
}

}  // namespace

PYBIND11_MODULE(_core, module) {
    module.doc() = "Secateur's compiled core (CUDA: " SECATEUR_CUDA
                   "). Arguments are checked, never converted; pairs are in numpy.triu_indices order.";
    bind_arguments(module);
    bind_verbs(module);
    bind_processor(module);
    bind_device(module);
    bind_feature_maps(module);
    bind_facts(module);
}

}  // namespace secateur::bindings
