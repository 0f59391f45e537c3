// The device itself: is there one, and what does its driver say?
#include <cuda_runtime.h>

#include "secateur/kernels.hpp"

namespace secateur::cuda {

bool available(std::string& reason) {
    int devices = 0;
    const cudaError_t status = cudaGetDeviceCount(&devices);
    if (status == cudaErrorInsufficientDriver || status == cudaErrorNoDevice || (status == cudaSuccess && devices == 0))
        reason = "no CUDA device is visible";
    else if (status != cudaSuccess)
        reason = std::string("the CUDA driver says: ") + cudaGetErrorString(status);
    else
        reason = "this version has no CUDA kernels";
    return false;
}

}  // namespace secateur::cuda
