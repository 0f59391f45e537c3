// The compiled module: a table of contents. Check, release the GIL, compute, hand back.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "arrays.hpp"
#include "core/ranks.hpp"
#include "core/verbs.hpp"

namespace secateur::bindings {
namespace {

// The names that Python knows each by: null behind the last one.
const char* name_of(Metric metric) {
    return traits_of(metric).name;
}
const char* name_of(Comparator comparator) {
    switch (comparator) {
        case Comparator::pearson:
            return "pearson";
        case Comparator::cosine:
            return "cosine";
        case Comparator::corr_cov:
            return "corr_cov";
        case Comparator::cosine_cov:
            return "cosine_cov";
        case Comparator::spearman:
            return "spearman";
        case Comparator::rho_a:
            return "rho-a";
        case Comparator::tau_a:
            return "tau-a";
        case Comparator::tau_b:
            return "tau-b";
    }
    return nullptr;
}
const char* name_of(Dissimilarity dissimilarity) {
    switch (dissimilarity) {
        case Dissimilarity::correlation:
            return "correlation";
        case Dissimilarity::euclidean:
            return "euclidean";
        case Dissimilarity::crossed_euclidean:
            return "crossnobis";
        case Dissimilarity::crossed_correlation:
            return "split-half";
    }
    return nullptr;
}
const char* name_of(cuda::Precision precision) {
    switch (precision) {
        case cuda::Precision::full:
            return "double";
        case cuda::Precision::single:
            return "single";
    }
    return nullptr;
}

// All of them, in the order of the enum.
template <class Choice>
std::vector<std::string> names() {
    std::vector<std::string> all;
    for (int at = 0; const char* name = name_of(static_cast<Choice>(at)); ++at) all.emplace_back(name);
    return all;
}

int64_t place_among(const std::vector<std::string>& all, const std::string& value, const char* argument) {
    const auto found = std::find(all.begin(), all.end(), value);
    if (found != all.end()) return found - all.begin();
    std::string message = std::string(argument) + " must be one of";
    for (const auto& name : all) message += " '" + name + "',";
    message.back() = ';';
    throw py::value_error(message + " got '" + value + "'");
}

template <class Choice>
Choice named(const std::string& value, const char* argument) {
    return static_cast<Choice>(place_among(names<Choice>(), value, argument));
}

Metric metric_named(const std::string& name) {
    return named<Metric>(name, "metric");
}

Comparator comparator_named(const std::string& name) {
    return named<Comparator>(name, "comparator");
}

Dissimilarity dissimilarity_named(const std::string& name) {
    return named<Dissimilarity>(name, "metric");
}

// Multiply-adds below which waking threads costs more than they save, above all where other programs keep the cores busy.
constexpr double worth_threads = 4e6;

// Multiply-adds of one feature come or gone, for all pairs, features and targets; sorting counts as twenty.
double work_of(int64_t stimuli, int64_t features, const Targets& targets, Comparator comparator) {
    const double each =
        !by_moments(comparator) ? 20.0 * static_cast<double>(targets.count) : 5.0 + static_cast<double>(targets.count);
    return static_cast<double>(stimuli * (stimuli - 1) / 2) * static_cast<double>(features) * each;
}

// Runs a kernel without the GIL; the calling thread asks for signals (Ctrl-C) about twenty times a second.
template <class Kernel>
void run(int threads, double work, Kernel&& kernel) {
    using Clock = std::chrono::steady_clock;
    auto last = Clock::now();
    const int wanted = checked_threads(threads);
    simd_level();  // one that can't be had is refused while the GIL is held
    const Context context(work < worth_threads ? 1 : wanted, [last]() mutable {
        if (Clock::now() - last < std::chrono::milliseconds(50)) return false;
        last = Clock::now();
        const py::gil_scoped_acquire held;
        return PyErr_CheckSignals() != 0;
    });
    try {
        const py::gil_scoped_release released;
        kernel(context);
    } catch (const Interrupted&) {
        throw py::error_already_set();
    } catch (const OutOfMemory& error) {
        PyErr_SetString(PyExc_MemoryError, error.what());
        throw py::error_already_set();
    }
}

// What a device does of the comparators.
std::vector<std::string> cuda_comparators() {
    std::vector<std::string> taken;
    for (const auto& name : names<Comparator>())
        if (cuda::takes(comparator_named(name))) taken.push_back(name);
    return taken;
}

void expect_moments(const Embedding& x, Comparator comparator, const std::string& name) {
    if (x.engine->takes(comparator)) return;
    std::string taken;
    for (const auto& one : cuda_comparators()) taken += (taken.empty() ? "'" : " or '") + one + "'";
    throw py::value_error("comparator must be " + taken + " on a CUDA device, got '" + name + "': use device='cpu'");
}

using Array = py::array_t<double>;
using Object = py::object;

Array similarity(const Object& x, const std::string& metric, const Object& subset, int threads) {
    const Embedding embedding = borrow_embedding(x);
    Engine& engine = *embedding.engine;
    const Indices chosen = borrow_indices(subset, engine.features, "subset");
    const Metric rule = metric_named(metric);
    Array out(engine.pairs());
    double* to = out.mutable_data();
    run(threads, static_cast<double>(engine.pairs() * chosen.count),
        [&](const Context& context) { secateur::similarity(engine, rule, chosen, context, to); });
    return out;
}

Array compare(const Object& similarities, int64_t stimuli, const Object& values, const Object& weights, const Object& weight_of,
              const std::string& comparator, int threads, const std::optional<std::string>& metric) {
    const Comparator rule = comparator_named(comparator);
    const TieScale ties = metric ? tie_scale_of(metric_named(*metric)) : TieScale{};
    const double* given = borrow<double>(similarities, "similarities", 2);
    const int64_t count = extent(similarities, 0), pairs = extent(similarities, 1);
    if (stimuli != 0) expect_extent(similarities, 1, pairs_of(stimuli), "similarities", "pairs");
    if (stimuli == 0 && is_whitened(rule))
        throw py::value_error("comparator must not be whitened for pairs that are not all of a set, got '" + comparator + "'");
    const Targets targets = borrow_targets(values, weights, weight_of, pairs);
    expect_weights(targets, pairs, rule);
    Array out({count, targets.count});
    double* to = out.mutable_data();
    run(threads, static_cast<double>(count * targets.count * pairs) * (by_moments(rule) ? 2 : 20),
        [&](const Context& context) { secateur::compare(given, count, pairs, stimuli, targets, ties, rule, context, to); });
    return out;
}

// Beside an X that was loaded, targets lie there too.
void expect_beside(const Targets& targets, const Embedding& x) {
    if (targets.count < 1) throw py::value_error("target must hold at least one target, got none");
    if (!x.own && !targets.loaded)
        throw py::value_error("target must lie on the CUDA device that X lies on, got it in host memory");
}

void expect_no_weights(const Targets& targets) {
    if (targets.loaded && targets.weights)
        throw py::value_error("target must have no weights on a CUDA device here, got some: pass it as a numpy array");
}

Targets targets_beside(const Object& values, const Object& weights, const Object& weight_of, const Embedding& x) {
    if (!py::isinstance<LoadedTargets>(values)) return borrow_targets(values, weights, weight_of, x.engine->pairs());
    if (x.own) throw py::value_error("X must lie on the CUDA device that target lies on, got it in host memory");
    const auto& held = values.cast<const LoadedTargets&>();
    if (!weights.is_none() || !weight_of.is_none())
        throw py::value_error("weights must be None for a target on a CUDA device, which has its own, got some");
    if (held.stimuli != x.engine->stimuli)
        throw py::value_error("target must be of the " + std::to_string(x.engine->stimuli) + " stimuli of X, got one of " +
                              std::to_string(held.stimuli));
    return held.targets;
}

template <auto kernel>
Array one_feature(const Object& x, const Object& values, const Object& weights, const Object& weight_of,
                  const std::string& metric, const std::string& comparator, const Object& subset, int threads) {
    const Embedding embedding = borrow_embedding(x);
    Engine& engine = *embedding.engine;
    const Metric rule = metric_named(metric);
    const Comparator comparison = comparator_named(comparator);
    expect_moments(embedding, comparison, comparator);
    const Targets targets = targets_beside(values, weights, weight_of, embedding);
    expect_no_weights(targets);
    expect_weights(targets, engine.pairs(), comparison);
    const Indices chosen = borrow_indices(subset, engine.features, "subset");
    Array out({targets.count, engine.features});
    double* to = out.mutable_data();
    run(threads, work_of(engine.stimuli, engine.features, targets, comparison), [&](const Context& context) {
        kernel(engine, targets, {rule, comparison}, chosen, context, to);
    });
    return out;
}

Array insertion_curve(const Object& x, const Object& values, const Object& weights, const Object& weight_of,
                      const std::string& metric, const std::string& comparator, const Object& order, int threads) {
    const Embedding embedding = borrow_embedding(x);
    Engine& engine = *embedding.engine;
    const Metric rule = metric_named(metric);
    const Comparator comparison = comparator_named(comparator);
    expect_moments(embedding, comparison, comparator);
    const Targets targets = targets_beside(values, weights, weight_of, embedding);
    expect_no_weights(targets);
    expect_weights(targets, engine.pairs(), comparison);
    const int64_t* orders = borrow<int64_t>(order, "order", 2);
    const int64_t count = extent(order, 0), steps = extent(order, 1);
    if (count != 1 && count != targets.count)
        throw py::value_error("order must have one row, or one a target (" + std::to_string(targets.count) + "), got " +
                              std::to_string(count));
    if (steps < 1) throw py::value_error("order must hold at least one feature, got none");
    const auto rows = py::reinterpret_borrow<py::array>(order);
    for (int64_t t = 0; t < count; ++t) borrow_indices(rows[py::int_(t)], engine.features, "order");
    Array out({targets.count, steps});
    double* to = out.mutable_data();
    run(threads, work_of(engine.stimuli, engine.features, targets, comparison), [&](const Context& context) {
        secateur::insertion_curve(engine, targets, {rule, comparison}, {orders, count, steps}, context, to);
    });
    return out;
}

// Some of the stimuli; None: all, as they lie.
Indices borrow_stimuli(const Object& stimuli, int64_t all) {
    if (stimuli.is_none()) return {nullptr, all};
    const Indices chosen = borrow_indices(stimuli, all, "stimuli", "stimulus");
    if (chosen.count < 3) throw py::value_error("stimuli must name at least 3, got " + std::to_string(chosen.count));
    return chosen;
}

void expect_weights_among(const Targets& targets, int64_t all, Comparator comparator, Indices stimuli) {
    const int64_t pairs = all * (all - 1) / 2;
    if (!stimuli.values || by_moments(comparator)) return expect_weights(targets, pairs, comparator);
    const std::vector<char> counted = pairs_among(stimuli, all);
    expect_weights(targets, pairs, comparator, &counted);
}

Object ranking(const Object& x, const Object& values, const Object& weights, const Object& weight_of, const std::string& metric,
               const std::string& comparator, const Object& stimuli, int64_t least, int64_t most, double tie,
               const std::string& wanted, int threads) {
    const Embedding embedding = borrow_embedding(x);
    Engine& engine = *embedding.engine;
    const Metric rule = metric_named(metric);
    const Comparator comparison = comparator_named(comparator);
    const int64_t much = place_among({"support", "importance", "path"}, wanted, "wanted");
    expect_moments(embedding, comparison, comparator);
    const Targets targets = targets_beside(values, weights, weight_of, embedding);
    expect_beside(targets, embedding);
    const Indices chosen = borrow_stimuli(stimuli, engine.stimuli);
    expect_weights_among(targets, engine.stimuli, comparison, chosen);
    if (least < 1 || most < least || most > engine.features)
        throw py::value_error("least and most must be lengths from 1 to " + std::to_string(engine.features) + " in order, got " +
                              std::to_string(least) + " and " + std::to_string(most));
    const int64_t count = targets.count, d = engine.features, of_path = much > 1 ? count : 0;
    Array baseline(count), alignment(count), importance({much > 0 ? count : 0, d}), curve({of_path, d});
    py::array_t<int64_t> order({of_path, d}), length(count);
    py::array_t<bool> support({count, d});
    const Ranked out{baseline.mutable_data(),
                     much > 0 ? importance.mutable_data() : nullptr,
                     of_path ? order.mutable_data() : nullptr,
                     of_path ? curve.mutable_data() : nullptr,
                     length.mutable_data(),
                     alignment.mutable_data(),
                     support.mutable_data()};
    bool ranked = false;
    run(threads, work_of(chosen.count, d, targets, comparison), [&](const Context& context) {
        ranked = secateur::ranking(engine, targets, {rule, comparison}, chosen, {least, most, tie}, context, out);
    });
    if (!ranked) return py::none();
    return py::make_tuple(baseline, importance, order, curve, length, alignment, support);
}

std::pair<Array, py::array_t<int64_t>> held_out_alignment(const Object& x, const Object& values, const Object& weights,
                                                          const Object& weight_of, const std::string& metric,
                                                          const std::string& comparator, const Object& stimuli,
                                                          const Object& kept, int threads) {
    const Embedding embedding = borrow_embedding(x);
    Engine& engine = *embedding.engine;
    const Metric rule = metric_named(metric);
    const Comparator comparison = comparator_named(comparator);
    expect_moments(embedding, comparison, comparator);
    const Targets targets = targets_beside(values, weights, weight_of, embedding);
    expect_beside(targets, embedding);
    const Indices chosen = borrow_stimuli(stimuli, engine.stimuli);
    expect_weights_among(targets, engine.stimuli, comparison, chosen);
    const bool* masks = nullptr;
    int64_t moves = engine.features;
    if (!kept.is_none()) {
        masks = borrow<bool>(kept, "kept", 2);
        expect_extent(kept, 0, targets.count, "kept", "rows, one a target");
        expect_extent(kept, 1, engine.features, "kept", "columns, one a feature");
        moves = std::count(masks, masks + targets.count * engine.features, true);
    }
    Array out(targets.count);
    py::array_t<int64_t> undefined(targets.count);
    double* to = out.mutable_data();
    int64_t* left_out = undefined.mutable_data();
    const double work =
        static_cast<double>(chosen.count * (chosen.count - 1) / 2) * static_cast<double>(moves + 20 * targets.count);
    run(threads, work, [&](const Context& context) {
        secateur::held_out_alignment(engine, targets, {rule, comparison}, chosen, masks, context, to, left_out);
    });
    return {out, undefined};
}

std::pair<bool, Array> rdm_movie(const Object& patterns, const std::string& metric, const Object& whitening, const Object& times,
                                 int threads) {
    const Recording recording = borrow_recording(patterns);
    const Dissimilarity rule = dissimilarity_named(metric);
    const Indices chosen = borrow_indices(times, recording.times, "times", "time point");
    if (is_crossed(rule) ? recording.splits < 2 : recording.splits != 1)
        throw py::value_error("patterns must have " + std::string(is_crossed(rule) ? "at least 2 splits" : "1 split") +
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

py::array_t<float> masked_embeddings(const Object& before, const Object& removed, const Object& weights, const Object& after,
                                     int threads) {
    const float *own = borrow<float>(before, "before", 2), *taken = borrow<float>(removed, "removed", 3);
    const Layer layer{borrow<float>(weights, "weights", 2), extent(weights, 0), extent(weights, 1)};
    const float* next = borrow<float>(after, "after", 2);
    const int64_t rows = extent(removed, 0), images = extent(removed, 1);
    expect_extent(removed, 2, layer.inputs, "removed", "units, as weights has inputs");
    expect_extent(before, 0, images, "before", "images, as removed has");
    expect_extent(before, 1, layer.inputs, "before", "units, as weights has inputs");
    expect_extent(after, 0, images, "after", "images, as removed has");
    expect_extent(after, 1, layer.outputs, "after", "units, as weights has outputs");
    py::array_t<float> out({rows, images, layer.outputs});
    float* to = out.mutable_data();
    run(threads, static_cast<double>(rows * images * layer.inputs) * static_cast<double>(layer.outputs),
        [&](const Context& context) { cpu::masked_embeddings(own, taken, rows, images, layer, next, context, to); });
    return out;
}

py::array_t<int64_t> rank(const Object& values, int threads) {
    const double* given = borrow<double>(values, "values", 2);
    const int64_t rows = extent(values, 0), count = extent(values, 1);
    py::array_t<int64_t> out({rows, count});
    int64_t* to = out.mutable_data();
    run(threads, 20.0 * static_cast<double>(rows * count),
        [&](const Context& context) { secateur::rank(given, rows, count, context, to); });
    return out;
}

std::pair<bool, std::string> cuda_available() {
    std::string reason;
    const bool available = cuda::available(reason);
    return {available, reason};
}

using Device = std::shared_ptr<cuda::Device>;

struct Opened {  // a device's stream and memory, for as long as something runs there
    Device device;
};

Opened cuda_open() {
    Opened opened;
    run(1, 0, [&](const Context&) { opened.device = cuda::open(); });
    return opened;
}

Loaded cuda_load(const Opened& opened, const Object& x, const std::string& precision) {
    const auto how = named<cuda::Precision>(precision, "precision");
    const bool on_device = lies_on_device(x);
    Loaded loaded{on_device ? borrow_device_features(x) : borrow_features(x), nullptr, x};
    run(1, 0, [&](const Context&) { loaded.engine = cuda::load(opened.device, loaded.shape, on_device, how); });
    loaded.shape.values = nullptr;
    return loaded;
}

LoadedTargets cuda_load_targets(const Opened& opened, const Object& values, const Object& weights, const Object& weight_of,
                                int64_t stimuli, bool turned) {
    const int64_t pairs = pairs_of(stimuli);
    const bool on_device = lies_on_device(values);
    if (on_device && !weights.is_none()) throw py::value_error("weights must be None for a target on a CUDA device, got some");
    LoadedTargets loaded{on_device ? borrow_device_targets(values, pairs) : borrow_targets(values, weights, weight_of, pairs),
                         stimuli,
                         nullptr,
                         values,
                         weights,
                         weight_of};
    run(1, 0,
        [&](const Context&) { loaded.loaded = cuda::load(opened.device, loaded.targets, stimuli, on_device, turned ? -1 : 1); });
    loaded.targets.values = nullptr;
    loaded.targets.loaded = loaded.loaded.get();
    return loaded;
}

// What lies on the device, as a numpy array: X or targets.
Array cuda_fetch(const Object& loaded) {
    if (py::isinstance<LoadedTargets>(loaded)) {
        const auto& held = loaded.cast<const LoadedTargets&>();
        Array out({held.targets.count, held.stimuli * (held.stimuli - 1) / 2});
        double* to = out.mutable_data();
        const int64_t size = out.size();
        run(1, 0, [&](const Context&) { std::copy_n(held.loaded->host_values(), size, to); });
        return out;
    }
    const auto& held = loaded.cast<const Loaded&>();
    Array out({held.shape.stimuli, held.shape.count});
    double* to = out.mutable_data();
    const int64_t size = out.size();
    run(1, 0, [&](const Context&) { std::copy_n(held.engine->host_features().values, size, to); });
    return out;
}

}  // namespace

PYBIND11_MODULE(_core, module) {
    module.doc() = "Secateur's compiled core (CUDA: " SECATEUR_CUDA
                   "). Arguments are checked, never converted; pairs are in numpy.triu_indices order.";
    py::class_<Opened>(module, "_Device").def_property_readonly("seconds", [](const Opened& opened) {
        return cuda::seconds(*opened.device);
    });
    py::class_<Loaded>(module, "_Loaded");
    py::class_<LoadedTargets>(module, "_LoadedTargets");
    module.def("similarity", &similarity, py::arg("X"), py::arg("metric"), py::arg("subset"), py::arg("threads"),
               "Similarities (pairs,) of the stimuli over the features of the subset.");
    module.def("compare", &compare, py::arg("similarities"), py::arg("stimuli"), py::arg("target"), py::arg("weights"),
               py::arg("weight_of"), py::arg("comparator"), py::arg("threads"), py::arg("metric") = py::none(),
               "Alignment (count, targets) of given similarities; of what metric, as ties among them go by its scale.");
    module.def("leave_one_out", &one_feature<&secateur::leave_one_out>, py::arg("X"), py::arg("target"), py::arg("weights"),
               py::arg("weight_of"), py::arg("metric"), py::arg("comparator"), py::arg("subset"), py::arg("threads"),
               "Alignment (targets, features) with each feature of the subset removed.");
    module.def("add_one", &one_feature<&secateur::add_one>, py::arg("X"), py::arg("target"), py::arg("weights"),
               py::arg("weight_of"), py::arg("metric"), py::arg("comparator"), py::arg("subset"), py::arg("threads"),
               "Alignment (targets, features) with each feature added to the subset.");
    module.def("insertion_curve", &insertion_curve, py::arg("X"), py::arg("target"), py::arg("weights"), py::arg("weight_of"),
               py::arg("metric"), py::arg("comparator"), py::arg("order"), py::arg("threads"),
               "Alignment (targets, steps) of each prefix of the order.");
    module.def(
        "ranking", &ranking, py::arg("X"), py::arg("target"), py::arg("weights"), py::arg("weight_of"), py::arg("metric"),
        py::arg("comparator"), py::arg("stimuli"), py::arg("least"), py::arg("most"), py::arg("tie"), py::arg("wanted"),
        py::arg("threads"),
        "The search by ranking among some stimuli: baseline (targets), importance (targets, features), order and curve (the "
        "same), length, alignment (targets) and support (targets, features) of the best prefix of `least` to `most` "
        "features. `wanted`: 'support' (importance, order and curve have no rows), 'importance' (order and curve have "
        "none), or 'path'; length 0 where there is none. None where all features of a target have no "
        "alignment, or the target is constant.");
    module.def(
        "held_out_alignment", &held_out_alignment, py::arg("X"), py::arg("target"), py::arg("weights"), py::arg("weight_of"),
        py::arg("metric"), py::arg("comparator"), py::arg("stimuli"), py::arg("kept"), py::arg("threads"),
        "Alignment (targets) among some stimuli with each target's kept features, over the defined pairs, and how many with "
        "weight were not.");
    module.def("rdm_movie", &rdm_movie, py::arg("patterns"), py::arg("metric"), py::arg("whitening"), py::arg("times"),
               py::arg("threads"),
               "Whether all patterns are finite, and dissimilarities (times, pairs) of the patterns at each time.");
    module.def("masked_embeddings", &masked_embeddings, py::arg("before"), py::arg("removed"), py::arg("weights"),
               py::arg("after"), py::arg("threads"),
               "Embeddings (rows, images, outputs) behind two rectified layers, with `removed` taken from the first.");
    module.def("rank", &rank, py::arg("values"), py::arg("threads"),
               "Places (rows, count) of each row's values, largest first; NaN before all, ties by place.");
    module.def("cuda_available", &cuda_available, "Whether CUDA kernels can run here, and why not.");
    module.def("cuda_device", &cuda::describe, "The CUDA device in words: name, compute capability, memory.");
    module.def("cuda_open", &cuda_open, "A stream on the CUDA device, and the memory that calls leave to the next.");
    module.def("cuda_load", &cuda_load, py::arg("device"), py::arg("X"), py::arg("precision"),
               "X on the device, to be given to the verbs in X's place: copied there, or taken as it lies there already.");
    module.def("cuda_load_targets", &cuda_load_targets, py::arg("device"), py::arg("target"), py::arg("weights"),
               py::arg("weight_of"), py::arg("stimuli"), py::arg("turned"),
               "Targets on the device, to be given to the verbs with an X that lies there; a copy, negated if `turned`.");
    module.def("cuda_fetch", &cuda_fetch, py::arg("loaded"), "What was loaded on the device, as a numpy array.");
    module.def(
        "simd_level", [] { return name_of(simd_level()); },
        "The instruction level in use: the one that SECATEUR_SIMD named at the first call, else the widest.");
    module.def(
        "simd_levels",
        [] {
            std::vector<std::string> names;
            for (const Level level : simd_levels()) names.push_back(name_of(level));
            return names;
        },
        "The instruction levels of this build that this machine runs, narrowest first.");
    module.def("metrics", &names<Metric>, "The names of the metrics that the verbs know.");
    module.def("comparators", &names<Comparator>, "The names of the comparators that the verbs know.");
    module.def("cuda_comparators", &cuda_comparators, "The names of the comparators that a CUDA device takes.");
    module.def(
        "cuda_most_stimuli", [] { return cuda::most_stimuli; }, "So many stimuli a CUDA device takes.");
    module.def("simd_lanes", &simd_lanes, "Doubles that move together in the kernels chosen for this machine.");
}

}  // namespace secateur::bindings
