// A CUDA device, and what is loaded on it.
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/arrays.hpp"
#include "bindings/call.hpp"
#include "bindings/names.hpp"

namespace secateur::bindings {

void bind_device(py::module_&);

namespace {

std::pair<bool, std::string> cuda_available() {
    std::string reason;
    const bool available = cuda::available(reason);
    return {available, reason};
}

Opened cuda_open() {
    Opened opened;
    run([&] { opened.device = cuda::open(); });
    return opened;
}

BoundFeatures cuda_load(const Opened& opened, const Object& x, const std::string& precision) {
    const auto how = named<cuda::Precision>(precision, "precision");
    const bool on_device = lies_on_device(x);
    const DeviceArray there = on_device ? borrow_device_array(x, "X", "<f8") : DeviceArray{nullptr, {}, x};
    const Features features = on_device ? features_of(there) : borrow_features(x);
    BoundFeatures bound{nullptr, true, there.owner};
    run([&] { bound.engine = cuda::load(opened.device, features, on_device, how); });
    return bound;
}

BoundTargets cuda_load_targets(const Opened& opened, const Object& values, const Object& weights, const Object& weight_of,
                               int64_t stimuli, bool negated, const std::string& name) {
    const int64_t pairs = pairs_of(stimuli);
    const bool on_device = lies_on_device(values);
    bool square = false;
    const DeviceArray there = on_device ? borrow_device_array(values, name, "<f8") : DeviceArray{nullptr, {}, values};
    BoundTargets bound{on_device ? targets_of(there, stimuli, name, square) : borrow_targets(values, weights, weight_of),
                       pairs,
                       nullptr,
                       there.owner,
                       weights,
                       weight_of};
    if (on_device)
        borrow_weights(bound.targets, pairs, weights, weight_of);
    else
        expect_extent(values, 1, pairs, "target", "pairs");
    const auto form = !on_device ? cuda::Form::on_host : square ? cuda::Form::square : cuda::Form::packed;
    run([&] { bound.loaded = cuda::load(opened.device, bound.targets, stimuli, form, negated, name); });
    bound.targets.values = nullptr;
    bound.targets.loaded = bound.loaded.get();
    return bound;
}

// The rows of some stimuli, of X as it lies on the device.
BoundFeatures cuda_among(const BoundFeatures& loaded, const Object& stimuli) {
    const Indices chosen = borrow_some_stimuli(stimuli, loaded.engine->stimuli);
    BoundFeatures bound{nullptr, loaded.on_device, py::none()};
    run([&] { bound.engine = loaded.engine->among(chosen); });
    return bound;
}

BoundTargets cuda_targets_among(const BoundTargets& loaded, const Object& weights, const Object& weight_of, int64_t all,
                                const Object& stimuli) {
    if (!loaded.loaded || pairs_of(all) != loaded.pairs)
        throw py::value_error("loaded must be targets on a CUDA device, of " + std::to_string(all) + " stimuli, got others");
    const Indices chosen = borrow_some_stimuli(stimuli, all);
    BoundTargets bound{
        {nullptr, loaded.targets.count, nullptr, nullptr, 0}, pairs_of(chosen.count), nullptr, py::none(), weights, weight_of};
    borrow_weights(bound.targets, bound.pairs, weights, weight_of);
    run([&] { bound.loaded = cuda::among(*loaded.loaded, all, chosen, bound.targets); });
    bound.targets.loaded = bound.loaded.get();
    return bound;
}

template <class Fetch>
Array fetched(int64_t rows, int64_t columns, Fetch&& fetch) {
    Array out({rows, columns});
    double* to = out.mutable_data();
    run([&] { std::copy_n(fetch(), rows * columns, to); });
    return out;
}

// What lies on the device, as a numpy array: X or targets.
Array cuda_fetch(const Object& loaded) {
    if (py::isinstance<BoundTargets>(loaded)) {
        const auto& bound = loaded.cast<const BoundTargets&>();
        return fetched(bound.targets.count, bound.pairs,
                       [&] { return bound.loaded ? bound.loaded->host_values() : bound.targets.values; });
    }
    Engine& engine = *loaded.cast<const BoundFeatures&>().engine;
    return fetched(engine.stimuli, engine.features, [&] { return engine.host_features().values; });
}

}  // namespace

void bind_device(py::module_& module) {
    py::class_<Opened>(module, "Device", "Streams on a CUDA device, and the memory that calls leave to the next.")
        .def_property_readonly("seconds", [](const Opened& opened) { return cuda::seconds(*opened.device); })
        .def_property_readonly("streams", [](const Opened& opened) { return cuda::streams(*opened.device); });
    module.def("cuda_available", &cuda_available, "Whether CUDA kernels can run here, and why not.");
    module.def("cuda_device", &cuda::describe, "The CUDA device in words: name, compute capability, memory.");
    module.def("cuda_open", &cuda_open, "Streams on the CUDA device, and the memory that calls leave to the next.");
    module.def("cuda_load", &cuda_load, py::arg("device"), py::arg("X"), py::arg("precision"),
               "X on the device, to be given to the verbs in X's place: copied there, or taken as it lies there already.");
    module.def(
        "cuda_load_targets", &cuda_load_targets, py::arg("device"), py::arg("target"), py::arg("weights"), py::arg("weight_of"),
        py::arg("stimuli"), py::arg("negated"), py::arg("name") = "target",
        "Targets on the device, to be given to the verbs with an X that lies there; a copy, negated if `negated`. What is not "
        "called target is not looked at as one.");
    module.def("cuda_among", &cuda_among, py::arg("loaded"), py::arg("stimuli"),
               "The rows of some stimuli of an X that was loaded, taken on the device.");
    module.def(
        "cuda_targets_among", &cuda_targets_among, py::arg("loaded"), py::arg("weights"), py::arg("weight_of"), py::arg("all"),
        py::arg("stimuli"),
        "The pairs among some of `all` stimuli of targets that were loaded, taken on the device, with the weights of those.");
    module.def("cuda_fetch", &cuda_fetch, py::arg("loaded"), "What was loaded on the device, as a numpy array.");
    module.def("cuda_comparators", &cuda_comparators, "The names of the comparators that a CUDA device takes.");
    module.def("cuda_most_stimuli", [] { return cuda::most_stimuli; }, "So many stimuli a CUDA device takes.");
}

}  // namespace secateur::bindings
