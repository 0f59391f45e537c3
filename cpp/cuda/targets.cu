// Targets on the device: standardised among some stimuli, and compared with similarities.
#include <algorithm>
#include <cmath>
#include <sstream>

#include "targets.hpp"
#include "vectors.hpp"

namespace secateur::cuda {

namespace {

constexpr int threads = 256;
constexpr int64_t pairs_a_slice = 1 << 15, most_slices = 256;
constexpr int64_t most_in_a_grid = 32768;  // along its last axes

__global__ void negate(double* values, int64_t count) {
    const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (at < count) values[at] = -values[at];
}

// One block a target: the pairs (targets, pairs) of matrices (targets, n, n), the largest of each, and the first place above the
// diagonal that the one below it does not equal, or -1.
__global__ void __launch_bounds__(threads)
    pack(const double* squares, int64_t n, double* values, double* largest, int64_t* lopsided) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const int64_t t = blockIdx.x;
    const double* square = squares + t * n * n;
    double most = -INFINITY, first = INFINITY;
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = i + 1 + threadIdx.x; j < n; j += threads) {
            const double above = square[i * n + j], below = square[j * n + i];
            values[t * (n * (n - 1) / 2) + row_start(i, n) + j - i - 1] = above;
            most = fmax(most, above);
            const bool same = above == below || (std::isnan(above) && std::isnan(below)) ||
                              std::fabs(above - below) <= 1e-9 + 1e-6 * std::fabs(below);
            if (!same) first = fmin(first, static_cast<double>(i * n + j));
        }
    most = over_block(most, shared, [](double a, double b) { return fmax(a, b); });
    first = over_block(first, shared, [](double a, double b) { return fmin(a, b); });
    if (threadIdx.x != 0) return;
    largest[t] = most;
    lopsided[t] = first < INFINITY ? static_cast<int64_t>(first) : -1;
}

// out (targets, pairs among `count` stimuli) of `from` (targets, pairs among all): those of stimuli i (blockIdx.y) and j.
__global__ void take_pairs(const double* from, int64_t all, const int64_t* stimuli, int64_t count, int64_t targets, double* out) {
    const int64_t i = blockIdx.y, j = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (j <= i || j >= count) return;
    const int64_t a = stimuli[i], b = stimuli[j], low = a < b ? a : b, high = a < b ? b : a;
    const int64_t there = row_start(low, all) + high - low - 1, here = row_start(i, count) + j - i - 1;
    for (int64_t t = blockIdx.z; t < targets; t += gridDim.z)
        out[t * (count * (count - 1) / 2) + here] = from[t * (all * (all - 1) / 2) + there];
}

// Many pairs are summed up in slices, by a block each; whoever needs the whole adds the slices up in order. sums (slices, rows,
// count).
template <int count>
__device__ void write_sums(double (&values)[count], double* shared, double* sums, int64_t slice, int64_t rows, int64_t row) {
#pragma unroll
    for (int m = 0; m < count; ++m) {
        const double all = over_block(values[m], shared, plus);
        if (threadIdx.x == 0) sums[(slice * rows + row) * count + m] = all;
    }
}
template <int count>
__device__ void read_sums(const double* sums, int64_t slices, int64_t rows, int64_t row, double (&values)[count]) {
#pragma unroll
    for (int m = 0; m < count; ++m) values[m] = 0;
    for (int64_t slice = 0; slice < slices; ++slice)
#pragma unroll
        for (int m = 0; m < count; ++m) values[m] += sums[(slice * rows + row) * count + m];
}
// Pairs of a slice, this one of so many.
struct Slice {
    int64_t from, to;
    __device__ Slice(int64_t pairs, int64_t slice, int64_t slices) {
        const int64_t each = (pairs + slices - 1) / slices;
        from = min(slice * each, pairs);
        to = min(from + each, pairs);
    }
};

// Blocks: a target, a slice. sums (slices, targets, 2): of w, w h.
__global__ void __launch_bounds__(threads) sum_up(TargetRows from, double* sums) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const int64_t t = blockIdx.x;
    const double* h = from.values + t * from.all_pairs;
    const double* w = from.weights ? from.weights + from.pattern_of[t] * from.pairs : nullptr;
    const Slice slice(from.pairs, blockIdx.y, gridDim.y);
    double all[2] = {0, 0};
    for (int64_t p = slice.from + threadIdx.x; p < slice.to; p += threads) {
        const double weight = w ? w[p] : 1.0;
        all[0] += weight;
        if (weight > 0) all[1] += weight * h[from.at ? from.at[p] : p];
    }
    write_sums(all, shared, sums, blockIdx.y, gridDim.x, t);
}

