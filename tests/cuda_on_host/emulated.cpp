#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "cuda_runtime.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define SWITCHING(code) code
#else
#define SWITCHING(code)
#endif

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace secateur::cuda {
constexpr std::size_t most_shared = 48 << 10;  // what every device grants without being asked
alignas(16) unsigned char block_memory[most_shared + 64];
}  // namespace secateur::cuda

namespace {

using secateur::cuda::block_memory;
using secateur::cuda::most_shared;

constexpr std::size_t guard = 256, stack_bytes = 64 << 10;
constexpr unsigned char guard_byte = 0xa5, poison = 0xff;  // eight times 0xff is NaN

std::recursive_mutex everything;
std::map<unsigned char*, std::size_t> allocations, pinned;
std::vector<std::function<void()>> put_off;  // copies, in their order
thread_local cudaError_t last_error = cudaSuccess;

const char* setting(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}
std::size_t all_memory() {
    const char* given = setting("SECATEUR_EMULATED_MEMORY");
    return *given ? std::strtoull(given, nullptr, 10) : std::size_t{1} << 30;
}
std::size_t used_memory() {
    return std::accumulate(allocations.begin(), allocations.end(), std::size_t{0},
                           [](auto sum, auto& a) { return sum + a.second; });
}
cudaError_t noted(cudaError_t status) {
    if (status != cudaSuccess) last_error = status;
    return status;
}
bool present() {
    return std::string(setting("SECATEUR_EMULATED_CUDA")) == "1";
}
bool guards_hold(unsigned char* data, std::size_t bytes) {
    const auto whole = [](unsigned char* at) {
        return std::all_of(at, at + guard, [](auto byte) { return byte == guard_byte; });
    };
    return whole(data - guard) && whole(data + bytes);
}
// Whether one of these allocations holds all of [data, data + bytes).
bool inside(const void* data, std::size_t bytes, const std::map<unsigned char*, std::size_t>& those = allocations) {
    const auto* at = static_cast<const unsigned char*>(data);
    auto next = those.upper_bound(const_cast<unsigned char*>(at));
    if (next == those.begin()) return false;
    --next;
    return at >= next->first && at + bytes <= next->first + next->second;
}
void catch_up() {
    for (const auto& copy : put_off) copy();
    put_off.clear();
}

enum class State { ready, at_barrier, at_exchange, done };
struct Fiber {
    ucontext_t context;  // where it begins
    jmp_buf place;       // where it goes on: unlike swapcontext, no system call at each switch
    bool begun = false;
    std::unique_ptr<unsigned char[]> stack{new unsigned char[stack_bytes]};
    State state = State::ready;
    int lane_mask = 0;
    double given = 0, taken = 0;
    [[maybe_unused]] void* shadow = nullptr;
};
std::vector<std::unique_ptr<Fiber>> fibers;
jmp_buf scheduler;
[[maybe_unused]] void* scheduler_shadow = nullptr;
[[maybe_unused]] const void* scheduler_stack = nullptr;
[[maybe_unused]] std::size_t scheduler_stack_bytes = 0;
const std::function<void()>* body = nullptr;

void into_scheduler(State state, bool last = false) {
    Fiber& self = *fibers[threadIdx.x];
    self.state = state;
    (void)last;
    SWITCHING(__sanitizer_start_switch_fiber(last ? nullptr : &self.shadow, scheduler_stack, scheduler_stack_bytes);)
    if (_setjmp(self.place) == 0) _longjmp(scheduler, 1);
    SWITCHING(__sanitizer_finish_switch_fiber(self.shadow, nullptr, nullptr);)
}
void entry() {
    SWITCHING(__sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);)
    (*body)();
    into_scheduler(State::done, true);
}
void resume(unsigned thread) {
    threadIdx = dim3(thread, 0, 0);
    Fiber& fiber = *fibers[thread];
    fiber.state = State::ready;
    SWITCHING(__sanitizer_start_switch_fiber(&scheduler_shadow, fiber.stack.get(), stack_bytes);)
    if (_setjmp(scheduler) == 0) {
        if (fiber.begun) _longjmp(fiber.place, 1);
        fiber.begun = true;
        setcontext(&fiber.context);
    }
    SWITCHING(__sanitizer_finish_switch_fiber(scheduler_shadow, nullptr, nullptr);)
}

