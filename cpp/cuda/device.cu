// The device itself: is there one, what does its driver say, and what lies on it?
#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>
#include <vector>

#include "core/space.hpp"
#include "verbs.hpp"

namespace secateur::cuda {

namespace {

std::string in_words(std::size_t bytes) {
    std::ostringstream words;
    words.precision(3);
    if (bytes >= std::size_t{1} << 30)
        words << static_cast<double>(bytes) / (1 << 30) << " GiB";
    else if (bytes >= std::size_t{1} << 20)
        words << static_cast<double>(bytes) / (1 << 20) << " MiB";
    else
        words << bytes << " bytes";
    return words.str();
}

// The least compute capability that this build has code for, as 75 for 7.5.
constexpr int least_capability() {
    int least = 1 << 30;
    for (const int architecture : {__CUDA_ARCH_LIST__}) least = architecture < least ? architecture : least;
    return least / 10;
}

std::string numbered(int major, int minor) {
    return std::to_string(major) + "." + std::to_string(minor);
}
std::string cuda_version(int version) {
    return numbered(version / 1000, version % 1000 / 10);
}

// Why no device can be used, where the driver refused so; empty where it did not. Where no driver is installed the runtime calls
// it too old, of version 0.
std::string refusal(cudaError_t status) {
    int driver = 0;
    if (status == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0)
        return "the driver is for CUDA " + cuda_version(driver) + ", older than this build's " + cuda_version(CUDART_VERSION);
    if (status == cudaErrorInsufficientDriver || status == cudaErrorNoDevice) return "no CUDA device is visible";
    if (status == cudaErrorInitializationError)
        return "CUDA does not start, as in a process forked from one that has used it (use the start method 'spawn')";
    return "";
}

__global__ void find_not_finite(const double* x, int64_t count, int* found) {
    const int64_t step = int64_t{gridDim.x} * blockDim.x;
    for (int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < count; at += step)
        if (!(x[at] * 0.0 == 0.0)) *found = 1;  // whoever writes, writes the same
}

// out (stimuli, features): the rows of x of these stimuli.
__global__ void take_rows(const double* x, int64_t features, const int64_t* stimuli, double* out) {
    const int64_t k = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, i = blockIdx.y;
    if (k < features) out[i * features + k] = x[stimuli[i] * features + k];
}

// X on the device. Its own memory, or someone else's that outlives it.
class DeviceEngine : public Engine {
  public:
    DeviceEngine(std::shared_ptr<Device> device, const Features& x, bool on_device, Precision precision)
        : Engine(x.stimuli, x.count),
          device_(std::move(device)),
          x_(x),
          precision_(precision),
          fetched_(on_device ? nullptr : x.values) {
        if (x_.stimuli > most_stimuli)
            throw std::invalid_argument("X must have at most " + std::to_string(most_stimuli) +
                                        " stimuli on a CUDA device, got " + std::to_string(x_.stimuli) + ": use device='cpu'");
        const Device::Turn turn(*device_);
        const int64_t count = x.stimuli * x.count;
        if (on_device) {
            take_as_it_lies(count);
        } else {
            copy_ = DeviceBuffer<double>(*device_, x.values, count, "X");
            x_.values = copy_.get();
            device_->finish("copying X to the device");
        }
    }
    // Some of the rows of what lies on the device.
    DeviceEngine(const DeviceEngine& all, Indices stimuli)
        : Engine(stimuli.count, all.features),
          device_(all.device_),
          x_{nullptr, stimuli.count, all.x_.count},
          precision_(all.precision_),
          fetched_(nullptr) {
        const Device::Turn turn(*device_);
        const DeviceBuffer<int64_t> rows(*device_, stimuli.values, stimuli.count, "stimuli");
        copy_ = DeviceBuffer<double>(*device_, x_.stimuli * x_.count, "X");
        launch(*device_, "taking rows of X", take_rows, grid_of((x_.count + 255) / 256, x_.stimuli), 256, 0, all.x_.values,
               x_.count, rows.get(), copy_.get());
        x_.values = copy_.get();
        device_->finish("taking rows of X");
    }
    bool takes(Comparator comparator) const override { return cuda::takes(comparator); }
    Features host_features() override {
        const Device::Turn turn(*device_);
        return {fetched(), x_.stimuli, x_.count};
    }
    std::unique_ptr<Engine> among(Indices stimuli) override { return std::make_unique<DeviceEngine>(*this, stimuli); }
    void space(Metric metric, Indices subset, const Context&, Space& out) override {
        const Device::Turn turn(*device_);
        cuda::space(*device_, x_, metric, subset, out.pair.get(), out.own.get(), out.mean.get());
    }
    void one_feature(const OneFeaturePlan& plan, const Context& context, double* out, char* needs_recompute) override {
        const Device::Turn turn(*device_);
        const int64_t targets = plan.targets.count, candidates = plan.candidates.count;
        const double orientation = traits_of(plan.metric).orientation;
        Buffer values(targets * candidates);
        const DeviceBuffer<double> pair(*device_, plan.space->pair.get(), pairs(), "inner products"),
            own(*device_, plan.space->own.get(), stimuli, "norms"), mean(*device_, plan.space->mean.get(), stimuli, "means");
        cuda::one_feature(*device_, x_, precision_, plan, {pair.get(), own.get(), mean.get(), nullptr}, context, values.get(),
                          needs_recompute);
        for (int64_t t = 0; t < targets; ++t)
            for (int64_t c = 0; c < candidates; ++c)
                out[t * features + plan.candidates.values[c]] = orientation * values[t * candidates + c];
    }
    void insertion_curve(const InsertionPlan& plan, const Context& context, double* out, char* needs_recompute) override {
        const Device::Turn turn(*device_);
        cuda::insertion_curve(*device_, x_, plan, context, out, needs_recompute);
        const double orientation = traits_of(plan.metric).orientation;
        for (int64_t at = 0; at < plan.targets.count * plan.orders.steps; ++at) out[at] *= orientation;
    }
    bool step(const Targets& targets, const StepPlan& plan, const Context& context, double* out) override {
        const Device::Turn turn(*device_);
        cuda::step(*device_, x_, precision_, on_this_device(targets), plan, context, out);
        return true;
    }
    std::optional<bool> ranking(const Targets& targets, const RankingPlan& plan, const Context& context, Ranked out) override {
        const Device::Turn turn(*device_);
        return cuda::ranking(*device_, x_, precision_, on_this_device(targets), plan, context, out);
    }
    bool held_out_alignment(const Targets& targets, const HeldOutPlan& plan, const Context& context, double* out,
                            int64_t* undefined) override {
        const Device::Turn turn(*device_);
        cuda::held_out_alignment(*device_, x_, on_this_device(targets), plan, context, out, undefined);
        return true;
    }