// rows (targets, pairs): w (h - mean). deviations (slices, targets, 2): of w (h - mean)^2, w h^2.
__global__ void __launch_bounds__(threads, 2)
    deviate(TargetRows from, bool centred, const double* sums, double* deviations, double* rows) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const int64_t t = blockIdx.x;
    const double* h = from.values + t * from.all_pairs;
    const double* w = from.weights ? from.weights + from.pattern_of[t] * from.pairs : nullptr;
    const Slice slice(from.pairs, blockIdx.y, gridDim.y);
    double whole[2], all[2] = {0, 0};
    read_sums(sums, gridDim.y, gridDim.x, t, whole);
    const double mean = centred ? whole[1] / whole[0] : 0.0;
    for (int64_t p = slice.from + threadIdx.x; p < slice.to; p += threads) {
        const double weight = w ? w[p] : 1.0, value = weight > 0 ? h[from.at ? from.at[p] : p] : 0.0,
                     gap = weight > 0 ? value - mean : 0.0;
        all[0] += weight * gap * gap;
        all[1] += weight * value * value;
        rows[t * from.pairs + p] = weight * gap;
    }
    write_sums(all, shared, deviations, blockIdx.y, gridDim.x, t);
}

// rows /= norm; NaN for a constant target.
__global__ void __launch_bounds__(threads) scale(int64_t pairs, const double* deviations, double* rows) {
    const int64_t t = blockIdx.x;
    const Slice slice(pairs, blockIdx.y, gridDim.y);
    double whole[2];
    read_sums(deviations, gridDim.y, gridDim.x, t, whole);
    const double scale = is_constant(whole[0], whole[1]) ? static_cast<double>(NAN) : 1 / std::sqrt(whole[0]);
    for (int64_t p = slice.from + threadIdx.x; p < slice.to; p += threads) rows[t * pairs + p] *= scale;
}

// What a block compares (TargetsAmong::Comparison): blocks are a target, a space, a slice.
struct Compared {
    int64_t place, places;
    const double *h, *s, *w;
    Slice slice;
    __device__ Compared(const TargetRows& from, const TargetsAmong::Comparison& with)
        : place(int64_t{blockIdx.y} * gridDim.x + blockIdx.x),
          places(int64_t{gridDim.x} * gridDim.y),
          s(with.similarities + (with.stride ? blockIdx.x * with.stride : blockIdx.y * from.pairs)),
          slice(from.pairs, blockIdx.z, gridDim.z) {
        const int64_t t = with.which ? with.which[blockIdx.x] : int64_t{blockIdx.x};
        h = from.values + t * from.all_pairs;
        w = from.weights ? from.weights + from.pattern_of[t] * from.pairs : nullptr;
    }
};

// sums (slices, places, 4): of w, w h, w s over the defined pairs, and how many with weight are not.
__global__ void __launch_bounds__(threads, 2) compare_means(TargetRows from, TargetsAmong::Comparison with, double* sums) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const Compared of(from, with);
    double all[4] = {0, 0, 0, 0};
    for (int64_t p = of.slice.from + threadIdx.x; p < of.slice.to; p += threads) {
        const double weight = of.w ? of.w[p] : 1.0, value = of.s[p];
        if (!(weight > 0)) continue;
        if (std::isnan(value)) {
            all[3] += 1;
            continue;
        }
        all[0] += weight;
        all[1] += weight * of.h[from.at ? from.at[p] : p];
        all[2] += weight * value;
    }
    write_sums(all, shared, sums, blockIdx.z, of.places, of.place);
}

// products (slices, places, 5): squared deviations and squares of h and of s, and the product.
__global__ void __launch_bounds__(threads, 2)
    compare_products(TargetRows from, TargetsAmong::Comparison with, bool centred, const double* sums, double* products) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const Compared of(from, with);
    double means[4], all[5] = {0, 0, 0, 0, 0};
    read_sums(sums, gridDim.z, of.places, of.place, means);
    const double mean_h = centred ? means[1] / means[0] : 0.0, mean_s = centred ? means[2] / means[0] : 0.0;
    for (int64_t p = of.slice.from + threadIdx.x; p < of.slice.to; p += threads) {
        const double weight = of.w ? of.w[p] : 1.0, similarity = of.s[p];
        if (!(weight > 0) || std::isnan(similarity)) continue;
        const double value = of.h[from.at ? from.at[p] : p], a = value - mean_h, b = similarity - mean_s;
        all[0] += weight * a * a;
        all[1] += weight * value * value;
        all[2] += weight * b * b;
        all[3] += weight * similarity * similarity;
        all[4] += weight * a * b;
    }
    write_sums(all, shared, products, blockIdx.z, of.places, of.place);
}

