// Stands in for the CUDA runtime where kernels are tested without a GPU: this is no hardware, and proves nothing about speed,
// warps or memory order. The threads of a block are fibers, run one after the other in an order that can be chosen; blocks follow
// one another. What it finds: wrong arithmetic and indices, missing barriers (fresh memory is NaN, orders differ), barriers that
// some threads miss, writes beside a buffer, host pointers given to kernels, and calls whose failure goes unnoticed.
//
// Environment:  SECATEUR_EMULATED_CUDA=1            a device is there (else: none)
//               SECATEUR_EMULATED_ORDER=forward     threads of a block run forward, reverse, or shuffled by this seed
//               SECATEUR_EMULATED_MEMORY=bytes      what cudaMalloc may hand out in all
//               SECATEUR_EMULATED_POOLS=0           the device has no memory pools
//               SECATEUR_EMULATED_PINNED=0          no host memory can be pinned. Copies to and from pinned memory are put off as
//                                                   long as they may be: until something waits for them, or comes behind them
//               SECATEUR_EMULATED_PITCH=bytes       the longest pitch of copies by rows, as cudaDevAttrMaxPitch; else 2^31 - 1
//               SECATEUR_EMULATED_FAILURE=k         launch k fails, counted from 0 since this was set
//               SECATEUR_EMULATED_DRIVER=12040      the driver is of this version, older than the runtime; or "forked": it does
//                                                   not start
//               SECATEUR_EMULATED_CAPABILITY=61     the device's compute capability
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __shared__
#define __launch_bounds__(...)
#define __CUDA_ARCH_LIST__ 900, 750
#define CUDART_VERSION 13000

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
extern dim3 threadIdx, blockIdx, blockDim, gridDim;

void __syncthreads();
double __shfl_xor_sync(unsigned mask, double value, int lane_mask);

inline unsigned long long atomicAdd(unsigned long long* at, unsigned long long more) {
    return std::exchange(*at, *at + more);
}
inline int64_t min(int64_t a, int64_t b) {
    return a < b ? a : b;
}
using std::fmax;
using std::fmin;

enum cudaError_t {
    cudaSuccess,
    cudaErrorMemoryAllocation,
    cudaErrorInsufficientDriver,
    cudaErrorNoDevice,
    cudaErrorInvalidValue,
    cudaErrorIllegalAddress,
    cudaErrorLaunchFailure,
    cudaErrorInvalidConfiguration,
    cudaErrorInitializationError,
};
enum cudaDeviceAttr { cudaDevAttrComputeCapabilityMajor, cudaDevAttrComputeCapabilityMinor, cudaDevAttrMemoryPoolsSupported };
enum cudaMemAllocationType { cudaMemAllocationTypePinned };
enum cudaMemLocationType { cudaMemLocationTypeDevice };
enum cudaMemPoolAttr { cudaMemPoolAttrReleaseThreshold, cudaMemPoolAttrReservedMemCurrent, cudaMemPoolAttrUsedMemCurrent };
struct cudaMemPoolProps {
    cudaMemAllocationType allocType;
    struct {
        cudaMemLocationType type;
        int id;
    } location;
};
using cudaMemPool_t = struct EmulatedPool*;
constexpr unsigned cudaHostAllocDefault = 0, cudaEventDisableTiming = 2;
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDefault };
enum cudaMemoryType { cudaMemoryTypeUnregistered, cudaMemoryTypeHost, cudaMemoryTypeDevice, cudaMemoryTypeManaged };
constexpr unsigned cudaStreamNonBlocking = 1;
using cudaStream_t = struct EmulatedStream*;
using cudaEvent_t = struct EmulatedEvent*;
struct cudaDeviceProp {
    char name[256];
    int major, minor;
    std::size_t totalGlobalMem;
};
struct cudaPointerAttributes {
    cudaMemoryType type;
    int device;
};

const char* cudaGetErrorString(cudaError_t);
cudaError_t cudaGetLastError();
cudaError_t cudaGetDeviceCount(int*);
cudaError_t cudaGetDevice(int*);
cudaError_t cudaSetDevice(int);
cudaError_t cudaDriverGetVersion(int*);
cudaError_t cudaDeviceGetAttribute(int*, cudaDeviceAttr, int);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp*, int);
cudaError_t cudaMalloc(void**, std::size_t);
cudaError_t cudaFree(void*);
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total);
cudaError_t cudaMemPoolCreate(cudaMemPool_t*, const cudaMemPoolProps*);
cudaError_t cudaMemPoolDestroy(cudaMemPool_t);
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*);
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*);
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t bytes_to_keep);
cudaError_t cudaMallocFromPoolAsync(void**, std::size_t, cudaMemPool_t, cudaStream_t);
cudaError_t cudaFreeAsync(void*, cudaStream_t);
cudaError_t cudaHostAlloc(void**, std::size_t, unsigned);
cudaError_t cudaFreeHost(void*);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t);
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t width,
                              std::size_t height, cudaMemcpyKind, cudaStream_t);
cudaError_t cudaMemsetAsync(void*, int, std::size_t, cudaStream_t);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t*, unsigned);
cudaError_t cudaStreamDestroy(cudaStream_t);
cudaError_t cudaStreamSynchronize(cudaStream_t);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaEventCreate(cudaEvent_t*);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t*, unsigned);
cudaError_t cudaEventDestroy(cudaEvent_t);
cudaError_t cudaEventSynchronize(cudaEvent_t);
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to);
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes*, const void*);

namespace emulated {
bool on_device(const void*);  // in a live allocation
cudaError_t run(const std::function<void()>& thread, dim3 grid, dim3 block, std::size_t shared);
}  // namespace emulated

// Whether a kernel was given memory of the host: by a pointer, or by a word of a struct that looks like one (such structs have
// no padding; numbers and sizes are no addresses from 2^40 to 2^47).
namespace emulated {
template <class T>
bool astray(const T& value) {
    if constexpr (std::is_pointer_v<T>) return value && !on_device(value);
    bool any = false;
    if constexpr (std::is_class_v<T>)
        for (std::size_t at = 0; at + sizeof(std::uintptr_t) <= sizeof value; at += sizeof(std::uintptr_t)) {
            std::uintptr_t word;
            std::memcpy(&word, reinterpret_cast<const unsigned char*>(&value) + at, sizeof word);
            any |= word >> 40 && !(word >> 47) && !on_device(reinterpret_cast<const void*>(word));
        }
    return any;
}
}  // namespace emulated

template <class... Parameters>
cudaError_t cudaLaunchKernel(void (*kernel)(Parameters...), dim3 grid, dim3 block, void** values, std::size_t shared,
                             cudaStream_t) {
    return [&]<std::size_t... at>(std::index_sequence<at...>) {
        const std::tuple<Parameters...> held(*static_cast<Parameters*>(values[at])...);
        if ((emulated::astray(std::get<at>(held)) || ...)) return cudaErrorIllegalAddress;
        return emulated::run([&] { std::apply(kernel, held); }, grid, block, shared);
    }(std::index_sequence_for<Parameters...>{});
}