// One block, its threads taken in this order. False where threads wait for others that never come.
bool run_block(const std::vector<unsigned>& order) {
    for (const unsigned thread : order) {
        Fiber& fiber = *fibers[thread];
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = stack_bytes;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, entry, 0);
        fiber.state = State::ready;
        fiber.begun = false;
    }
    const auto all_of = [&](auto first, auto last, State state) {
        return std::all_of(first, last, [&](unsigned thread) { return fibers[thread]->state == state; });
    };
    std::vector<unsigned> threads(order.size());
    std::iota(threads.begin(), threads.end(), 0u);
    while (!all_of(threads.begin(), threads.end(), State::done)) {
        bool moved = false;
        for (const unsigned thread : order)
            if (fibers[thread]->state == State::ready) {
                resume(thread);
                moved = true;
            }
        for (auto warp = threads.begin(); warp < threads.end(); warp += 32)
            if (all_of(warp, warp + 32, State::at_exchange)) {
                for (auto lane = warp; lane < warp + 32; ++lane) {
                    Fiber& fiber = *fibers[*lane];
                    const auto partner = warp + ((lane - warp) ^ fiber.lane_mask);
                    fiber.taken = fibers[*partner]->given;
                }
                for (auto lane = warp; lane < warp + 32; ++lane) fibers[*lane]->state = State::ready;
                moved = true;
            }
        if (all_of(threads.begin(), threads.end(), State::at_barrier)) {
            for (const unsigned thread : threads) fibers[thread]->state = State::ready;
            moved = true;
        }
        if (!moved) return false;
    }
    return true;
}

}  // namespace

void __syncthreads() {
    into_scheduler(State::at_barrier);
}
double __shfl_xor_sync(unsigned, double value, int lane_mask) {
    Fiber& self = *fibers[threadIdx.x];
    self.given = value;
    self.lane_mask = lane_mask;
    into_scheduler(State::at_exchange);
    return self.taken;
}

namespace emulated {

bool on_device(const void* data) {
    const std::lock_guard<std::recursive_mutex> held(everything);
    return inside(data, 1);
}

cudaError_t run(const std::function<void()>& thread, dim3 grid, dim3 block, std::size_t shared) {
    const std::lock_guard<std::recursive_mutex> held(everything);
    catch_up();
    const std::string failing = setting("SECATEUR_EMULATED_FAILURE");
    static unsigned long launches = 0;
    static std::string seen;
    if (failing != seen) launches = 0;
    seen = failing;
    if (!failing.empty() && launches++ == std::strtoul(failing.c_str(), nullptr, 10)) return noted(cudaErrorLaunchFailure);
    if (block.x < 1 || block.x > 1024 || block.x % 32 || grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.y > 65535 ||
        grid.z > 65535 || shared > most_shared)
        return noted(cudaErrorInvalidConfiguration);
    while (fibers.size() < block.x) fibers.push_back(std::make_unique<Fiber>());
    std::vector<unsigned> order(block.x);
    std::iota(order.begin(), order.end(), 0u);
    const std::string wanted = setting("SECATEUR_EMULATED_ORDER");
    if (wanted == "reverse") std::reverse(order.begin(), order.end());
    std::mt19937 random(static_cast<unsigned>(std::strtoul(wanted.c_str(), nullptr, 10)));
    const bool shuffled = !wanted.empty() && wanted != "forward" && wanted != "reverse";
    body = &thread;
    gridDim = grid;
    blockDim = block;
    for (unsigned at = 0; at < grid.x * grid.y * grid.z; ++at) {
        const unsigned place = wanted == "reverse" ? grid.x * grid.y * grid.z - 1 - at : at;
        blockIdx = dim3(place % grid.x, place / grid.x % grid.y, place / grid.x / grid.y);
        if (shuffled) std::shuffle(order.begin(), order.end(), random);
        std::memset(block_memory, poison, shared);
        std::memset(block_memory + shared, guard_byte, 64);
        if (!run_block(order)) return noted(cudaErrorLaunchFailure);
        if (!std::all_of(block_memory + shared, block_memory + shared + 64, [](auto byte) { return byte == guard_byte; }))
            return noted(cudaErrorIllegalAddress);
    }
    for (const auto& [data, bytes] : allocations)
        if (!guards_hold(data, bytes)) return noted(cudaErrorIllegalAddress);
    return cudaSuccess;
}

}  // namespace emulated