  private:
    const std::shared_ptr<Device> device_;
    Features x_;
    const Precision precision_;
    DeviceBuffer<double> copy_;
    std::mutex fetching_;
    std::vector<double> fetch_;
    const double* fetched_;

    // X on the host; the caller has the turn.
    const double* fetched() {
        const std::lock_guard<std::mutex> held(fetching_);
        if (fetched_) return fetched_;
        fetch_.resize(x_.stimuli * x_.count);
        const std::size_t bytes = fetch_.size() * sizeof(double);
        device_->download(fetch_.data(), x_.values, bytes, bytes, bytes);
        return fetched_ = fetch_.data();
    }

    LoadedTargets& on_this_device(const Targets& targets) const {
        auto& loaded = static_cast<LoadedTargets&>(*targets.loaded);
        if (loaded.device() != device_.get())
            throw std::invalid_argument("target must lie where X lies, got one loaded on another Device");
        return loaded;
    }

    void take_as_it_lies(int64_t count) {
        expect_on_device(*device_, x_.values, "X");
        if (all_finite(*device_, x_.values, count)) return;
        const double* values = fetched();
        for (int64_t at = 0; at < count; ++at)
            if (!std::isfinite(values[at])) {
                std::ostringstream message;
                message << "X must be finite, got " << values[at] << " at stimulus " << at / x_.count << ", feature "
                        << at % x_.count;
                throw std::invalid_argument(message.str());
            }
    }
};

}  // namespace

void expect_on_device(const Device& device, const void* values, const char* name) {
    cudaPointerAttributes where{};
    check(cudaPointerGetAttributes(&where, values), std::string("looking where ") + name + " lies");
    if (where.type != cudaMemoryTypeDevice && where.type != cudaMemoryTypeManaged)
        throw std::invalid_argument(std::string(name) + " must lie in a CUDA device's memory, got a pointer to other memory");
    if (where.type == cudaMemoryTypeDevice && where.device != device.number())
        throw std::invalid_argument(std::string(name) + " must lie on CUDA device " + std::to_string(device.number()) +
                                    ", the current one, got device " + std::to_string(where.device));
    check(cudaDeviceSynchronize(), std::string("waiting for ") + name);
}

bool lies_there(const void* values) {
    cudaPointerAttributes where{};
    check(cudaPointerGetAttributes(&where, values), "looking where values lie");
    return where.type == cudaMemoryTypeDevice || where.type == cudaMemoryTypeManaged;
}

void expect_room(const Device& device, int64_t bytes, const char* what) {
    const std::size_t free = device.available_bytes();
    if (static_cast<std::size_t>(bytes) > free)
        throw OutOfMemory("out of device memory: at least " + in_words(bytes) + " are needed (" + what + "), " + in_words(free) +
                          " are free: use device='cpu'");
}

bool all_finite(Device& device, const double* values, int64_t count) {
    DeviceBuffer<int> found(device, 1, "a flag");
    found.zero();
    launch(device, "looking for NaN", find_not_finite, grid_of(256), 256, 0, values, count, found.get());
    int any = 0;
    found.download(&any);
    return !any;
}

void check(cudaError_t status, const std::string& what) {
    if (status == cudaSuccess) return;
    cudaGetLastError();  // what can be forgotten is: the next call starts clean
    if (const std::string why = refusal(status); !why.empty()) throw std::runtime_error(why + ": use device='cpu'");
    if (status == cudaErrorMemoryAllocation) throw OutOfMemory("out of device memory while " + what + ": use device='cpu'");
    throw std::runtime_error("CUDA failed while " + what + ": " + cudaGetErrorString(status));
}

bool available(std::string& reason) {
    int devices = 0, number = 0, major = 0, minor = 0;
    cudaError_t status = cudaGetDeviceCount(&devices);
    if (status == cudaSuccess && devices == 0) status = cudaErrorNoDevice;
    if (status == cudaSuccess) status = cudaGetDevice(&number);
    if (status == cudaSuccess) status = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, number);
    if (status == cudaSuccess) status = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, number);
    if (status != cudaSuccess) {
        cudaGetLastError();
        reason = refusal(status);
        if (reason.empty()) reason = std::string("the CUDA driver says: ") + cudaGetErrorString(status);
    } else if (major * 10 + minor < least_capability()) {
        reason = "the device has compute capability " + numbered(major, minor) + " and this build starts at " +
                 numbered(least_capability() / 10, least_capability() % 10);
    }
    return reason.empty();
}

