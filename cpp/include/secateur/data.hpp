// What the compiled core offers: plain views in, plain arrays out. cpu:: and cuda:: hold functions of the same names.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "secateur/maths.hpp"

namespace secateur {

struct Features {  // row-major (stimuli, features)
    const double* values;
    int64_t stimuli, count;
    int64_t pairs() const { return stimuli * (stimuli - 1) / 2; }
};

struct Targets {  // row-major (count, pairs), oriented as similarities; pairs in numpy.triu_indices order
    const double* values;
    int64_t count;
    const double* weights;     // (patterns, pairs), or nullptr: every pair counts once
    const int64_t* weight_of;  // (count,): the pattern of each target
    int64_t patterns;
};

struct Indices {  // distinct feature indices
    const int64_t* values;
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

// How a call runs: its threads, and a question put now and then by the calling thread ("shall I stop?").
class Context {
  public:
    Context(int threads, std::function<bool()> interrupted) : threads(threads), ask_(std::move(interrupted)) {}
    const int threads;
    // Call from inside loops; `thread` 0 is the caller's own. True once the call should end.
    bool stop(int thread) const noexcept {
        if (thread == 0 && !stopped_.load(std::memory_order_relaxed) && ask_ && ask_()) stopped_ = true;
        return stopped_.load(std::memory_order_relaxed);
    }
    void throw_if_stopped() const {
        if (stopped_) throw Interrupted();
    }

  private:
    std::function<bool()> ask_;
    mutable std::atomic<bool> stopped_{false};
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

class Accelerator;  // engine.hpp
class AcceleratedTargets;

// Where an accelerator is given, X lies there (Features::values may be null) and the sums over pairs are taken there; the same
// goes for targets.
namespace cpu {
// out (pairs): similarities; NaN where a stimulus has no direction.
void similarity(const Features&, Metric, Indices subset, const Context&, double* out, Accelerator* = nullptr);
// out (count, targets): each target against each vector of similarities (count, pairs). The pairs are all those of the stimuli,
// or with `stimuli` 0 any pairs: those of one stimulus, say.
void compare(const double* similarities, int64_t count, int64_t pairs, int64_t stimuli, const Targets&, TieScale, Comparator,
             const Context&, double* out);
// out (targets, features): alignment with one feature of the subset removed; the subset's own elsewhere.
void leave_one_out(const Features&, const Targets&, Metric, Comparator, Indices subset, const Context&, double* out,
                   Accelerator* = nullptr, AcceleratedTargets* = nullptr);
// out (targets, features): alignment with one feature added to the subset; the subset's own for its members.
void add_one(const Features&, const Targets&, Metric, Comparator, Indices subset, const Context&, double* out,
             Accelerator* = nullptr, AcceleratedTargets* = nullptr);
// out (targets, steps): alignment of each prefix. orders (orders, steps), where orders is 1 or the number of targets.
void insertion_curve(const Features&, const Targets&, Metric, Comparator, const int64_t* orders, int64_t order_count,
                     int64_t steps, const Context&, double* out, Accelerator* = nullptr, AcceleratedTargets* = nullptr);
// A search by ranking among some stimuli (values null: all): leave-one-out of all features, insertion in the order of their
// importance, the best prefix. False, and baselines alone, where one is NaN or a target is constant: there is nothing to rank by.
bool ranking(const Features&, const Targets&, Metric, Comparator, Indices stimuli, PrefixRule, const Context&, Ranked,
             Accelerator* = nullptr, AcceleratedTargets* = nullptr);
// out, undefined (targets): alignment among some stimuli of each target with the features that are kept for it, kept (targets,
// features) or nullptr: all. Pairs of stimuli without direction are left out, and counted where they have weight.
void held_out_alignment(const Features&, const Targets&, Metric, Comparator, Indices stimuli, const bool* kept, const Context&,
                        double* out, int64_t* undefined, Accelerator* = nullptr, AcceleratedTargets* = nullptr);
// out (times, pairs): dissimilarities of the patterns at each of these times. whitening (sensors, rank), or nullptr, comes
// before distances. False, and nothing of use in out, where a pattern is not finite.
bool rdm_movie(const Recording&, Dissimilarity, const double* whitening, int64_t rank, Indices times, const Context&,
               double* out);
// Embeddings behind two rectified layers, when something is taken from the first. before (images, inputs) and after (images,
// outputs): what the layers compute with nothing taken, before they are rectified. removed (rows, images, inputs): taken from
// `before`. out (rows, images, outputs). In single precision, as the weights are; a change is summed up by itself before it
// meets `after`, so that few of its digits are lost.
void masked_embeddings(const float* before, const float* removed, int64_t rows, int64_t images, const Layer&, const float* after,
                       const Context&, float* out);
// out (rows, count): the places of each row's values, largest first; NaN before all as if infinite, ties by place.
void rank(const double* values, int64_t rows, int64_t count, const Context&, int64_t* out);
}  // namespace cpu

namespace cuda {
// Stimuli that the kernels take.
inline constexpr int64_t most_stimuli = 512;

struct OutOfMemory : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Whether kernels can run here, and if not, why, in one clause that fits after "device='cuda' cannot be used: ".
bool available(std::string& reason);
// The device's name and memory, for people.
std::string describe();

// A device's stream and the memory that calls leave to the next: one a study, shared by all that is loaded on it.
class Device;
std::shared_ptr<Device> open();
// What has been done there took so long until now, by the device's own clock, transfers included.
double seconds(const Device&);

enum class Precision { full, single };  // single: leave-one-out and add-one in the delta form

// X on the device: copied there from the host, or (`on_device`) taken as it lies. Throws where it is not finite
// and on the device; on the host that is the caller's to check.
std::unique_ptr<Accelerator> load(std::shared_ptr<Device>, const Features&, bool on_device, Precision);
// The same for targets, with the number of stimuli that their pairs are of, as a copy there times `sign`: -1 turns
// dissimilarities that lie there into similarities. Weights stay on the host.
std::unique_ptr<AcceleratedTargets> load(std::shared_ptr<Device>, const Targets&, int64_t stimuli, bool on_device, double sign);
}  // namespace cuda

}  // namespace secateur
