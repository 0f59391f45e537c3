// The CUDA engine as others see it: is there a device, what is loaded on it, and feature maps there. absent.cpp stands in for it
// without nvcc.
#pragma once

#include <string>

#include "secateur/engine.hpp"

namespace secateur::cuda {

// Stimuli that the kernels take: two of them are one number of 32 bits, and a grid's second axis ends here.
inline constexpr int64_t most_stimuli = 65535;
constexpr bool takes(Comparator comparator) {
    switch (traits_of(comparator).takes) {
        case ComparatorTraits::Takes::moments:   // one_feature, insertion_curve
        case ComparatorTraits::Takes::whitened:  // by_similarities, vectors
        case ComparatorTraits::Takes::ranks:     // the same, and ranks
        case ComparatorTraits::Takes::order:
            return true;
    }
    return false;
}

// Whether kernels can run here, and if not, why, in one clause that fits after "device='cuda' cannot be used: ".
bool available(std::string& reason);
// The device's name and memory, for people.
std::string describe();

// A device's streams and the memory that calls leave to the next: one a study, shared by all that is loaded on it.
class Device;
std::shared_ptr<Device> open();
// What has been done there took so long until now, by the device's own clock, transfers included.
double seconds(const Device&);
// Calls that run there at the same time, each on a stream of its own.
int streams(const Device&);

enum class Precision { full, single };  // single: leave-one-out and add-one in the delta form

// Values of single precision, in host memory or (`on_device`) on the device.
struct Singles {
    const float* values = nullptr;
    int64_t count = 0;
    bool on_device = false;
};

// X on the device: copied there from the host, or (`on_device`) taken as it lies. Throws where it is not finite
// and on the device; on the host that is the caller's to check.
std::unique_ptr<Engine> load(std::shared_ptr<Device>, const Features&, bool on_device, Precision);
// Where targets lie, and how: pairs in host memory, or on the device, or there as symmetric matrices (targets, stimuli, stimuli).
enum class Form { on_host, packed, square };
// The same for targets, with the number of stimuli that their pairs are of, as a copy there of their pairs; `negated`: of
// dissimilarities, which become similarities; `name`: theirs, where that isn't "target" matrices are not looked at as such.
// Weights stay on the host. Throws where what lies on the device can't be a target.
std::unique_ptr<EngineTargets> load(std::shared_ptr<Device>, const Targets&, int64_t stimuli, Form, bool negated,
                                    const std::string& name);

// A layer's weights on the device, as masked_embeddings takes them: a copy.
class LoadedLayer;
std::shared_ptr<LoadedLayer> load(std::shared_ptr<Device>, const Layer&, bool on_device);
// As the processor's (cpu/cpu.hpp), where the layer lies. out (rows, images, outputs): in host memory, or on the device.
void masked_embeddings(const LoadedLayer&, const Singles& before, const Singles& removed, int64_t rows, int64_t images,
                       const Singles& after, const Context&, float* out, bool out_on_device);
// Similarities in double precision in each of some embeddings (count, stimuli, features). out, in host memory: (count, pairs) of
// the stimuli with one another, or (count, stimuli, others) with those of one other embedding, `beside` (others, features).
void similarities(const std::shared_ptr<Device>&, const Singles& embeddings, int64_t count, int64_t stimuli, int64_t features,
                  const Singles* beside, int64_t others, Metric, const Context&, double* out);

// Loaded targets over the pairs among some of `all` stimuli, in this order; with the weights of those, which stay on the host.
std::unique_ptr<EngineTargets> among(EngineTargets& loaded, int64_t all, Indices stimuli, const Targets& weights);

}  // namespace secateur::cuda