std::string describe() {
    int number = 0;
    cudaDeviceProp properties;
    check(cudaGetDevice(&number), "asking for the current device");
    check(cudaGetDeviceProperties(&properties, number), "asking what the device is");
    return std::string(properties.name) + ", compute capability " + std::to_string(properties.major) + "." +
           std::to_string(properties.minor) + ", " + in_words(properties.totalGlobalMem);
}

double seconds(const Device& device) {
    return device.seconds();
}
int streams(const Device& device) {
    return device.streams();
}

std::shared_ptr<Device> open() {
    return std::make_shared<Device>();
}

std::unique_ptr<Engine> load(std::shared_ptr<Device> device, const Features& x, bool on_device, Precision precision) {
    return std::make_unique<DeviceEngine>(std::move(device), x, on_device, precision);
}

constexpr std::size_t staged_bytes = 4 << 20, worth_staging = 256 << 10;

thread_local std::pair<const Device*, Device::Lane*> Device::own_{nullptr, nullptr};

namespace {
int current_device() {
    int number = 0;
    check(cudaGetDevice(&number), "asking for the current device");
    return number;
}
}  // namespace

// What was made is given back where the rest can't be had.
Device::Device() : Device(current_device()) {
    int pools = 0;
    check(cudaDeviceGetAttribute(&pools, cudaDevAttrMemoryPoolsSupported, number_), "asking what the device has");
    if (pools) {  // one of its own: what is kept there is kept from nobody's else
        cudaMemPoolProps of{};
        of.allocType = cudaMemAllocationTypePinned;
        of.location.type = cudaMemLocationTypeDevice;
        of.location.id = number_;
        check(cudaMemPoolCreate(&pool_, &of), "making a memory pool");
        uint64_t keep = ~uint64_t{0};
        check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep), "making a memory pool");
        lane_count_ = 2;
    }
    for (int l = 0; l < lane_count_; ++l) {
        check(cudaStreamCreateWithFlags(&lanes_[l].stream, cudaStreamNonBlocking), "making a stream");
        cudaEventCreate(&lanes_[l].began);  // without them nothing is timed
        cudaEventCreate(&lanes_[l].ended);
    }
    cudaGetLastError();
}

