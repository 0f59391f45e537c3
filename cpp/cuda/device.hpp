// The device's memory and launches: every CUDA call is checked, every buffer goes back to its owner.
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cuda/cuda.hpp"

namespace secateur::cuda {

// What a kernel's block shares; its size is given at the launch.
extern __shared__ __attribute__((aligned(16))) unsigned char block_memory[];

// Throws where a call failed; `what` says what was being done ("allocating ...").
void check(cudaError_t status, const std::string& what);

// Two streams of one device, and the memory that was used on it: kept for the next call, given back with the last owner.
class Device {
    struct Lane;

  public:
    Device();
    ~Device();
    Device(const Device&) = delete;

    // While it lives, this thread's calls go to the device, on a stream that no other thread has; what they started has ended
    // when it ends. Two threads may have a turn at the same time, so that one's transfers and small kernels run beside the
    // other's. Whoever has a turn may wait for whom `Context::stop` asks, so nothing that can be waited for there may take one:
    // no destructor does.
    class Turn {
      public:
        explicit Turn(Device&);
        ~Turn();
        Turn(const Turn&) = delete;

      private:
        Device& device_;
        Lane& lane_;
        const std::lock_guard<std::mutex> held_;
        const std::pair<const Device*, Lane*> others_;
        int before_ = 0;
    };

    void* take(std::size_t bytes, const char* what);
    void give(void* memory) noexcept;
    // Memory that could be had now, what is kept included.
    std::size_t available_bytes() const;
    void finish(const char* what) const { check(cudaStreamSynchronize(stream()), what); }
    // That of this thread's turn.
    cudaStream_t stream() const;
    int number() const { return number_; }
    // What all turns took until now, by the device's clock, transfers included; of turns at the same time each counts.
    double seconds() const;
    int streams() const { return lane_count_; }
    // Copies of contiguous values, to or from memory of the host or of the device. What was copied from may go at once. Rows of
    // `width` bytes lie `pitch` apart where they go; what came there is there.
    void upload(void* to, const void* from, std::size_t bytes);
    void download(void* to, const void* from, std::size_t bytes, std::size_t width, std::size_t pitch);

  private:
    explicit Device(int number) : number_(number) {}
    // By what large copies go, in turns: host memory that the device reads and writes by itself, at the bus's full speed.
    struct Staging {
        unsigned char* memory = nullptr;
        cudaEvent_t done = nullptr;
    };
    struct Lane {
        cudaStream_t stream = nullptr;
        cudaEvent_t began = nullptr, ended = nullptr;
        std::mutex turn;
        Staging staging[2];
        bool no_staging = false;  // it could not be had
    };
    static thread_local std::pair<const Device*, Lane*> own_;
    int number_ = 0;
    Lane lanes_[2];
    int lane_count_ = 1;  // two only with a pool, which knows which stream a block was used on
    std::atomic<unsigned> turns_{0};
    cudaMemPool_t pool_ = nullptr;
    double seconds_ = 0;
    mutable std::mutex kept_;  // held for `seconds_` and, where there is no pool, for what is below; never for long
    std::multimap<std::size_t, void*> idle_;
    std::map<void*, std::size_t> size_;
    Lane& free_lane();
    bool stage(Lane&);
    cudaError_t allocate(void** memory, std::size_t bytes);
    void release_idle() noexcept;
};

// `count` values on the device, not initialised. What is copied to or from it may lie on the host or on the device.
template <class T>
class DeviceBuffer {
  public:
    DeviceBuffer() = default;
    DeviceBuffer(Device& device, int64_t count, const char* what)
        : device_(&device), count_(count), data_(count > 0 ? static_cast<T*>(device.take(count * sizeof(T), what)) : nullptr) {}
    // A copy of values.
    DeviceBuffer(Device& device, const T* values, int64_t count, const char* what)
        : DeviceBuffer(device, values ? count : 0, what) {
        if (data_) upload(values, count);
    }
    DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
    DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
        swap(other);
        return *this;
    }
    ~DeviceBuffer() {
        if (data_) device_->give(data_);
    }
    T* get() const { return data_; }
    void upload(const T* values, int64_t count) { device_->upload(data_, values, count * sizeof(T)); }
    void zero() {
        if (data_) check(cudaMemsetAsync(data_, 0, count_ * sizeof(T), device_->stream()), "clearing device memory");
    }
    // Rows of `width` values that lie `stride` apart where they go; waits for the device.
    void download(T* to, int64_t rows, int64_t width, int64_t stride) const {
        device_->download(to, data_, rows * width * sizeof(T), width * sizeof(T), stride * sizeof(T));
    }
    void download(T* to) const { download(to, 1, count_, count_); }

