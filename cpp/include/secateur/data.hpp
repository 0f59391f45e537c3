// What goes into the compiled core and comes out of it: plain views, and how a call runs.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

#include "secateur/maths.hpp"

namespace secateur {

struct Features {  // row-major (stimuli, features)
    const double* values;
    int64_t stimuli, count;
    int64_t pairs() const { return stimuli * (stimuli - 1) / 2; }
};

struct Targets {           // row-major (count, pairs), oriented as similarities; pairs in numpy.triu_indices order
    const double* values;  // nullptr where they lie with an engine
    int64_t count;
    const double* weights;     // (patterns, pairs), or nullptr: every pair counts once
    const int64_t* weight_of;  // (count,): the pattern of each target
    int64_t patterns;
    class EngineTargets* loaded = nullptr;  // the same, with an engine (engine.hpp)
    // (patterns, control_count, pairs): for partial Pearson, controls times the weights, made orthonormal and centred under
    // them; the values are what they leave of the targets.
    const double* controls = nullptr;
    int64_t control_count = 0;
};

struct Measures {
    Metric metric;
    Comparator comparator;
};

struct Indices {  // distinct feature indices
    const int64_t* values;
    int64_t count;
};

struct Orders {  // row-major (count, steps) feature indices, distinct in each row
    const int64_t* values;
    int64_t count, steps;  // count is 1 (of all targets) or the number of targets
    const int64_t* of(int64_t target) const { return values + (count > 1 ? target * steps : 0); }
};

struct Triplets {  // row-major (count, 3) stimuli, distinct in each row: the pair that was kept together, then the odd one out
    const int64_t* stimuli;
    int64_t count;
};

struct Recording {  // patterns (splits, stimuli, sensors, times), of double or of float
    const void* values;
    bool single;
    int64_t splits, stimuli, sensors, times;
    int64_t steps[4];  // elements from one to the next
};

struct Layer {  // of a network: row-major (outputs, inputs)
    const float* weights;
    int64_t outputs, inputs;
};

// Thrown by a kernel that was asked to stop; its outputs are then not to be used.
struct Interrupted : std::runtime_error {
    Interrupted() : std::runtime_error("interrupted") {}
};

struct OutOfMemory : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// How a call runs: its threads, and a question put now and then by the calling thread ("so much is done: shall I stop?").
class Context {
  public:
    Context(int threads, std::function<bool(double share)> interrupted) : threads(threads), ask_(std::move(interrupted)) {}
    const int threads;
    // Call from inside loops; `thread` 0 is the caller's own. True once the call should end.
    bool stop(int thread) const noexcept {
        if (thread == 0 && !stopped_.load(std::memory_order_relaxed) && ask_ && ask_(share())) stopped_ = true;
        return stopped_.load(std::memory_order_relaxed);
    }
    // The same from where it is not known which thread that is.
    bool stop() const noexcept { return stop(std::this_thread::get_id() == caller_ ? 0 : 1); }
    void throw_if_stopped() const {
        if (stopped_) throw Interrupted();
    }
    // What comes next ends where this share of the call is done; by the calling thread, outside of teams.
    void stage(double until) const {
        from_ = until_;
        until_ = until;
        done_ = 0;
    }
    // Call from inside loops, by any thread: this share of the stage is done.
    void did(double share_of_stage) const noexcept {
        done_.fetch_add(static_cast<int64_t>(share_of_stage * whole), std::memory_order_relaxed);
    }

  private:
    static constexpr double whole = 1LL << 50;
    const std::thread::id caller_ = std::this_thread::get_id();
    std::function<bool(double)> ask_;
    mutable std::atomic<bool> stopped_{false};
    mutable std::atomic<int64_t> done_{0};  // of the stage, of `whole`
    mutable double from_ = 0, until_ = 0;
    double share() const { return from_ + (until_ - from_) * std::min(1.0, static_cast<double>(done_) / whole); }
};

// Which prefix of an order is kept: of the allowed lengths the shortest whose alignment is within `tie` of the highest.
struct PrefixRule {
    int64_t least, most;
    double tie;
};

// What a search by ranking finds for each target.
struct Ranked {
    double* baseline;    // (targets): alignment of all features
    double* importance;  // (targets, features): baseline - alignment without the feature; or nullptr: not wanted
    int64_t* order;      // (targets, features), or nullptr: not wanted
    double* curve;       // (targets, features), or nullptr: not wanted
    int64_t* length;     // (targets): of the prefix that is kept; 0 where none has an alignment
    double* alignment;   // (targets): of that prefix
    bool* support;       // (targets, features): its features
};

}  // namespace secateur
