// Feature maps masked one by one: on the processor, or where a layer was loaded.
#include <pybind11/stl.h>

#include <optional>

#include "bindings/arrays.hpp"
#include "bindings/call.hpp"
#include "bindings/names.hpp"
#include "cpu/cpu.hpp"

namespace secateur::bindings {

void bind_feature_maps(py::module_&);

namespace {

// Single precision in host memory or on a device.
struct Borrowed {
    cuda::Singles singles;
    std::vector<int64_t> shape;
    Object owner;
    int64_t operator[](int axis) const { return shape[axis]; }
    std::string shape_text() const { return text(py::tuple(py::cast(shape))); }
};

Borrowed borrow_singles(const Object& object, const char* name, int dimensions) {
    if (!lies_on_device(object)) {
        Borrowed here{{borrow<float>(object, name, dimensions), 1, false}, {}, object};
        for (int axis = 0; axis < dimensions; ++axis) here.shape.push_back(extent(object, axis));
        for (const int64_t extent : here.shape) here.singles.count *= extent;
        return here;
    }
    const DeviceArray there = borrow_device_array(object, name, "<f4");
    if (static_cast<int>(there.shape.size()) != dimensions)
        throw py::value_error(std::string(name) + " must have " + std::to_string(dimensions) + " dimension(s), got shape " +
                              there.shape_text());
    return {{static_cast<const float*>(there.values), there.size(), true}, there.shape, there.owner};
}

void expect_extent(const Borrowed& array, int axis, int64_t expected, const char* name, const char* why) {
    if (array[axis] != expected)
        throw py::value_error(std::string(name) + " must have " + std::to_string(expected) + " " + why + ", got shape " +
                              array.shape_text());
}

// A layer's weights on a device.
struct BoundLayer {
    std::shared_ptr<cuda::LoadedLayer> layer;
    int64_t outputs, inputs;
};

BoundLayer cuda_load_layer(const Opened& opened, const Object& weights) {
    const Borrowed given = borrow_singles(weights, "weights", 2);
    BoundLayer bound{nullptr, given[0], given[1]};
    if (bound.outputs < 1 || bound.inputs < 1)
        throw py::value_error("weights must have at least 1 output and 1 input, got shape " + given.shape_text());
    const Layer layer{given.singles.values, bound.outputs, bound.inputs};
    run([&] { bound.layer = cuda::load(opened.device, layer, given.singles.on_device); });
    return bound;
}

Object masked_embeddings(const Object& before, const Object& removed, const Object& weights, const Object& after, int threads,
                         const Object& out) {
    const BoundLayer* there = py::isinstance<BoundLayer>(weights) ? &weights.cast<const BoundLayer&>() : nullptr;
    const auto own = borrow_singles(before, "before", 2), taken = borrow_singles(removed, "removed", 3),
               next = borrow_singles(after, "after", 2), of = there ? Borrowed{} : borrow_singles(weights, "weights", 2);
    if (!there && (own.singles.on_device || taken.singles.on_device || next.singles.on_device || of.singles.on_device))
        throw py::value_error("weights must be loaded on the CUDA device that the others lie on, got them as an array");
    const int64_t outputs = there ? there->outputs : of[0], inputs = there ? there->inputs : of[1], rows = taken[0],
                  images = taken[1];
    expect_extent(taken, 2, inputs, "removed", "units, as weights has inputs");
    expect_extent(own, 0, images, "before", "images, as removed has");
    expect_extent(own, 1, inputs, "before", "units, as weights has inputs");
    expect_extent(next, 0, images, "after", "images, as removed has");
    expect_extent(next, 1, outputs, "after", "units, as weights has outputs");
    if (there && (rows < 1 || images < 1))
        throw py::value_error("removed must have a row and an image, got shape " + taken.shape_text());
    Object made = out;
    float* to = nullptr;
    const bool out_on_device = !out.is_none();
    if (out_on_device) {
        if (!there || !lies_on_device(out))
            throw py::value_error(
                "out must lie on the CUDA device that weights were loaded on, or be None; got an array elsewhere");
        const DeviceArray array = borrow_device_array(out, "out", "<f4", true);
        if (array.shape != std::vector<int64_t>{rows, images, outputs})
            throw py::value_error("out must have shape (rows, images, outputs), got " + array.shape_text());
        to = static_cast<float*>(array.values);
    } else {
        py::array_t<float> array({rows, images, outputs});
        to = array.mutable_data();
        made = array;
    }
    run(threads, static_cast<double>(rows * images * inputs) * static_cast<double>(outputs), [&](const Context& context) {
        if (there)
            cuda::masked_embeddings(*there->layer, own.singles, taken.singles, rows, images, next.singles, context, to,
                                    out_on_device);
        else
            cpu::masked_embeddings(own.singles.values, taken.singles.values, rows, images, {of.singles.values, outputs, inputs},
                                   next.singles.values, context, to);
    });
    return made;
}

Array cuda_similarities(const Opened& opened, const Object& embeddings, const Object& beside, const std::string& metric) {
    const auto by = named<Metric>(metric, "metric");
    const Borrowed given = borrow_singles(embeddings, "embeddings", 3);
    const int64_t count = given[0], stimuli = given[1], features = given[2];
    if (count < 1 || stimuli < 2 || features < 1)
        throw py::value_error("embeddings must have a row, 2 stimuli and a feature or more, got shape " + given.shape_text());
    std::optional<Borrowed> theirs;
    if (!beside.is_none()) {
        theirs = borrow_singles(beside, "beside", 2);
        expect_extent(*theirs, 1, features, "beside", "features, as embeddings have");
        if ((*theirs)[0] < 1) throw py::value_error("beside must have a stimulus or more, got shape " + theirs->shape_text());
    }
    const int64_t others = theirs ? (*theirs)[0] : 0;
    Array out = theirs ? Array({count, stimuli, others}) : Array({count, pairs_of(stimuli)});
    double* to = out.mutable_data();
    run(1, 0, [&](const Context& context) {
        cuda::similarities(opened.device, given.singles, count, stimuli, features, theirs ? &theirs->singles : nullptr, others,
                           by, context, to);
    });
    return out;
}

}  // namespace

void bind_feature_maps(py::module_& module) {
    py::class_<BoundLayer>(module, "Layer", "A layer's weights on a CUDA device.");
    module.def("masked_embeddings", &masked_embeddings, py::arg("before"), py::arg("removed"), py::arg("weights"),
               py::arg("after"), py::arg("threads"), py::arg("out") = py::none(),
               "Embeddings (rows, images, outputs) behind two rectified layers, with `removed` taken from the first; on the "
               "device where weights were loaded there, and into `out` where that is an array there.");
    module.def("cuda_load_layer", &cuda_load_layer, py::arg("device"), py::arg("weights"),
               "A layer's weights (outputs, inputs) on the device, to be given to masked_embeddings in their place; a copy.");
    module.def("cuda_similarities", &cuda_similarities, py::arg("device"), py::arg("embeddings"), py::arg("beside"),
               py::arg("metric"),
               "Similarities (rows, pairs) of the stimuli in each of some embeddings (rows, stimuli, features), or (rows, "
               "stimuli, others) with those of one other (others, features).");
}

}  // namespace secateur::bindings