  private:
    Device* device_ = nullptr;
    int64_t count_ = 0;
    T* data_ = nullptr;
    void swap(DeviceBuffer& other) {
        std::swap(device_, other.device_);
        std::swap(count_, other.count_);
        std::swap(data_, other.data_);
    }
};

// kernel<<<grid, threads, shared>>>(values...), in words that a host compiler reads too.
template <class... Parameters, class... Values>
void launch(Device& device, const char* what, void (*kernel)(Parameters...), dim3 grid, int64_t threads, std::size_t shared,
            const Values&... values) {
    std::tuple<Parameters...> held(values...);
    std::apply(
        [&](auto&... each) {
            void* pointers[] = {const_cast<void*>(static_cast<const void*>(&each))...};
            check(cudaLaunchKernel(kernel, grid, dim3(static_cast<unsigned>(threads)), pointers, shared, device.stream()), what);
        },
        held);
}

inline dim3 grid_of(int64_t x, int64_t y = 1, int64_t z = 1) {
    return dim3(static_cast<unsigned>(x), static_cast<unsigned>(y), static_cast<unsigned>(z));
}
HOST_DEVICE constexpr int64_t rounded_up(int64_t count, int64_t to) {
    return (count + to - 1) / to * to;
}

// Sums of `count` values a lane over the 32 lanes of a warp, in a fixed order and with count + 3 exchanges, not 5 * count: after
// it v[0] of lane l is the sum of value (l / (32 / count)).
template <int count, int lanes = 32>
__device__ inline void sum_over_warp(double (&v)[count]) {
    static_assert(count == 1 || count == 2 || count == 4 || count == 8);
    const bool upper = (threadIdx.x % 32) & (lanes / 2);
    if constexpr (count > 1) {
        double kept[count / 2];
#pragma unroll
        for (int k = 0; k < count / 2; ++k) {
            const double give = upper ? v[k] : v[k + count / 2];
            kept[k] = (upper ? v[k + count / 2] : v[k]) + __shfl_xor_sync(0xffffffffu, give, lanes / 2);
        }
        sum_over_warp<count / 2, lanes / 2>(kept);
        v[0] = kept[0];
    } else if constexpr (lanes > 1) {
        v[0] += __shfl_xor_sync(0xffffffffu, v[0], lanes / 2);
        sum_over_warp<1, lanes / 2>(v);
    }
}

__device__ inline double plus(double a, double b) {
    return a + b;
}

// Over a block's threads, the same for all of them; `shared` holds one value a thread.
template <class T, class Join>
__device__ T over_block(T value, T* shared, Join join) {
    shared[threadIdx.x] = value;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) shared[threadIdx.x] = join(shared[threadIdx.x], shared[threadIdx.x + half]);
        __syncthreads();
    }
    const T all = shared[0];
    __syncthreads();
    return all;
}

// Throws, before anything is done, where so many bytes can't be had at all.
void expect_room(const Device&, int64_t bytes, const char* what);
// Whether values lie on the device; else on the host.
bool lies_there(const void* values);
// Throws unless memory given as an argument lies on the device; waits for whoever wrote it, on whatever stream.
void expect_on_device(const Device&, const void* values, const char* name);
// Whether all values on the device are finite.
bool all_finite(Device&, const double* values, int64_t count);

// Of the values of the threads before this one, their sum; `shared` holds one value a thread, and blockDim.x is a power of two.
__device__ inline uint32_t sum_before(uint32_t value, uint32_t* shared) {
    shared[threadIdx.x] = value;
    __syncthreads();
    for (unsigned step = 1; step < blockDim.x; step *= 2) {
        const uint32_t before = threadIdx.x >= step ? shared[threadIdx.x - step] : 0;
        __syncthreads();
        shared[threadIdx.x] += before;
        __syncthreads();
    }
    const uint32_t all = shared[threadIdx.x];
    __syncthreads();
    return all - value;
}

}  // namespace secateur::cuda
