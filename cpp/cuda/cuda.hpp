// The CUDA engine as others see it: is there a device, and what is loaded on it. absent.cpp stands in for it without nvcc.
#pragma once

#include <string>

#include "secateur/engine.hpp"

namespace secateur::cuda {

// Stimuli that the kernels take.
inline constexpr int64_t most_stimuli = 512;
constexpr bool takes(Comparator comparator) {
    return by_moments(comparator);
}

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
std::unique_ptr<Engine> load(std::shared_ptr<Device>, const Features&, bool on_device, Precision);
// The same for targets, with the number of stimuli that their pairs are of, as a copy there times `sign`: -1 turns
// dissimilarities that lie there into similarities. Weights stay on the host.
std::unique_ptr<EngineTargets> load(std::shared_ptr<Device>, const Targets&, int64_t stimuli, bool on_device, double sign);

}  // namespace secateur::cuda
