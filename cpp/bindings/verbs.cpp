// The verbs, for X and targets wherever they lie, and what they take.
#include "core/verbs.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <optional>

#include "bindings/arrays.hpp"
#include "bindings/call.hpp"
#include "bindings/names.hpp"
#include "cpu/cpu.hpp"

namespace secateur::bindings {

void bind_arguments(py::module_&);
void bind_verbs(py::module_&);

namespace {

BoundFeatures bind_features(const Object& x) {
    return {host_engine(x), false, x};
}

BoundTargets bind_targets(const Object& values, const Object& weights, const Object& weight_of, const Object& controls) {
    return {
        borrow_targets(values, weights, weight_of, controls), extent(values, 1), nullptr, values, weights, weight_of, controls};
}

Measures bind_measures(const std::string& metric, const std::string& comparator) {
    return {named<Metric>(metric, "metric"), named<Comparator>(comparator, "comparator")};
}

// What a search by ranking found.
struct Ranking {
    Array baseline, importance;
    Integers order;
    Array curve;
    Integers length;
    Array alignment;
    py::array_t<bool> support;
};

// Multiply-adds of one feature come or gone, for all pairs, features and targets; sorting counts as twenty.
double work_of(int64_t stimuli, int64_t features, const Targets& targets, Comparator comparator) {
    const auto rows = static_cast<double>(targets.count + targets.control_count);
    const double each = !by_moments(comparator) ? 20.0 * rows : 5.0 + rows;
    return static_cast<double>(stimuli * (stimuli - 1) / 2) * static_cast<double>(features) * each;
}

void expect_taken(const Engine& engine, Comparator comparator) {
    if (engine.takes(comparator)) return;
    std::string taken;
    for (const auto& one : cuda_comparators()) taken += (taken.empty() ? "'" : " or '") + one + "'";
    throw py::value_error("comparator must be " + taken + " on a CUDA device, got '" + name_of(comparator) +
                          "': use device='cpu'");
}

void expect_no_controls(const BoundTargets& bound, const char* where) {
    if (bound.targets.controls)
        throw py::value_error("controls must be None " + std::string(where) + ", got " +
                              std::to_string(bound.targets.control_count));
}

void expect_controls(const BoundTargets& bound, Comparator comparator) {
    if (comparator != Comparator::pearson) expect_no_controls(bound, "for a comparator other than 'pearson'");
}

// The targets of a verb, once the engine takes the comparator and the comparator their weights.
const Targets& checked(const Embedding& x, const BoundTargets& bound, Comparator comparator) {
    expect_taken(x.engine(), comparator);
    expect_controls(bound, comparator);
    if (x.on_device()) expect_no_controls(bound, "on a CUDA device");
    const Targets& targets = x.beside(bound);
    expect_weights(targets, x.engine().pairs(), comparator);
    return targets;
}

// Whether a subset leaves features out: what is summed up then does not say whether X is finite.
bool is_part(const Object& x, const Object& subset) {
    if (!py::isinstance<py::array>(x) || !py::isinstance<py::array>(subset)) return true;
    const auto features = py::reinterpret_borrow<py::array>(x);
    return features.ndim() != 2 || py::reinterpret_borrow<py::array>(subset).size() != features.shape(1);
}

Array similarity(const Object& x, const std::string& metric, const Object& subset, int threads) {
    const Embedding embedding(x, is_part(x, subset));
    Engine& engine = embedding.engine();
    const Indices chosen = borrow_indices(subset, engine.features, "subset");
    const auto rule = named<Metric>(metric, "metric");
    Array out(engine.pairs());
    double* to = out.mutable_data();
    run(threads, static_cast<double>(engine.pairs() * chosen.count),
        [&](const Context& context) { secateur::similarity(engine, rule, chosen, context, to); });
    return out;
}

Array compare(const Object& similarities, int64_t stimuli, const BoundTargets& target, const std::string& comparator, int threads,
              const std::optional<std::string>& metric) {
    const auto rule = named<Comparator>(comparator, "comparator");
    const TieScale ties = metric ? tie_scale_of(named<Metric>(*metric, "metric")) : TieScale{};
    const double* given = borrow<double>(similarities, "similarities", 2);
    const int64_t count = extent(similarities, 0), pairs = extent(similarities, 1);
    if (stimuli != 0) expect_extent(similarities, 1, pairs_of(stimuli), "similarities", "pairs");
    if (stimuli == 0 && is_whitened(rule))
        throw py::value_error("comparator must not be whitened for pairs that are not all of a set, got '" + comparator + "'");
    if (target.loaded || target.pairs != pairs)
        throw py::value_error("target must have " + std::to_string(pairs) + " pairs in host memory, as similarities have, got " +
                              std::to_string(target.pairs) + (target.loaded ? " on a device" : ""));
    const Targets& targets = target.targets;
    expect_weights(targets, pairs, rule);
    expect_controls(target, rule);
    Array out({count, targets.count});
    double* to = out.mutable_data();
    run(threads, static_cast<double>(count * targets.count * pairs) * (by_moments(rule) ? 2 : 20),
        [&](const Context& context) { secateur::compare(given, count, pairs, stimuli, targets, ties, rule, context, to); });
    return out;
}

template <auto verb>
Array one_feature(const Object& x, const BoundTargets& target, const Measures& by, const Object& subset, int threads) {
    const Embedding embedding(x, is_part(x, subset));
    Engine& engine = embedding.engine();
    const Targets& targets = checked(embedding, target, by.comparator);
    const Indices chosen = borrow_indices(subset, engine.features, "subset");
    Array out({targets.count, engine.features});
    double* to = out.mutable_data();
    run(threads, work_of(engine.stimuli, engine.features, targets, by.comparator),
        [&](const Context& context) { verb(engine, targets, by, chosen, context, to); });
    return out;
}

Array insertion_curve(const Object& x, const BoundTargets& target, const Measures& by, const Object& order, int threads) {
    const Embedding embedding(x);
    Engine& engine = embedding.engine();
    const Targets& targets = checked(embedding, target, by.comparator);
    const Orders orders{borrow<int64_t>(order, "order", 2), extent(order, 0), extent(order, 1)};
    if (orders.count != 1 && orders.count != targets.count)
        throw py::value_error("order must have one row, or one a target (" + std::to_string(targets.count) + "), got " +
                              std::to_string(orders.count));
    if (orders.steps < 1) throw py::value_error("order must hold at least one feature, got none");
    const auto rows = py::reinterpret_borrow<py::array>(order);
    for (int64_t t = 0; t < orders.count; ++t) borrow_indices(rows[py::int_(t)], engine.features, "order");
    Array out({targets.count, orders.steps});
    double* to = out.mutable_data();
    run(threads, work_of(engine.stimuli, engine.features, targets, by.comparator),
        [&](const Context& context) { secateur::insertion_curve(engine, targets, by, orders, context, to); });
    return out;
}

std::optional<Ranking> ranking(const Object& x, const BoundTargets& target, const Measures& by, const Object& stimuli,
                               const PrefixRule& rule, const std::string& detail, int threads, const Object& progress) {
    const Embedding embedding(x);
    Engine& engine = embedding.engine();
    const int64_t detail_level = place_among({"support", "importance", "path"}, detail, "detail");
    expect_taken(engine, by.comparator);
    expect_no_controls(target, "where some stimuli alone may be asked for");
    const Targets& targets = embedding.beside(target);
    embedding.expect_both_on_device(target);
    const Indices chosen = borrow_stimuli(stimuli, engine.stimuli);
    expect_weights(targets, engine.pairs(), by.comparator, chosen, engine.stimuli);
    const int64_t count = targets.count, d = engine.features, ranked_rows = detail_level > 0 ? count : 0,
                  of_path = detail_level > 1 ? count : 0;
    if (rule.least < 1 || rule.most < rule.least || rule.most > d)
        throw py::value_error("least and most must be lengths from 1 to " + std::to_string(d) + " in order, got " +
                              std::to_string(rule.least) + " and " + std::to_string(rule.most));
    Ranking found{Array(count), Array({ranked_rows, d}),      Integers({of_path, d}), Array({of_path, d}), Integers(count),
                  Array(count), py::array_t<bool>({count, d})};
    const Ranked out{found.baseline.mutable_data(),
                     ranked_rows ? found.importance.mutable_data() : nullptr,
                     of_path ? found.order.mutable_data() : nullptr,
                     of_path ? found.curve.mutable_data() : nullptr,
                     found.length.mutable_data(),
                     found.alignment.mutable_data(),
                     found.support.mutable_data()};
    bool ranked = false;
    run(
        threads, work_of(chosen.count, d, targets, by.comparator),
        [&](const Context& context) { ranked = secateur::ranking(engine, targets, by, chosen, rule, context, out); }, progress);
    if (!ranked) return {};
    return found;
}

std::pair<Array, Integers> held_out_alignment(const Object& x, const BoundTargets& target, const Measures& by,
                                              const Object& stimuli, const Object& kept, int threads) {
    const Embedding embedding(x);
    Engine& engine = embedding.engine();
    expect_taken(engine, by.comparator);
    expect_no_controls(target, "where some stimuli alone may be asked for");
    const Targets& targets = embedding.beside(target);
    embedding.expect_both_on_device(target);
    const Indices chosen = borrow_stimuli(stimuli, engine.stimuli);
    expect_weights(targets, engine.pairs(), by.comparator, chosen, engine.stimuli);
    const bool* masks = nullptr;
    int64_t moves = engine.features;
    if (!kept.is_none()) {
        masks = borrow<bool>(kept, "kept", 2);
        expect_extent(kept, 0, targets.count, "kept", "rows, one a target");
        expect_extent(kept, 1, engine.features, "kept", "columns, one a feature");
        moves = std::count(masks, masks + targets.count * engine.features, true);
    }
    Array out(targets.count);
    Integers undefined(targets.count);
    double* to = out.mutable_data();
    int64_t* left_out = undefined.mutable_data();
    run(threads, static_cast<double>(chosen.count * (chosen.count - 1) / 2) * static_cast<double>(moves + 20 * targets.count),
        [&](const Context& context) { secateur::held_out_alignment(engine, targets, by, chosen, masks, context, to, left_out); });
    return {out, undefined};
}

}  // namespace

void bind_arguments(py::module_& module) {
    py::class_<BoundFeatures>(module, "Features", "X with the engine that computes on it: checked once, borrowed as long.")
        .def(py::init(&bind_features), py::arg("X"), "In host memory, for the processor.");
    py::class_<BoundTargets>(module, "Targets", "Targets: checked once, borrowed as long.")
        .def(
            py::init(&bind_targets), py::arg("values"), py::arg("weights") = py::none(), py::arg("weight_of") = py::none(),
            py::arg("controls") = py::none(),
            "In host memory: values (targets, pairs), weights (patterns, pairs), the pattern of each target; for partial Pearson "
            "controls (patterns, controls, pairs) times the weights, orthonormal and centred under them, that have no part in "
            "the values any more.");
    py::class_<Measures>(module, "Measures", "A metric and a comparator.")
        .def(py::init(&bind_measures), py::arg("metric"), py::arg("comparator"), "By their names.");
    py::class_<PrefixRule>(module, "PrefixRule",
                           "Which prefix of an order is kept: of the allowed lengths the shortest whose alignment is within "
                           "`tie` of the highest.")
        .def(py::init<int64_t, int64_t, double>(), py::arg("least"), py::arg("most"), py::arg("tie"), "Lengths, and alignment.");
    py::class_<Ranking>(module, "Ranking", "What a search by ranking found.")
        .def_readonly("baseline", &Ranking::baseline)
        .def_readonly("importance", &Ranking::importance)
        .def_readonly("order", &Ranking::order)
        .def_readonly("curve", &Ranking::curve)
        .def_readonly("length", &Ranking::length)
        .def_readonly("alignment", &Ranking::alignment)
        .def_readonly("support", &Ranking::support);
}

void bind_verbs(py::module_& module) {
    const py::arg x("X"), target("target"), measures("measures"), subset("subset"), stimuli("stimuli"), threads("threads");
    module.def("similarity", &similarity, x, py::arg("metric"), subset, threads,
               "Similarities (pairs,) of the stimuli over the features of the subset.");
    module.def("compare", &compare, py::arg("similarities"), stimuli, target, py::arg("comparator"), threads,
               py::arg("metric") = py::none(),
               "Alignment (count, targets) of given similarities; of what metric, as ties among them go by its scale.");
    module.def("leave_one_out", &one_feature<&secateur::leave_one_out>, x, target, measures, subset, threads,
               "Alignment (targets, features) with each feature of the subset removed.");
    module.def("add_one", &one_feature<&secateur::add_one>, x, target, measures, subset, threads,
               "Alignment (targets, features) with each feature added to the subset.");
    module.def("insertion_curve", &insertion_curve, x, target, measures, py::arg("order"), threads,
               "Alignment (targets, steps) of each prefix of the order.");
    module.def(
        "ranking", &ranking, x, target, measures, stimuli, py::arg("rule"), py::arg("detail"), threads,
        py::arg("progress") = py::none(),
        "The search by ranking among some stimuli: baseline (targets), importance (targets, features), order and curve (the "
        "same), length, alignment (targets) and support (targets, features) of the best prefix by the rule. "
        "`detail`: 'support' (importance, order and curve have no rows), 'importance' (order and curve have "
        "none), or 'path'; length 0 where there is none. None where all features of a target have no "
        "alignment, or the target is constant. `progress` is told now and then what share of the call is done.");
    module.def(
        "held_out_alignment", &held_out_alignment, x, target, measures, stimuli, py::arg("kept"), threads,
        "Alignment (targets) among some stimuli with each target's kept features, over the defined pairs, and how many with "
        "weight were not.");
}

}  // namespace secateur::bindings
