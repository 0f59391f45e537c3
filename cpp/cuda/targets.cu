// Targets on the device: standardised among some stimuli, and compared with similarities.
#include <cmath>
#include <sstream>

#include "targets.hpp"
#include "vectors.hpp"

namespace secateur::cuda {

namespace {

constexpr int threads = 256;

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

// One block a target. rows (targets, pairs): w (h - mean) / norm over the pairs at these positions; NaN for a constant target.
__global__ void __launch_bounds__(threads) standardise(TargetRows from, bool centred, double* rows) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const int64_t t = blockIdx.x;
    const double* h = from.values + t * from.all_pairs;
    const double* w = from.weights ? from.weights + from.pattern_of[t] * from.pairs : nullptr;
    double mean = 0, total = 0, deviation = 0, squares = 0;
    if (centred) {
        for (int64_t p = threadIdx.x; p < from.pairs; p += threads) {
            const double weight = w ? w[p] : 1.0;
            total += weight;
            if (weight > 0) mean += weight * h[from.at ? from.at[p] : p];
        }
        total = over_block(total, shared, plus);
        mean = over_block(mean, shared, plus) / total;
    }
    for (int64_t p = threadIdx.x; p < from.pairs; p += threads) {
        const double weight = w ? w[p] : 1.0, value = weight > 0 ? h[from.at ? from.at[p] : p] : 0.0,
                     gap = weight > 0 ? value - mean : 0.0;
        deviation += weight * gap * gap;
        squares += weight * value * value;
        rows[t * from.pairs + p] = weight * gap;
    }
    deviation = over_block(deviation, shared, plus);
    squares = over_block(squares, shared, plus);
    const double scale = is_constant(deviation, squares) ? static_cast<double>(NAN) : 1 / std::sqrt(deviation);
    for (int64_t p = threadIdx.x; p < from.pairs; p += threads) rows[t * from.pairs + p] *= scale;
}

// One block a target and space (TargetsAmong::Comparison).
__global__ void __launch_bounds__(threads)
    compare(TargetRows from, TargetsAmong::Comparison with, bool centred, bool strict, double* alignments, int64_t* undefined) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const int64_t place = int64_t{blockIdx.y} * gridDim.x + blockIdx.x,
                  t = with.which ? with.which[blockIdx.x] : int64_t{blockIdx.x};
    const double *h = from.values + t * from.all_pairs,
                 *s = with.similarities + (with.stride ? blockIdx.x * with.stride : blockIdx.y * from.pairs);
    const double* w = from.weights ? from.weights + from.pattern_of[t] * from.pairs : nullptr;
    double total = 0, lost = 0, mean_h = 0, mean_s = 0;
    for (int64_t p = threadIdx.x; p < from.pairs; p += threads) {
        const double weight = w ? w[p] : 1.0;
        if (!(weight > 0)) continue;
        if (std::isnan(s[p])) {
            lost += 1;
            continue;
        }
        total += weight;
        mean_h += weight * h[from.at ? from.at[p] : p];
        mean_s += weight * s[p];
    }
    total = over_block(total, shared, plus);
    lost = over_block(lost, shared, plus);
    mean_h = over_block(mean_h, shared, plus) / total;
    mean_s = over_block(mean_s, shared, plus) / total;
    if (!centred) mean_h = mean_s = 0;
    double of_h[2] = {0, 0}, of_s[2] = {0, 0}, product = 0;  // squared deviations, squares
    for (int64_t p = threadIdx.x; p < from.pairs; p += threads) {
        const double weight = w ? w[p] : 1.0;
        if (!(weight > 0) || std::isnan(s[p])) continue;
        const double value = h[from.at ? from.at[p] : p], a = value - mean_h, b = s[p] - mean_s;
        of_h[0] += weight * a * a;
        of_h[1] += weight * value * value;
        of_s[0] += weight * b * b;
        of_s[1] += weight * s[p] * s[p];
        product += weight * a * b;
    }
    for (int m = 0; m < 2; ++m) {
        of_h[m] = over_block(of_h[m], shared, plus);
        of_s[m] = over_block(of_s[m], shared, plus);
    }
    product = over_block(product, shared, plus);
    if (threadIdx.x != 0) return;
    const bool none = !(total > 0) || (strict && lost > 0) || is_constant(of_h[0], of_h[1]) || is_constant(of_s[0], of_s[1]);
    alignments[place] = none ? static_cast<double>(NAN) : product / std::sqrt(of_h[0]) / std::sqrt(of_s[0]);
    if (undefined) undefined[place] = static_cast<int64_t>(lost);
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
      on_device_(form != Form::on_host),
      stimuli_(stimuli),
      pairs_(stimuli * (stimuli - 1) / 2) {
    const Device::Turn turn(*device_);
    const int64_t size = targets.count * pairs_;
    if (on_device_) expect_on_device(*device_, targets.values, name.c_str());
    values_ = DeviceBuffer<double>(*device_, form == Form::square ? nullptr : targets.values, size, "targets");
    if (form == Form::square) pack_squares(negated, name);
    if (negated) launch(*device_, "negating targets", negate, grid_of((size + 255) / 256), 256, 0, values_.get(), size);
    device_->finish("copying targets to the device");
    if (on_device_ && !all_finite(*device_, values_.get(), size)) expect_finite(name);
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

TargetsAmong LoadedTargets::among_all(Comparator comparator, TieScale scale) const {
    return {*device_,        *this,        {nullptr, pairs_}, given_.weights, given_.weight_of,
            given_.patterns, given_.count, comparator,        scale,          stimuli_};
}

const double* LoadedTargets::fetched() {
    if (!on_device_) return given_.values;
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

const double* LoadedTargets::standardised(Comparator comparator) {
    if (is_rank(comparator) && !given_.weights) return values_.get();
    const Device::Turn turn(*device_);
    DeviceBuffer<double>& rows = rows_[comparator];
    if (!rows.get()) {
        rows = DeviceBuffer<double>(*device_, given_.count * pairs_, "targets");
        among_all(comparator, {}).standardised(0, given_.count, rows.get());
        device_->finish("standardising targets");
    }
    return rows.get();
}

void LoadedTargets::compare(const double* similarities, Comparator comparator, TieScale scale, double* out) {
    const Device::Turn turn(*device_);
    const DeviceBuffer<double> given(*device_, similarities, pairs_, "similarities");
    const DeviceBuffer<double> alignments(*device_, given_.count, "alignments");
    among_all(comparator, scale).compared({0, given_.count, nullptr, given.get(), 0, 1}, true, alignments.get(), nullptr);
    alignments.download(out);
}

std::unique_ptr<EngineTargets> load(std::shared_ptr<Device> device, const Targets& targets, int64_t stimuli, Form form,
                                    bool negated, const std::string& name) {
    return std::make_unique<LoadedTargets>(std::move(device), targets, stimuli, form, negated, name);
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
    launch(device_, "standardising targets", standardise, grid_of(count), threads, threads * sizeof(double), rows_from(first),
           is_centred(comparator_), rows);
}

void TargetsAmong::compared(const Comparison& with, bool strict, double* alignments, int64_t* undefined) const {
    if (!by_moments(comparator_))
        return compare_vectors(device_, comparator_, scale_, stimuli_, rows_from(with.first), with, strict, alignments,
                               undefined);
    launch(device_, "comparing", compare, grid_of(with.count, with.spaces), threads, threads * sizeof(double),
           rows_from(with.first), with, is_centred(comparator_), strict, alignments, undefined);
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