const char* cudaGetErrorString(cudaError_t status) {
    static const char* words[] = {"no error",       "out of memory",         "CUDA driver version is insufficient",
                                  "no device",      "invalid argument",      "an illegal memory access was encountered",
                                  "launch failure", "invalid configuration", "initialization error"};
    return words[status];
}
cudaError_t cudaGetLastError() {
    return std::exchange(last_error, cudaSuccess);
}
cudaError_t cudaDriverGetVersion(int* version) {
    *version = std::atoi(setting("SECATEUR_EMULATED_DRIVER"));
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int) {
    if (which == cudaDevAttrMemoryPoolsSupported) {
        *value = std::string(setting("SECATEUR_EMULATED_POOLS")) != "0";
        return cudaSuccess;
    }
    const int given = std::atoi(setting("SECATEUR_EMULATED_CAPABILITY")), capability = given ? given : 90;
    *value = which == cudaDevAttrComputeCapabilityMajor ? capability / 10 : capability % 10;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
    const std::string driver = setting("SECATEUR_EMULATED_DRIVER");
    if (driver == "forked") return noted(cudaErrorInitializationError);
    if (!driver.empty()) return noted(cudaErrorInsufficientDriver);
    *count = present();
    return present() ? cudaSuccess : noted(cudaErrorNoDevice);
}
cudaError_t cudaGetDevice(int* number) {
    *number = 0;
    return present() ? cudaSuccess : noted(cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int) {
    return present() ? cudaSuccess : noted(cudaErrorNoDevice);
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    *properties = {};
    std::snprintf(properties->name, sizeof properties->name, "emulated on the host (no GPU)");
    properties->totalGlobalMem = all_memory();
    return cudaSuccess;
}
cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
    const std::lock_guard<std::recursive_mutex> held(everything);
    if (used_memory() + bytes > all_memory()) return noted(cudaErrorMemoryAllocation);
    auto* whole = static_cast<unsigned char*>(std::malloc(bytes + 2 * guard));
    std::memset(whole, guard_byte, bytes + 2 * guard);
    std::memset(whole + guard, poison, bytes);
    allocations[whole + guard] = bytes;
    *memory = whole + guard;
    return cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
    const std::lock_guard<std::recursive_mutex> held(everything);
    catch_up();
    const auto found = allocations.find(static_cast<unsigned char*>(memory));
    if (found == allocations.end()) return noted(cudaErrorInvalidValue);
    std::free(found->first - guard);
    allocations.erase(found);
    return cudaSuccess;
}
// A pool that keeps nothing.
struct EmulatedPool {};
cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps*) {
    *pool = new EmulatedPool;
    return cudaSuccess;
}
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
    delete pool;
    return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) {
    return cudaSuccess;
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr, void* value) {
    *static_cast<uint64_t*>(value) = 0;
    return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) {
    return cudaSuccess;
}
cudaError_t cudaMallocFromPoolAsync(void** memory, std::size_t bytes, cudaMemPool_t, cudaStream_t) {
    return cudaMalloc(memory, bytes);
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t) {
    return cudaFree(memory);
}
cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
    const std::lock_guard<std::recursive_mutex> held(everything);
    if (std::string(setting("SECATEUR_EMULATED_PINNED")) == "0") return noted(cudaErrorMemoryAllocation);
    auto* data = static_cast<unsigned char*>(std::malloc(bytes));
    std::memset(data, poison, bytes);
    pinned[data] = bytes;
    *memory = data;
    return cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
    const std::lock_guard<std::recursive_mutex> held(everything);
    catch_up();
    if (!pinned.erase(static_cast<unsigned char*>(memory))) return noted(cudaErrorInvalidValue);
    std::free(memory);
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
    const std::lock_guard<std::recursive_mutex> held(everything);
    *total = all_memory();
    *free = *total - std::min(*total, used_memory());
    return cudaSuccess;
}
namespace {
cudaError_t copy_rows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t width,
                      std::size_t height, cudaMemcpyKind kind) {
    const std::lock_guard<std::recursive_mutex> held(everything);
    catch_up();
    if (width == 0 || height == 0) return cudaSuccess;
    const bool to_there = kind == cudaMemcpyHostToDevice || (kind == cudaMemcpyDefault && inside(to, 1));
    const bool from_there = kind == cudaMemcpyDeviceToHost || (kind == cudaMemcpyDefault && inside(from, 1));
    const auto fits = [&](const void* memory, std::size_t pitch, bool there) {
        return width <= pitch && (there ? inside(memory, (height - 1) * pitch + width) : !inside(memory, 1));
    };
    if (!fits(to, to_pitch, to_there) || !fits(from, from_pitch, from_there)) return noted(cudaErrorInvalidValue);
    const auto copy = [=] {
        for (std::size_t row = 0; row < height; ++row)
            std::memcpy(static_cast<char*>(to) + row * to_pitch, static_cast<const char*>(from) + row * from_pitch, width);
    };
    if (inside(to, 1, pinned) || inside(from, 1, pinned))
        put_off.push_back(copy);
    else
        copy();
    return cudaSuccess;
}
}  // namespace
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t width,
                              std::size_t height, cudaMemcpyKind kind, cudaStream_t) {
    const char* given = setting("SECATEUR_EMULATED_PITCH");
    const std::size_t most = *given ? std::strtoull(given, nullptr, 10) : std::size_t{0x7fffffff};
    if (to_pitch > most || from_pitch > most) return noted(cudaErrorInvalidValue);
    return copy_rows(to, to_pitch, from, from_pitch, width, height, kind);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t) {
    return copy_rows(to, bytes, from, bytes, bytes, 1, kind);
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t) {
    const std::lock_guard<std::recursive_mutex> held(everything);
    catch_up();
    if (!inside(memory, bytes)) return noted(cudaErrorInvalidValue);
    std::memset(memory, value, bytes);
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    *stream = nullptr;
    if (all_memory() == 0) return noted(cudaErrorMemoryAllocation);  // a stream takes some, and what comes before it does
    return present() ? cudaSuccess : noted(cudaErrorNoDevice);
}
cudaError_t cudaStreamDestroy(cudaStream_t) {
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
    const std::lock_guard<std::recursive_mutex> held(everything);
    catch_up();
    return cudaSuccess;
}
struct EmulatedEvent {
    std::chrono::steady_clock::time_point at;
};
cudaError_t cudaEventCreate(cudaEvent_t* event) {
    *event = new EmulatedEvent{};
    return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    return cudaEventCreate(event);
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
    return cudaStreamSynchronize(nullptr);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
    event->at = std::chrono::steady_clock::now();
    return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
    *milliseconds = std::chrono::duration<float, std::milli>(to->at - from->at).count();
    return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
    return cudaStreamSynchronize(nullptr);
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* where, const void* memory) {
    const std::lock_guard<std::recursive_mutex> held(everything);
    *where = {inside(memory, 1) ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered, 0};
    return cudaSuccess;
}

// For tests: memory that only the emulated device may touch, as another library would own it.
extern "C" __attribute__((visibility("default"))) void* emulated_cuda_memory(const void* host, std::size_t bytes) {
    void* memory = nullptr;
    if (cudaMalloc(&memory, bytes) != cudaSuccess) return nullptr;
    cudaMemcpyAsync(memory, host, bytes, cudaMemcpyHostToDevice, nullptr);
    return memory;
}