// A thread a place.
__global__ void compare_sums(const double* sums, const double* products, int64_t slices, int64_t places, bool strict,
                             double* alignments, int64_t* undefined) {
    const int64_t place = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (place >= places) return;
    double means[4], all[5];
    read_sums(sums, slices, places, place, means);
    read_sums(products, slices, places, place, all);
    const bool none = !(means[0] > 0) || (strict && means[3] > 0) || is_constant(all[0], all[1]) || is_constant(all[2], all[3]);
    alignments[place] = none ? static_cast<double>(NAN) : all[4] / std::sqrt(all[0]) / std::sqrt(all[2]);
    if (undefined) undefined[place] = static_cast<int64_t>(means[3]);
}

// By the number of pairs alone, and so are bits.
int64_t slices_of(int64_t pairs) {
    return std::clamp<int64_t>(pairs / pairs_a_slice, 1, most_slices);
}

// One block a target.
__global__ void __launch_bounds__(threads) find_constant(TargetRows from, int* found) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const int64_t t = blockIdx.x;
    const double* h = from.values + t * from.all_pairs;
    const double* w = from.weights ? from.weights + from.pattern_of[t] * from.pairs : nullptr;
    double low = INFINITY, high = -INFINITY;
    for (int64_t p = threadIdx.x; p < from.pairs; p += threads) {
        if (w && !(w[p] > 0)) continue;
        low = fmin(low, h[from.at ? from.at[p] : p]);
        high = fmax(high, h[from.at ? from.at[p] : p]);
    }
    low = over_block(low, shared, [](double a, double b) { return fmin(a, b); });
    high = over_block(high, shared, [](double a, double b) { return fmax(a, b); });
    if (threadIdx.x == 0 && !(low < high)) *found = 1;  // whoever writes, writes the same
}

}  // namespace

LoadedTargets::LoadedTargets(std::shared_ptr<Device> device, const Targets& targets, int64_t stimuli, Form form, bool negated,
                             const std::string& name)
    : device_(std::move(device)),
      given_(targets),
      as_given_(form == Form::on_host && !negated),
      stimuli_(stimuli),
      pairs_(stimuli * (stimuli - 1) / 2) {
    const Device::Turn turn(*device_);
    const int64_t size = targets.count * pairs_;
    const bool on_device = form != Form::on_host;
    if (on_device) expect_on_device(*device_, targets.values, name.c_str());
    values_ = DeviceBuffer<double>(*device_, form == Form::square ? nullptr : targets.values, size, "targets");
    if (form == Form::square) pack_squares(negated, name);
    if (negated) launch(*device_, "negating targets", negate, grid_of((size + 255) / 256), 256, 0, values_.get(), size);
    device_->finish("copying targets to the device");
    if (on_device && !all_finite(*device_, values_.get(), size)) expect_finite(name);
}

// Where it has weight.
void LoadedTargets::expect_finite(const std::string& name) {
    const double* values = fetched();
    for (int64_t at = 0; at < given_.count * pairs_; ++at) {
        const int64_t t = at / pairs_, p = at % pairs_;
        const bool counts = !given_.weights || given_.weights[given_.weight_of[t] * pairs_ + p] > 0;
        if (!counts || std::isfinite(values[at])) continue;
        std::ostringstream message;
        message << name << " must be finite on a CUDA device where it has weight, got " << values[at] << " at target " << t
                << ", pair " << p;
        throw std::invalid_argument(message.str());
    }
}

