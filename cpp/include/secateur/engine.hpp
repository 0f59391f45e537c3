// What every engine offers. The core (core/) makes plans of plain views; an engine, on the processor or on a device, takes the
// sums over pairs and says where they can't be trusted; the core recomputes those from the features.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "secateur/data.hpp"

namespace secateur {

class StandardTargets;  // core/targets.hpp
struct Space;           // core/space.hpp

struct StandardRows {    // targets centred, weighted and scaled: an alignment is one product and one spread
    const double* rows;  // (count, pairs), where the engine takes them
    int64_t count, pairs;
    const double* weights;     // (patterns, pairs), or nullptr: every pair counts once
    const int64_t* weight_of;  // (count,), or nullptr
    int64_t patterns;
    const double* totals;  // (patterns): sums of weights
    const char* active;    // (patterns, stimuli): whether a pair of the stimulus has weight
    bool centred;
    int64_t in_all;             // targets of the call that these are of: how sums are split, and so their bits, goes by it
    const StandardTargets* of;  // whose rows these are, for comparators that take more than sums over pairs
    int64_t pattern_of(int64_t target) const { return weights ? weight_of[target] : 0; }
    // Those from `first` on, with these rows.
    StandardRows part(int64_t first, int64_t some, const double* their_rows) const {
        StandardRows those = *this;
        those.rows = their_rows;
        those.count = some;
        if (weight_of) those.weight_of = weight_of + first;
        return those;
    }
};

// What guards need of the pairs of a space.
struct SpaceSums {
    double defined = 0, total = 0, squares = 0;  // pairs that have a value, sums of it and of its square; not oriented
    double largest = 0;                          // sum over features of a pair, whatever its sign
    // By weight pattern, of pairs that have a value: weighted sums of what a pair has summed up, and of the value's square.
    std::vector<double> weighted, weighted_squares;
};

// What updates of a space need to know of it, and when they can't be trusted.
struct Guards {
    double weight = 1;  // of a candidate's factor, rooted (centring_weight)
    double shift = 0;   // taken from every value: the mean over the unchanged space
    // By weight pattern: at or below this sum of values the update has cancelled (Guard::total); the squares of the
    // unchanged similarities.
    std::vector<double> cancel_threshold, scale;
    // By stimulus: at or below `min_norm`, what is left of its sum of squares can't be trusted; `undefined` stands in for
    // the inverse norm of a stimulus without direction.
    std::vector<double> min_norm, undefined;
    std::vector<int64_t> zero_norm;  // no removal gives these stimuli a direction
};

struct OneFeaturePlan {
    Metric metric;
    int sign;  // +1: candidates come, -1: they go
    Indices subset, candidates;
    StandardRows targets;
    const Space* space;  // of the subset; nullptr where it lies with the engine
    SpaceSums sums;
    Guards guards;
};

// The same where the space is made with the engine, and stays there.
struct StepPlan {
    OneFeaturePlan plan;  // without space, sums and guards
    std::function<Guards(const double* own, const SpaceSums&)> guards;
    bool no_updates;  // no candidate can be trusted
};

struct InsertionPlan {
    Metric metric;
    StandardRows targets;
    Orders orders;
};

struct RankingPlan {
    StepPlan leave_one_out;  // of all features; rows of its targets are null
    Indices positions;       // of the pairs among the targets' pairs; values null: all of them
    PrefixRule rule;
};

struct HeldOutPlan {
    Measures by;
    Indices positions;      // as in RankingPlan
    const double* weights;  // (patterns, pairs), or nullptr
    const int64_t* weight_of;
    int64_t patterns, targets;
    const bool* kept;  // (targets, features), or nullptr: all
};

// Targets that lie with an engine.
class EngineTargets {
  public:
    virtual ~EngineTargets() = default;
    // (targets, pairs) as they were given, in host memory; fetched once where they do not lie there.
    virtual const double* host_values() = 0;
    // The rows of StandardRows there, of targets whose every pair counts once; made once. Of comparators of ranks or orders,
    // the values: the engine ranks them itself.
    virtual const double* standardised(Comparator) = 0;
    // out (targets): alignment with these similarities (pairs), which are all defined or make it NaN.
    virtual void compare(const double* similarities, Comparator, TieScale, double* out) = 0;
};

// X with an engine, and the sums over pairs that are taken there. Pointers are to host memory.
class Engine {
  public:
    Engine(int64_t stimuli, int64_t features) : stimuli(stimuli), features(features) {}
    virtual ~Engine() = default;
    const int64_t stimuli, features;
    int64_t pairs() const { return stimuli * (stimuli - 1) / 2; }
    virtual bool takes(Comparator) const = 0;
    // X in host memory, fetched once where it does not lie there.
    virtual Features host_features() = 0;
    // The same features of these stimuli alone.
    virtual std::unique_ptr<Engine> among(Indices stimuli) = 0;
    virtual void space(Metric, Indices subset, const Context&, Space& out) = 0;
    // out (targets, features): alignment with each candidate, at its column; needs_recompute (candidates): 1 asks for the exact
    // way.
    virtual void one_feature(const OneFeaturePlan&, const Context&, double* out, char* needs_recompute) = 0;
    // out (targets, steps): alignment of each prefix; needs_recompute (targets, steps).
    virtual void insertion_curve(const InsertionPlan&, const Context&, double* out, char* needs_recompute) = 0;
    // The same, each target in its own order, where only the best prefix by the rule is asked for: NaN of those that can't be it.
    // False, and nothing in out, where that would not be quicker.
    virtual bool insertion_near_best(const InsertionPlan&, const PrefixRule&, const Context&, double*) { return false; }
    // A whole verb of the core (core/verbs.hpp), where the engine has a way of its own: what one step makes stays there for the
    // next. Else nothing, and the core takes the steps.
    // The targets lie with the engine, too.
    virtual bool step(const Targets&, const StepPlan&, const Context&, double*) { return false; }
    virtual std::optional<bool> ranking(const Targets&, const RankingPlan&, const Context&, Ranked) { return {}; }
    virtual bool held_out_alignment(const Targets&, const HeldOutPlan&, const Context&, double*, int64_t*) { return false; }
};

}  // namespace secateur
