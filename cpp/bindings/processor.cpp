// What runs on the processor alone.
#include "bindings/arrays.hpp"
#include "bindings/call.hpp"
#include "bindings/names.hpp"
#include "core/ranks.hpp"
#include "cpu/cpu.hpp"

namespace secateur::bindings {

void bind_processor(py::module_&);

namespace {

std::pair<bool, Array> rdm_movie(const Object& patterns, const std::string& metric, const Object& whitening, const Object& times,
                                 int threads) {
    const Recording recording = borrow_recording(patterns);
    const Dissimilarity rule = named<Dissimilarity>(metric, "metric");
    const Indices chosen = borrow_indices(times, recording.times, "times", "time point");
    if (traits_of(rule).crossed ? recording.splits < 2 : recording.splits != 1)
        throw py::value_error("patterns must have " + std::string(traits_of(rule).crossed ? "at least 2 splits" : "1 split") +
                              " for metric '" + metric + "', got " + std::to_string(recording.splits));
    const double* factor = nullptr;
    int64_t rank = recording.sensors;
    if (!whitening.is_none()) {
        factor = borrow<double>(whitening, "whitening", 2);
        expect_extent(whitening, 0, recording.sensors, "whitening", "rows, one a sensor");
        rank = extent(whitening, 1);
    }
    const int64_t pairs = recording.stimuli * (recording.stimuli - 1) / 2;
    Array out({chosen.count, pairs});
    double* to = out.mutable_data();
    bool finite = false;
    run(threads, static_cast<double>(pairs * recording.sensors * chosen.count * recording.splits),
        [&](const Context& context) { finite = cpu::rdm_movie(recording, rule, factor, rank, chosen, context, to); });
    return {finite, out};
}

std::pair<double, double> magnitudes(const Object& x) {
    const bool array = py::isinstance<py::array>(x);
    const int64_t count = array ? py::reinterpret_borrow<py::array>(x).size() : 0;
    const bool single = array && py::dtype::of<float>().equal(py::reinterpret_borrow<py::array>(x).dtype());
    cpu::Magnitudes found{};
    if (single) {
        const auto* values = borrow<float>(x, "X", 2);
        run([&] { found = cpu::magnitudes(values, count); });
    } else {
        const auto* values = borrow<double>(x, "X", 2);
        run([&] { found = cpu::magnitudes(values, count); });
    }
    return {found.largest, found.smallest};
}

Integers order_by_importance(const Object& values, int threads) {
    const double* given = borrow<double>(values, "values", 2);
    const int64_t rows = extent(values, 0), count = extent(values, 1);
    Integers out({rows, count});
    int64_t* to = out.mutable_data();
    run(threads, 20.0 * static_cast<double>(rows * count),
        [&](const Context& context) { secateur::order_by_importance(given, rows, count, context, to); });
    return out;
}

Triplets borrow_triplets(const Object& object, int64_t stimuli) {
    const Triplets triplets{borrow<int64_t>(object, "triplets", 2), extent(object, 0)};
    expect_extent(object, 1, 3, "triplets", "columns");
    if (triplets.count < 1) throw py::value_error("triplets must hold at least one, got none");
    for (int64_t t = 0; t < triplets.count; ++t) {
        const int64_t* one = triplets.stimuli + 3 * t;
        for (int s = 0; s < 3; ++s)
            if (one[s] < 0 || one[s] >= stimuli || one[s] == one[(s + 1) % 3])
                throw py::value_error("triplets must hold three distinct stimuli from 0 to " + std::to_string(stimuli - 1) +
                                      ", got " + std::to_string(one[0]) + ", " + std::to_string(one[1]) + ", " +
                                      std::to_string(one[2]) + " in row " + std::to_string(t));
    }
    return triplets;
}

// Of each feature of a subset, or of each prefix of an order. (A sanitizer's build can't compare functions as it compiles.)
template <auto verb, bool in_order>
Array choices(const Object& x, const Object& triplets, const std::string& metric, const Object& features, int threads) {
    const Features embedding = borrow_features(x);
    const Triplets chosen = borrow_triplets(triplets, embedding.stimuli);
    const auto rule = named<Metric>(metric, "metric");
    const Indices listed = borrow_indices(features, embedding.count, in_order ? "order" : "subset");
    if (listed.count < 1) throw py::value_error("features must be at least one, got none");
    Array out(in_order ? listed.count : embedding.count);
    double* to = out.mutable_data();
    run(threads, 30.0 * static_cast<double>(chosen.count * listed.count),
        [&](const Context& context) { verb(embedding, chosen, rule, listed, context, to); });
    return out;
}

}  // namespace

void bind_processor(py::module_& module) {
    module.def("rdm_movie", &rdm_movie, py::arg("patterns"), py::arg("metric"), py::arg("whitening"), py::arg("times"),
               py::arg("threads"),
               "Whether all patterns are finite, and dissimilarities (times, pairs) of the patterns at each time.");
    const py::arg x("X"), triplets("triplets"), metric("metric"), threads("threads");
    module.def("choices_leave_one_out", &choices<&cpu::choices_leave_one_out, false>, x, triplets, metric, py::arg("subset"),
               threads, "Share of choices (features) that are the most similar pair with each feature of the subset removed.");
    module.def("choices_insertion_curve", &choices<&cpu::choices_insertion_curve, true>, x, triplets, metric, py::arg("order"),
               threads, "Share of choices (steps) that are the most similar pair over each prefix of the order.");
    module.def("magnitudes", &magnitudes, py::arg("X"),
               "The largest magnitude of X, NaN where some value is not finite, and the smallest other than zero.");
    module.def("order_by_importance", &order_by_importance, py::arg("values"), py::arg("threads"),
               "Places (rows, count) of each row's values, largest first; NaN before all, ties by place.");
}

}  // namespace secateur::bindings