// What python/secateur/targets.py asks of matrices in host memory.
void LoadedTargets::pack_squares(bool negated, const std::string& name) {
    const int64_t n = stimuli_, count = given_.count;
    const DeviceBuffer<double> largest(*device_, count, "largest values");
    const DeviceBuffer<int64_t> places(*device_, count, "places");
    values_ = DeviceBuffer<double>(*device_, count * pairs_, "targets");
    launch(*device_, "packing targets", pack, grid_of(count), threads, threads * sizeof(double), given_.values, n, values_.get(),
           largest.get(), places.get());
    std::vector<double> most(count), diagonal(count * n);
    std::vector<int64_t> lopsided(count);
    largest.download(most.data());
    places.download(lopsided.data());
    const auto at = [&](int64_t t, int64_t i, int64_t j) {
        double value = 0;
        check(cudaMemcpyAsync(&value, given_.values + (t * n + i) * n + j, sizeof value, cudaMemcpyDefault, device_->stream()),
              "copying from the device");
        device_->finish("copying from the device");
        return value;
    };
    for (int64_t t = 0; t < count; ++t) {
        const int64_t i = lopsided[t] / n, j = lopsided[t] % n;
        std::ostringstream message;
        if (lopsided[t] >= 0) {
            message << name << " must be symmetric, got " << at(t, i, j) << " at (" << i << ", " << j << ") and " << at(t, j, i)
                    << " at (" << j << ", " << i << ")";
            throw std::invalid_argument(message.str());
        }
        if (name != "target") continue;
        check(cudaMemcpy2DAsync(&diagonal[t * n], sizeof(double), given_.values + t * n * n, (n + 1) * sizeof(double),
                                sizeof(double), n, cudaMemcpyDefault, device_->stream()),
              "copying from the device");
        device_->finish("copying from the device");
        bool same = true;
        for (int64_t k = 0; k < n; ++k) same &= diagonal[t * n + k] == diagonal[t * n];
        const double first = diagonal[t * n];
        if (!negated && same && first == 0 && most[t] > 0)
            throw std::invalid_argument(
                "target must not have an all-zero diagonal while kind is 'similarity', got one: it looks like a dissimilarity "
                "matrix, pass kind='dissimilarity'");
        if (negated && same && first > 0 && first >= most[t]) {
            message << "target must have a zero diagonal while kind is 'dissimilarity', got " << first
                    << " throughout, its largest value: it looks like a similarity matrix, pass kind='similarity'";
            throw std::invalid_argument(message.str());
        }
    }
}

const double* LoadedTargets::fetched() {
    if (as_given_) return given_.values;
    const std::lock_guard<std::mutex> held(making_);
    if (fetch_.empty()) {
        fetch_.resize(given_.count * pairs_);
        values_.download(fetch_.data());
    }
    return fetch_.data();
}

const double* LoadedTargets::host_values() {
    const Device::Turn turn(*device_);
    return fetched();
}

LoadedTargets::LoadedTargets(const LoadedTargets& all, int64_t all_stimuli, Indices stimuli, const Targets& weights)
    : device_(all.device_), given_(weights), as_given_(false), stimuli_(stimuli.count), pairs_(stimuli_ * (stimuli_ - 1) / 2) {
    const Device::Turn turn(*device_);
    const int64_t m = stimuli.count;
    const DeviceBuffer<int64_t> chosen(*device_, stimuli.values, m, "stimuli");
    values_ = DeviceBuffer<double>(*device_, given_.count * pairs_, "targets");
    launch(*device_, "taking pairs of targets", take_pairs,
           grid_of((m + threads - 1) / threads, m, std::min<int64_t>(given_.count, most_in_a_grid)), threads, 0,
           all.values_.get(), all_stimuli, chosen.get(), m, given_.count, values_.get());
    device_->finish("taking pairs of targets");
}

LoadedTargets::~LoadedTargets() = default;

const TargetsAmong& LoadedTargets::made_whole(Comparator comparator, TieScale scale) {
    if (!is_rank(comparator)) scale = {};  // which ties among similarities go by
    auto& whole = whole_[{comparator, scale.normalised, scale.rooted}];
    if (whole) return *whole;
    auto made = std::make_unique<TargetsAmong>(*device_, *this, Indices{nullptr, pairs_}, given_.weights, given_.weight_of,
                                               given_.patterns, given_.count, comparator, scale, stimuli_);
    device_->finish("copying targets to the device");
    whole = std::move(made);
    return *whole;
}

const TargetsAmong& LoadedTargets::whole(Comparator comparator, TieScale scale) {
    const std::lock_guard<std::mutex> held(making_);
    return made_whole(comparator, scale);
}

const double* LoadedTargets::standardised(Comparator comparator) {
    if (is_rank(comparator) && !given_.weights) return values_.get();
    const Device::Turn turn(*device_);
    const std::lock_guard<std::mutex> held(making_);
    DeviceBuffer<double>& rows = rows_[comparator];
    if (!rows.get()) {
        DeviceBuffer<double> made(*device_, given_.count * pairs_, "targets");
        made_whole(comparator, {}).standardised(0, given_.count, made.get());
        device_->finish("standardising targets");
        rows = std::move(made);
    }
    return rows.get();
}

