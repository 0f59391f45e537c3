// Stands in for the CUDA side where there is none.
#include "cuda/cuda.hpp"

namespace secateur::cuda {

class Device {};
class LoadedLayer {};

bool available(std::string& reason) {
    reason = "this copy of Secateur was built without CUDA";
    return false;
}

[[noreturn]] void refuse() {
    throw std::runtime_error("device='cuda' cannot be used, this copy of Secateur was built without CUDA: use device='cpu'");
}

std::string describe() {
    refuse();
}
double seconds(const Device&) {
    refuse();
}
int streams(const Device&) {
    refuse();
}
std::shared_ptr<Device> open() {
    refuse();
}
std::unique_ptr<Engine> load(std::shared_ptr<Device>, const Features&, bool, Precision) {
    refuse();
}
std::unique_ptr<EngineTargets> load(std::shared_ptr<Device>, const Targets&, int64_t, Form, bool, const std::string&) {
    refuse();
}
std::shared_ptr<LoadedLayer> load(std::shared_ptr<Device>, const Layer&, bool) {
    refuse();
}
void masked_embeddings(const LoadedLayer&, const Singles&, const Singles&, int64_t, int64_t, const Singles&, const Context&,
                       float*, bool) {
    refuse();
}
void similarities(const std::shared_ptr<Device>&, const Singles&, int64_t, int64_t, int64_t, const Singles*, int64_t, Metric,
                  const Context&, double*) {
    refuse();
}
std::unique_ptr<EngineTargets> among(EngineTargets&, int64_t, Indices, const Targets&) {
    refuse();
}

}  // namespace secateur::cuda