Device::~Device() {
    for (const auto& [memory, bytes] : size_) cudaFree(memory);
    for (Lane& lane : lanes_) {
        for (Staging& staging : lane.staging) {
            if (staging.memory) cudaFreeHost(staging.memory);
            if (staging.done) cudaEventDestroy(staging.done);
        }
        if (lane.began) cudaEventDestroy(lane.began);
        if (lane.ended) cudaEventDestroy(lane.ended);
        if (lane.stream) cudaStreamSynchronize(lane.stream);  // what was given back last
        if (lane.stream) cudaStreamDestroy(lane.stream);
    }
    if (pool_) cudaMemPoolDestroy(pool_);
}

Device::Lane& Device::free_lane() {
    // As from what `Context::stop` asks: the lane that it would wait for may be its own.
    if (own_.first == this) throw std::runtime_error("a call on this CUDA device is under way in this thread: end it first");
    for (int l = 0; l < lane_count_; ++l)
        if (lanes_[l].turn.try_lock()) return lanes_[l];
    Lane& lane = lanes_[turns_++ % lane_count_];
    lane.turn.lock();
    return lane;
}

// Where these fail, so does the call that follows.
Device::Turn::Turn(Device& device)
    : device_(device), lane_(device.free_lane()), held_(lane_.turn, std::adopt_lock), others_(own_) {
    own_ = {&device_, &lane_};
    cudaGetDevice(&before_);
    if (before_ != device_.number_) cudaSetDevice(device_.number_);
    if (lane_.began) cudaEventRecord(lane_.began, lane_.stream);
}

Device::Turn::~Turn() {
    if (lane_.ended) cudaEventRecord(lane_.ended, lane_.stream);
    cudaStreamSynchronize(lane_.stream);  // idle by now, but after an interrupt or an error
    float milliseconds = 0;
    if (lane_.ended && cudaEventElapsedTime(&milliseconds, lane_.began, lane_.ended) == cudaSuccess) {
        const std::lock_guard<std::mutex> held(device_.kept_);
        device_.seconds_ += milliseconds / 1e3;
    }
    if (before_ != device_.number_) cudaSetDevice(before_);  // which would also start a device that was never used
    own_ = others_;
}

// Outside of turns all is over that was started: any stream will do.
cudaStream_t Device::stream() const {
    return own_.first == this ? own_.second->stream : lanes_[0].stream;
}

double Device::seconds() const {
    const std::lock_guard<std::mutex> held(kept_);
    return seconds_;
}

cudaError_t Device::allocate(void** memory, std::size_t bytes) {
    return pool_ ? cudaMallocFromPoolAsync(memory, bytes, pool_, stream()) : cudaMalloc(memory, bytes);
}

void* Device::take(std::size_t bytes, const char* what) {
    bytes = (bytes + 511) / 512 * 512;
    void* memory = nullptr;
    std::unique_lock<std::mutex> held(kept_, std::defer_lock);
    if (!pool_) {
        held.lock();
        const auto kept = idle_.lower_bound(bytes);
        if (kept != idle_.end() && kept->first <= 2 * bytes) {
            memory = kept->second;
            idle_.erase(kept);
            return memory;
        }
    }
    cudaError_t status = allocate(&memory, bytes);
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        release_idle();
        status = allocate(&memory, bytes);
    }
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        std::size_t free = 0, total = 0;
        cudaMemGetInfo(&free, &total);
        throw OutOfMemory("out of device memory: " + in_words(bytes) + " were asked for (" + what + "), " + in_words(free) +
                          " of " + in_words(total) + " are free: use device='cpu', or fewer targets at once");
    }
    check(status, std::string("allocating ") + in_words(bytes) + " for " + what);
    if (!pool_) size_[memory] = bytes;
    return memory;
}