void LoadedTargets::compare(const double* similarities, Comparator comparator, TieScale scale, double* out) {
    const Device::Turn turn(*device_);
    const DeviceBuffer<double> given(*device_, similarities, pairs_, "similarities");
    const DeviceBuffer<double> alignments(*device_, given_.count, "alignments");
    whole(comparator, scale).compared({0, given_.count, nullptr, given.get(), 0, 1}, true, alignments.get(), nullptr);
    alignments.download(out);
}

std::unique_ptr<EngineTargets> load(std::shared_ptr<Device> device, const Targets& targets, int64_t stimuli, Form form,
                                    bool negated, const std::string& name) {
    return std::make_unique<LoadedTargets>(std::move(device), targets, stimuli, form, negated, name);
}

std::unique_ptr<EngineTargets> among(EngineTargets& loaded, int64_t all, Indices stimuli, const Targets& weights) {
    return std::make_unique<LoadedTargets>(static_cast<const LoadedTargets&>(loaded), all, stimuli, weights);
}

TargetsAmong::TargetsAmong(Device& device, const LoadedTargets& loaded, Indices positions, const double* weights,
                           const int64_t* weight_of, int64_t patterns, int64_t targets, Comparator comparator, TieScale scale,
                           int64_t stimuli)
    : device_(device),
      loaded_(loaded),
      pairs_(positions.count),
      count_(targets),
      stimuli_(stimuli),
      comparator_(comparator),
      scale_(scale),
      positions_(device, positions.values, positions.count, "pairs"),
      weights_(device, weights, patterns * positions.count, "weights"),
      weight_of_(device, weights ? weight_of : nullptr, targets, "weight patterns") {}

TargetRows TargetsAmong::rows_from(int64_t first) const {
    const int64_t* pattern_of = weights_.get() ? weight_of_.get() + first : nullptr;
    return {loaded_.row(first), loaded_.pairs(), positions_.get(), pairs_, weights_.get(), pattern_of};
}

void TargetsAmong::standardised(int64_t first, int64_t count, double* rows) const {
    if (!by_moments(comparator_)) return standardise_vectors(device_, comparator_, stimuli_, rows_from(first), count, rows);
    const int64_t slices = slices_of(pairs_);
    constexpr std::size_t shared = threads * sizeof(double);
    const DeviceBuffer<double> sums(device_, slices * count * 2, "sums"), deviations(device_, slices * count * 2, "sums");
    launch(device_, "standardising targets", sum_up, grid_of(count, slices), threads, shared, rows_from(first), sums.get());
    launch(device_, "standardising targets", deviate, grid_of(count, slices), threads, shared, rows_from(first),
           is_centred(comparator_), sums.get(), deviations.get(), rows);
    launch(device_, "standardising targets", scale, grid_of(count, slices), threads, 0, pairs_, deviations.get(), rows);
}

void TargetsAmong::compared(const Comparison& with, bool strict, double* alignments, int64_t* undefined) const {
    if (!by_moments(comparator_))
        return compare_vectors(device_, comparator_, scale_, stimuli_, rows_from(with.first), with, strict, alignments,
                               undefined);
    const int64_t slices = slices_of(pairs_), places = with.count * with.spaces;
    constexpr std::size_t shared = threads * sizeof(double);
    const DeviceBuffer<double> sums(device_, slices * places * 4, "sums"), products(device_, slices * places * 5, "sums");
    const dim3 grid = grid_of(with.count, with.spaces, slices);
    launch(device_, "comparing", compare_means, grid, threads, shared, rows_from(with.first), with, sums.get());
    launch(device_, "comparing", compare_products, grid, threads, shared, rows_from(with.first), with, is_centred(comparator_),
           sums.get(), products.get());
    launch(device_, "comparing", compare_sums, grid_of((places + threads - 1) / threads), threads, 0, sums.get(), products.get(),
           slices, places, strict, alignments, undefined);
}

int64_t TargetsAmong::bytes_compared() const {
    return by_moments(comparator_) ? 8 * (4 + 5) * slices_of(pairs_) : 0;
}

bool TargetsAmong::any_constant() const {
    DeviceBuffer<int> found(device_, 1, "a flag");
    found.zero();
    launch(device_, "looking for constant targets", find_constant, grid_of(count_), threads, threads * sizeof(double),
           rows_from(0), found.get());
    int any = 0;
    found.download(&any);
    return any;
}

}  // namespace secateur::cuda
