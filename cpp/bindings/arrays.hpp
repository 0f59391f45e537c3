// Borrowing numpy arrays: every check before the GIL goes, no copies, refusals that name argument, rule and value.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <vector>

#include "secateur/engine.hpp"

namespace secateur::bindings {

namespace py = pybind11;
using Object = py::object;
using Array = py::array_t<double>;
using Integers = py::array_t<int64_t>;

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

// X with the engine that computes on it, and what must live as long.
struct BoundFeatures {
    std::unique_ptr<Engine> engine;
    bool on_device;
    Object owner;
};

// Targets, and the arrays that they are borrowed from; `loaded` where they lie on a device.
struct BoundTargets {
    Targets targets;
    int64_t pairs;
    std::unique_ptr<EngineTargets> loaded;
    Object values, weights, weight_of, controls = py::none();
};

// X as a verb takes it: a numpy array, for the processor's engine, or bound already.
class Embedding {
  public:
    // With `check` false, a numpy array may not be finite: what the verb sums up over all features says so (cpu::load).
    explicit Embedding(const Object& x, bool check = true);
    Engine& engine() const { return *bound_->engine; }
    bool on_device() const { return bound_->on_device; }
    // The targets for it, which lie on a device only beside an X there.
    const Targets& beside(const BoundTargets&) const;
    // A verb that keeps all on the device needs both there.
    void expect_both_on_device(const BoundTargets&) const;

  private:
    std::unique_ptr<BoundFeatures> own_;
    const BoundFeatures* bound_;
};

// Whether an array lies in a CUDA device's memory: one with __cuda_array_interface__ (torch, cupy, numba), or one that DLPack
// says so of (__dlpack_device__: torch, cupy, jax).
bool lies_on_device(const Object&);

// Such an array as it lies, C-contiguous; `owner` keeps it there.
struct DeviceArray {
    void* values;
    std::vector<int64_t> shape;
    Object owner;
    int64_t size() const;
    std::string shape_text() const;
};
// Of this dtype: "<f8", "<f4", ...; `writable`: one that says that it may be written.
DeviceArray borrow_device_array(const Object&, const std::string& name, const std::string& type, bool writable = false);

Features features_of(const DeviceArray& x);
// Targets (targets, pairs), or one (pairs); or `square`: (targets, stimuli, stimuli), or one.
Targets targets_of(const DeviceArray& target, int64_t stimuli, const std::string& name, bool& square);

Features borrow_features(const Object& x, bool check = true);
// The processor's engine of X, of float64 or float32.
std::unique_ptr<Engine> host_engine(const Object& x, bool check = true);
// values (targets, pairs); weights (patterns, pairs) with weight_of (targets,), or both None; controls (patterns, controls,
// pairs), or None.
Targets borrow_targets(const Object& values, const Object& weights, const Object& weight_of, const Object& controls = py::none());
// The weights of as many targets as there are; None: there are none.
void borrow_weights(Targets&, int64_t pairs, const Object& weights, const Object& weight_of);
Indices borrow_indices(const Object&, int64_t size, const char* name, const std::string& what = "feature");
// Some of the stimuli; None: all, as they lie, where a verb takes that.
Indices borrow_stimuli(const Object&, int64_t all);
Indices borrow_some_stimuli(const Object&, int64_t all);
// Patterns (splits, stimuli, sensors, times) of float64 or float32, with any strides.
Recording borrow_recording(const Object&);

// How many pairs so many stimuli have, where that is a number that can be counted with.
int64_t pairs_of(int64_t stimuli);
// What a comparator asks of the weights of the pairs that count: those among the stimuli (values null: all).
void expect_weights(const Targets&, int64_t pairs, Comparator, Indices stimuli = {nullptr, 0}, int64_t all = 0);

}  // namespace secateur::bindings
