// Stands in for the CUDA side where there is none.
#include "secateur/kernels.hpp"

namespace secateur::cuda {

bool available(std::string& reason) {
    reason = "this copy of Secateur was built without CUDA";
    return false;
}

}  // namespace secateur::cuda