void Device::give(void* memory) noexcept {
    if (pool_) {
        cudaFreeAsync(memory, stream());
        return;
    }
    const std::lock_guard<std::mutex> held(kept_);
    idle_.emplace(size_[memory], memory);
}

std::size_t Device::available_bytes() const {
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for free memory");
    if (pool_) {
        uint64_t reserved = 0, used = 0;
        check(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &reserved), "asking for free memory");
        check(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemCurrent, &used), "asking for free memory");
        return free + (reserved - std::min(reserved, used));
    }
    const std::lock_guard<std::mutex> held(kept_);
    for (const auto& [bytes, memory] : idle_) free += bytes;
    return free;
}

void Device::release_idle() noexcept {
    cudaStreamSynchronize(stream());
    if (pool_) cudaMemPoolTrimTo(pool_, 0);
    for (const auto& [bytes, memory] : idle_) {
        cudaFree(memory);
        size_.erase(memory);
    }
    idle_.clear();
}

// Whether the lane has staging memory, which is made with its first large copy.
bool Device::stage(Lane& lane) {
    for (Staging& staging : lane.staging) {
        if (lane.no_staging || staging.done) continue;
        void* memory = nullptr;
        lane.no_staging = cudaHostAlloc(&memory, staged_bytes, cudaHostAllocDefault) != cudaSuccess;
        staging.memory = static_cast<unsigned char*>(memory);
        if (!lane.no_staging) lane.no_staging = cudaEventCreateWithFlags(&staging.done, cudaEventDisableTiming) != cudaSuccess;
        cudaGetLastError();  // copies go without it, and slower
    }
    return !lane.no_staging;
}

void Device::upload(void* to, const void* from, std::size_t bytes) {
    if (own_.first != this || bytes < worth_staging || lies_there(from) || !stage(*own_.second)) {
        check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream()), "copying to the device");
        return;
    }
    const auto* source = static_cast<const unsigned char*>(from);
    for (std::size_t at = 0, part = 0; at < bytes; at += staged_bytes, ++part) {
        const std::size_t now = std::min(staged_bytes, bytes - at);
        Staging& by = own_.second->staging[part % 2];
        check(cudaEventSynchronize(by.done), "copying to the device");
        std::memcpy(by.memory, source + at, now);
        check(cudaMemcpyAsync(static_cast<unsigned char*>(to) + at, by.memory, now, cudaMemcpyHostToDevice, stream()),
              "copying to the device");
        check(cudaEventRecord(by.done, stream()), "copying to the device");
    }
}

void Device::download(void* to, const void* from, std::size_t bytes, std::size_t width, std::size_t pitch) {
    const char* what = "copying from the device";
    if (bytes == 0) return;
    if (own_.first != this || bytes < worth_staging || lies_there(to) || !stage(*own_.second)) {
        // A pitch ends at two gigabytes, of one row too.
        check(bytes == width ? cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream())
                             : cudaMemcpy2DAsync(to, pitch, from, width, width, bytes / width, cudaMemcpyDefault, stream()),
              what);
        return finish("computing on the device");
    }
    const std::size_t parts = (bytes + staged_bytes - 1) / staged_bytes;
    for (std::size_t part = 0; part <= parts; ++part) {
        if (part < parts) {
            const std::size_t at = part * staged_bytes;
            Staging& by = own_.second->staging[part % 2];
            check(cudaEventSynchronize(by.done), what);  // of an upload
            check(cudaMemcpyAsync(by.memory, static_cast<const unsigned char*>(from) + at, std::min(staged_bytes, bytes - at),
                                  cudaMemcpyDeviceToHost, stream()),
                  what);
            check(cudaEventRecord(by.done, stream()), what);
        }
        if (part == 0) continue;
        // The part before, by the pieces of rows that it has.
        const Staging& by = own_.second->staging[(part - 1) % 2];
        check(cudaEventSynchronize(by.done), "computing on the device");
        const std::size_t first = (part - 1) * staged_bytes, last = std::min(first + staged_bytes, bytes);
        for (std::size_t at = first, now; at < last; at += now) {
            now = std::min(width - at % width, last - at);
            std::memcpy(static_cast<unsigned char*>(to) + at / width * pitch + at % width, by.memory + (at - first), now);
        }
    }
}

}  // namespace secateur::cuda
