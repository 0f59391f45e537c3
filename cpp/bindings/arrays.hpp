// Borrowing numpy arrays: every check before the GIL goes, no copies, refusals that name argument, rule and value.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "cpu/cpu.hpp"
#include "cuda/cuda.hpp"

namespace secateur::bindings {

namespace py = pybind11;

inline std::string text(const py::handle& object) {
    return py::str(object).cast<std::string>();
}

inline std::string shape_text(const py::array& array) {
    return text(array.attr("shape"));
}

// The array as it lies: of this dtype and number of dimensions, C-contiguous.
template <class T>
const T* borrow(const py::object& object, const char* name, int dimensions) {
    if (!py::isinstance<py::array>(object))
        throw py::type_error(std::string(name) + " must be a numpy array, got " + text(py::type::of(object).attr("__name__")));
    const auto array = py::reinterpret_borrow<py::array>(object);
    if (!py::dtype::of<T>().equal(array.dtype()))
        throw py::type_error(std::string(name) + " must have dtype " + text(py::dtype::of<T>()) + ", got " + text(array.dtype()));
    if (array.ndim() != dimensions)
        throw py::value_error(std::string(name) + " must have " + std::to_string(dimensions) + " dimension(s), got shape " +
                              shape_text(array));
    if (!(array.flags() & py::array::c_style))
        throw py::value_error(std::string(name) + " must be C-contiguous, got other strides");
    return static_cast<const T*>(array.data());
}

inline int64_t extent(const py::object& array, int axis) {
    return py::reinterpret_borrow<py::array>(array).shape(axis);
}

inline void expect_extent(const py::object& array, int axis, int64_t expected, const char* name, const char* why) {
    if (extent(array, axis) != expected)
        throw py::value_error(std::string(name) + " must have " + std::to_string(expected) + " " + why + ", got shape " +
                              shape_text(py::reinterpret_borrow<py::array>(array)));
}

// X on a device, with what must live as long.
struct Loaded {
    Features shape;
    std::unique_ptr<Engine> engine;
    py::object owner;
};

// Targets on a device, and what they were copied from.
struct LoadedTargets {
    Targets targets;
    int64_t stimuli;
    std::unique_ptr<EngineTargets> loaded;
    py::object values, weights, weight_of;
};

// X with its engine: the processor's for a numpy array, or where it was loaded.
struct Embedding {
    std::unique_ptr<Engine> own;
    Engine* engine;
    explicit Embedding(std::unique_ptr<Engine> own) : own(std::move(own)), engine(this->own.get()) {}
    explicit Embedding(const Loaded& loaded) : engine(loaded.engine.get()) {}
};

inline bool lies_on_device(const py::object& object) {
    return !py::isinstance<py::array>(object) && py::hasattr(object, "__cuda_array_interface__");
}

// Device memory, by the interface that torch, cupy and numba share: C-contiguous float64.
struct DeviceArray {
    const double* values;
    std::vector<int64_t> shape;
};
inline DeviceArray borrow_device_array(const py::object& object, const std::string& name) {
    const auto facts = py::dict(object.attr("__cuda_array_interface__"));
    const auto type = text(facts["typestr"]);
    if (type != "<f8")
        throw py::type_error(name + " must have dtype float64 on a CUDA device, got '" + type + "': convert it there first");
    DeviceArray array{reinterpret_cast<const double*>(py::tuple(facts["data"])[0].cast<std::uintptr_t>()), {}};
    for (const auto extent : py::tuple(facts["shape"])) array.shape.push_back(extent.cast<int64_t>());
    if (facts.contains("strides") && !facts["strides"].is_none()) {
        const auto strides = py::tuple(facts["strides"]);
        int64_t expected = sizeof(double);
        for (std::size_t axis = array.shape.size(); axis-- > 0; expected *= array.shape[axis])
            if (strides[axis].cast<int64_t>() != expected)
                throw py::value_error(name + " must be C-contiguous on a CUDA device, got other strides");
    }
    return array;
}

inline Features borrow_device_features(const py::object& x) {
    const DeviceArray array = borrow_device_array(x, "X");
    if (array.shape.size() != 2)
        throw py::value_error("X must have 2 dimension(s), got shape " + text(x.attr("__cuda_array_interface__")["shape"]));
    const Features features{array.values, array.shape[0], array.shape[1]};
    if (features.stimuli < 3)
        throw py::value_error("X must have at least 3 stimuli (rows), got " + std::to_string(features.stimuli));
    if (features.count < 1) throw py::value_error("X must have at least 1 feature (column), got 0");
    return features;
}

// Targets (targets, pairs), or one (pairs).
inline Targets borrow_device_targets(const py::object& target, int64_t pairs) {
    const DeviceArray array = borrow_device_array(target, "target");
    const auto& shape = array.shape;
    if (shape.empty() || shape.size() > 2 || shape.back() != pairs || (shape.size() == 2 && shape[0] < 1))
        throw py::value_error("target must have shape (" + std::to_string(pairs) + ",) or (T, " + std::to_string(pairs) +
                              ") on a CUDA device, got " + text(target.attr("__cuda_array_interface__")["shape"]));
    return {array.values, shape.size() == 2 ? shape[0] : 1, nullptr, nullptr, 0};
}

inline Features borrow_features(const py::object& x) {
    const Features features{borrow<double>(x, "X", 2), extent(x, 0), extent(x, 1)};
    if (features.stimuli < 3)
        throw py::value_error("X must have at least 3 stimuli (rows), got " + std::to_string(features.stimuli));
    if (features.count < 1) throw py::value_error("X must have at least 1 feature (column), got 0");
    const int64_t count = features.stimuli * features.count;
    double zeros[16] = {};  // zero times a finite number is zero
    for (int64_t at = 0; at + 16 <= count; at += 16)
        for (int l = 0; l < 16; ++l) zeros[l] += features.values[at + l] * 0.0;
    double doubt = 0;
    for (const double zero : zeros) doubt += zero;
    for (int64_t at = doubt == 0 ? count / 16 * 16 : 0; at < count; ++at)
        if (!std::isfinite(features.values[at])) {
            std::ostringstream message;
            message << "X must be finite, got " << features.values[at] << " at stimulus " << at / features.count << ", feature "
                    << at % features.count;
            throw py::value_error(message.str());
        }
    return features;
}

inline Embedding borrow_embedding(const py::object& x) {
    if (!py::isinstance<Loaded>(x)) return Embedding(cpu::load(borrow_features(x)));
    return Embedding(x.cast<const Loaded&>());
}

inline Indices borrow_indices(const py::object& object, int64_t size, const char* name, const std::string& what = "feature") {
    const Indices indices{borrow<int64_t>(object, name, 1), extent(object, 0)};
    std::vector<char> seen(size);
    for (int64_t s = 0; s < indices.count; ++s) {
        const int64_t k = indices.values[s];
        if (k < 0 || k >= size)
            throw py::value_error(std::string(name) + " must hold " + what + " indices from 0 to " + std::to_string(size - 1) +
                                  ", got " + std::to_string(k));
        if (seen[k]++)
            throw py::value_error(std::string(name) + " must name each " + what + " once, got " + std::to_string(k) + " twice");
    }
    return indices;
}

// How many pairs so many stimuli have, where that is a number that can be counted with.
inline int64_t pairs_of(int64_t stimuli) {
    constexpr int64_t most = int64_t{1} << 31;
    if (stimuli < 2 || stimuli > most)
        throw py::value_error("stimuli must be from 2 to " + std::to_string(most) + ", got " + std::to_string(stimuli));
    return stimuli * (stimuli - 1) / 2;
}

// Patterns (splits, stimuli, sensors, times) of float64 or float32, with any strides.
inline Recording borrow_recording(const py::object& object) {
    if (!py::isinstance<py::array>(object))
        throw py::type_error("patterns must be a numpy array, got " + text(py::type::of(object).attr("__name__")));
    const auto array = py::reinterpret_borrow<py::array>(object);
    const bool single = py::dtype::of<float>().equal(array.dtype());
    if (!single && !py::dtype::of<double>().equal(array.dtype()))
        throw py::type_error("patterns must have dtype float64 or float32, got " + text(array.dtype()));
    if (array.ndim() != 4) throw py::value_error("patterns must have 4 dimension(s), got shape " + shape_text(array));
    Recording recording{array.data(), single, array.shape(0), array.shape(1), array.shape(2), array.shape(3), {}};
    if (recording.stimuli < 2 || recording.sensors < 1)
        throw py::value_error("patterns must have 2 stimuli and 1 sensor or more, got shape " + shape_text(array));
    for (int axis = 0; axis < 4; ++axis) {
        if (array.strides(axis) % array.itemsize())
            throw py::value_error("patterns must have strides of whole elements, got " + text(array.attr("strides")));
        recording.steps[axis] = array.strides(axis) / array.itemsize();
    }
    return recording;
}

// values (targets, pairs); weights (patterns, pairs) with weight_of (targets,), or both None.
inline Targets borrow_targets(const py::object& values, const py::object& weights, const py::object& weight_of, int64_t pairs) {
    Targets targets{borrow<double>(values, "target", 2), extent(values, 0), nullptr, nullptr, 0};
    expect_extent(values, 1, pairs, "target", "pairs");
    if (!weights.is_none()) {
        targets.weights = borrow<double>(weights, "weights", 2);
        targets.patterns = extent(weights, 0);
        expect_extent(weights, 1, pairs, "weights", "pairs");
        targets.weight_of = borrow<int64_t>(weight_of, "weight_of", 1);
        expect_extent(weight_of, 0, targets.count, "weight_of", "entries, one a target");
        for (int64_t t = 0; t < targets.count; ++t)
            if (targets.weight_of[t] < 0 || targets.weight_of[t] >= targets.patterns)
                throw py::value_error("weight_of must hold rows of weights, got " + std::to_string(targets.weight_of[t]));
        for (int64_t p = 0; p < targets.patterns * pairs; ++p) {
            const double w = targets.weights[p];
            if (!(w >= 0) || std::isinf(w))
                throw py::value_error("weights must be finite and not negative, got " + std::to_string(w) + " at pair " +
                                      std::to_string(p % pairs));
        }
    }
    for (int64_t at = 0; at < targets.count * pairs; ++at) {
        const bool counts = !targets.weights || targets.weights[targets.weight_of[at / pairs] * pairs + at % pairs] > 0;
        if (counts && !std::isfinite(targets.values[at])) {
            std::ostringstream message;
            message << "target must be finite where it has weight, got " << targets.values[at] << " at target " << at / pairs
                    << ", pair " << at % pairs;
            throw py::value_error(message.str());
        }
    }
    return targets;
}

// What a comparator asks of the weights of the pairs that count: those where `counted` (pairs) is true, or all without it.
inline void expect_weights(const Targets& targets, int64_t pairs, Comparator comparator,
                           const std::vector<char>* counted = nullptr) {
    if (!targets.weights || !(is_whitened(comparator) || is_rank(comparator))) return;
    for (int64_t at = 0; at < targets.patterns * pairs; ++at) {
        const double w = targets.weights[at];
        if ((counted && !(*counted)[at % pairs]) || w == 1 || (w == 0 && is_rank(comparator))) continue;
        throw py::value_error(
            std::string("weights must be ") +
            (is_rank(comparator) ? "0 or 1 for a rank comparator" : "1, and no pair missing, for a whitened comparator") +
            ", got " + std::to_string(w) + " at pair " + std::to_string(at % pairs));
    }
}

// By pair of `all` stimuli: whether both are among these.
inline std::vector<char> pairs_among(Indices stimuli, int64_t all) {
    std::vector<char> member(all), counted;
    for (int64_t s = 0; s < stimuli.count; ++s) member[stimuli.values[s]] = 1;
    for (int64_t i = 0; i < all; ++i)
        for (int64_t j = i + 1; j < all; ++j) counted.push_back(member[i] && member[j]);
    return counted;
}

inline int checked_threads(int threads) {
    if (threads < 1) throw py::value_error("threads must be at least 1, got " + std::to_string(threads));
    return threads;
}

}  // namespace secateur::bindings
