#include "arrays.hpp"

#include <pybind11/stl.h>

#include <cmath>
#include <sstream>

#include "cpu/cpu.hpp"

namespace secateur::bindings {

namespace {

// What DLPack's capsules hold, as its specification has it (dlpack.h, ABI 1 without versions).
enum : int32_t { dl_cuda = 2, dl_cuda_managed = 13 };
struct DLTensor {
    void* data;
    int32_t device_type, device_id;
    int32_t dimensions;
    uint8_t code, bits;  // code: 0 signed, 1 unsigned, 2 floating point, ...
    uint16_t lanes;
    int64_t *shape, *strides;  // in elements; nullptr: C-contiguous
    uint64_t byte_offset;
};
struct DLManagedTensor {
    DLTensor tensor;
    void* context;
    void (*deleter)(DLManagedTensor*);
};

// numpy's word for a type; of vectors, which it has no word for, so many times that of their values.
std::string type_text(const DLTensor& tensor) {
    const char* kinds = "iuf";
    const std::string kind = tensor.code < 3 ? std::string(1, kinds[tensor.code]) : "type " + std::to_string(tensor.code) + ", ",
                      one = "<" + kind + std::to_string(tensor.bits / 8);
    return tensor.lanes == 1 ? one : std::to_string(tensor.lanes) + " of " + one;
}

std::string words_of(const std::string& type) {
    return type == "<f8" ? "float64" : type == "<f4" ? "float32" : type;
}

void expect_type(const std::string& name, const std::string& type, const std::string& wanted) {
    if (type != wanted)
        throw py::type_error(name + " must have dtype " + words_of(wanted) + " on a CUDA device, got '" + type +
                             "': convert it there first");
}

// Strides in units of `each`; where an axis has one place, nobody steps along it.
void expect_contiguous(const std::string& name, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides,
                       int64_t each) {
    for (std::size_t axis = shape.size(); axis-- > 0; each *= shape[axis])
        if (shape[axis] > 1 && strides[axis] != each)
            throw py::value_error(name + " must be C-contiguous on a CUDA device, got other strides");
}

DeviceArray borrow_by_interface(const Object& object, const std::string& name, const std::string& type, bool writable) {
    const auto facts = py::dict(object.attr("__cuda_array_interface__"));
    expect_type(name, text(facts["typestr"]), type);
    const auto data = py::tuple(facts["data"]);
    if (writable && data[1].cast<bool>()) throw py::value_error(name + " must be writable, got a read-only array");
    if (facts.contains("mask") && !facts["mask"].is_none())
        throw py::value_error(name + " must have no mask on a CUDA device, got one");
    DeviceArray array{reinterpret_cast<void*>(data[0].cast<std::uintptr_t>()), {}, object};
    for (const auto extent : py::tuple(facts["shape"])) array.shape.push_back(extent.cast<int64_t>());
    if (facts.contains("strides") && !facts["strides"].is_none())
        expect_contiguous(name, array.shape, facts["strides"].cast<std::vector<int64_t>>(), type.back() - '0');
    return array;
}

// The capsule is not marked as used: it owns the tensor, and lets it go when it goes itself.
DeviceArray borrow_by_dlpack(const Object& object, const std::string& name, const std::string& type) {
    // 1, the default stream, which all know; expect_on_device waits for the whole device.
    const Object capsule = object.attr("__dlpack__")(py::arg("stream") = 1);
    if (!PyCapsule_IsValid(capsule.ptr(), "dltensor"))
        throw py::type_error(name + " must give a capsule named 'dltensor' by __dlpack__, got " + text(capsule));
    const DLTensor& tensor = static_cast<const DLManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"))->tensor;
    if (tensor.device_type != dl_cuda && tensor.device_type != dl_cuda_managed)
        throw py::value_error(name + " must lie in a CUDA device's memory, got DLPack's device type " +
                              std::to_string(tensor.device_type));
    expect_type(name, type_text(tensor), type);
    DeviceArray array{
        static_cast<char*>(tensor.data) + tensor.byte_offset, {tensor.shape, tensor.shape + tensor.dimensions}, capsule};
    if (tensor.strides) expect_contiguous(name, array.shape, {tensor.strides, tensor.strides + tensor.dimensions}, 1);
    return array;
}

bool has_interface(const Object& object) {
    return py::hasattr(object, "__cuda_array_interface__");
}

void expect_enough(const Features& x) {
    if (x.stimuli < 3) throw py::value_error("X must have at least 3 stimuli (rows), got " + std::to_string(x.stimuli));
    if (x.count < 1) throw py::value_error("X must have at least 1 feature (column), got 0");
}

}  // namespace

bool lies_on_device(const Object& object) {
    if (py::isinstance<py::array>(object)) return false;
    if (has_interface(object)) return true;
    if (!py::hasattr(object, "__dlpack_device__") || !py::hasattr(object, "__dlpack__")) return false;
    const auto type = py::tuple(object.attr("__dlpack_device__")())[0].cast<int32_t>();
    return type == dl_cuda || type == dl_cuda_managed;
}

int64_t DeviceArray::size() const {
    int64_t all = 1;
    for (const int64_t extent : shape) all *= extent;
    return all;
}

std::string DeviceArray::shape_text() const {
    return text(py::tuple(py::cast(shape)));
}

DeviceArray borrow_device_array(const Object& object, const std::string& name, const std::string& type, bool writable) {
    if (has_interface(object)) return borrow_by_interface(object, name, type, writable);
    if (writable)
        throw py::type_error(name +
                             " must have __cuda_array_interface__, which says whether it is writable, got an array by "
                             "DLPack alone");
    return borrow_by_dlpack(object, name, type);
}

Features features_of(const DeviceArray& x) {
    if (x.shape.size() != 2) throw py::value_error("X must have 2 dimension(s), got shape " + x.shape_text());
    const Features features{static_cast<const double*>(x.values), x.shape[0], x.shape[1]};
    expect_enough(features);
    return features;
}

Targets targets_of(const DeviceArray& target, int64_t stimuli, const std::string& name, bool& square) {
    const auto& shape = target.shape;
    const int64_t pairs = stimuli * (stimuli - 1) / 2;
    const std::size_t axes = shape.size();
    square = axes > 1 && shape[axes - 1] == stimuli && shape[axes - 2] == stimuli;
    const std::size_t leading = axes - (square ? 2 : 1);
    if (axes == 0 || (!square && shape.back() != pairs) || leading > 1 || (leading == 1 && shape[0] < 1)) {
        const std::string n = std::to_string(stimuli), p = std::to_string(pairs);
        throw py::value_error(name + " must have shape (" + n + ", " + n + "), (" + p + ",), (T, " + p + ") or (T, " + n + ", " +
                              n + ") on a CUDA device, got " + target.shape_text());
    }
    return {static_cast<const double*>(target.values), leading ? shape[0] : 1, nullptr, nullptr, 0};
}

Features borrow_features(const Object& x, bool check) {
    const Features features{borrow<double>(x, "X", 2), extent(x, 0), extent(x, 1)};
    expect_enough(features);
    if (check) cpu::expect_finite(features.values, features.stimuli, features.count);
    return features;
}

std::unique_ptr<Engine> host_engine(const Object& x, bool check) {
    if (!py::isinstance<py::array>(x) || !py::dtype::of<float>().equal(py::reinterpret_borrow<py::array>(x).dtype()))
        return cpu::load(borrow_features(x, check), check);
    const auto* values = borrow<float>(x, "X", 2);
    const Features shape{nullptr, extent(x, 0), extent(x, 1)};
    expect_enough(shape);
    if (check) cpu::expect_finite(values, shape.stimuli, shape.count);
    return cpu::load(values, shape.stimuli, shape.count, check);
}

Embedding::Embedding(const Object& x, bool check) {
    if (py::isinstance<BoundFeatures>(x)) {
        bound_ = &x.cast<const BoundFeatures&>();
    } else {
        own_ = std::make_unique<BoundFeatures>(BoundFeatures{host_engine(x, check), false, x});
        bound_ = own_.get();
    }
}

const Targets& Embedding::beside(const BoundTargets& bound) const {
    if (bound.loaded && !bound_->on_device)
        throw py::value_error("X must lie on the CUDA device that target lies on, got it in host memory");
    if (bound.pairs != engine().pairs())
        throw py::value_error("target must have " + std::to_string(engine().pairs()) + " pairs, those of the " +
                              std::to_string(engine().stimuli) + " stimuli of X, got " + std::to_string(bound.pairs));
    return bound.targets;
}

void Embedding::expect_both_on_device(const BoundTargets& bound) const {
    if (bound.targets.count < 1) throw py::value_error("target must hold at least one target, got none");
    if (bound_->on_device && !bound.loaded)
        throw py::value_error("target must lie on the CUDA device that X lies on, got it in host memory");
}

Indices borrow_indices(const Object& object, int64_t size, const char* name, const std::string& what) {
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

Indices borrow_stimuli(const Object& stimuli, int64_t all) {
    return stimuli.is_none() ? Indices{nullptr, all} : borrow_some_stimuli(stimuli, all);
}

Indices borrow_some_stimuli(const Object& stimuli, int64_t all) {
    const Indices chosen = borrow_indices(stimuli, all, "stimuli", "stimulus");
    if (chosen.count < 3) throw py::value_error("stimuli must name at least 3, got " + std::to_string(chosen.count));
    return chosen;
}

int64_t pairs_of(int64_t stimuli) {
    constexpr int64_t most = int64_t{1} << 31;
    if (stimuli < 2 || stimuli > most)
        throw py::value_error("stimuli must be from 2 to " + std::to_string(most) + ", got " + std::to_string(stimuli));
    return stimuli * (stimuli - 1) / 2;
}

Recording borrow_recording(const Object& object) {
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

void borrow_weights(Targets& targets, int64_t pairs, const Object& weights, const Object& weight_of) {
    if (weights.is_none()) return;
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

Targets borrow_targets(const Object& values, const Object& weights, const Object& weight_of, const Object& controls) {
    Targets targets{borrow<double>(values, "target", 2), extent(values, 0), nullptr, nullptr, 0};
    const int64_t pairs = extent(values, 1);
    borrow_weights(targets, pairs, weights, weight_of);
    if (!controls.is_none()) {
        targets.controls = borrow<double>(controls, "controls", 3);
        targets.control_count = extent(controls, 1);
        expect_extent(controls, 0, targets.weights ? targets.patterns : 1, "controls", "sets, one a row of weights");
        expect_extent(controls, 2, pairs, "controls", "pairs");
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

void expect_weights(const Targets& targets, int64_t pairs, Comparator comparator, Indices stimuli, int64_t all) {
    if (!targets.weights || by_moments(comparator)) return;
    std::vector<char> member(stimuli.values ? all : 0), counted;
    for (int64_t s = 0; stimuli.values && s < stimuli.count; ++s) member[stimuli.values[s]] = 1;
    for (int64_t i = 0; stimuli.values && i < all; ++i)
        for (int64_t j = i + 1; j < all; ++j) counted.push_back(member[i] && member[j]);
    for (int64_t at = 0; at < targets.patterns * pairs; ++at) {
        const double w = targets.weights[at];
        if ((stimuli.values && !counted[at % pairs]) || w == 1 || (w == 0 && is_rank(comparator))) continue;
        throw py::value_error(
            std::string("weights must be ") +
            (is_rank(comparator) ? "0 or 1 for a rank comparator" : "1, and no pair missing, for a whitened comparator") +
            ", got " + std::to_string(w) + " at pair " + std::to_string(at % pairs));
    }
}

}  // namespace secateur::bindings
