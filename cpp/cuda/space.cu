// Sums over a subset of features of all pairs of stimuli, as the metric's rule has them.
#include <algorithm>
#include <cmath>
#include <vector>

#include "space.hpp"
#include "verbs.hpp"

namespace secateur::cuda {

namespace {

constexpr int tile = 16, depth = 32;
constexpr int64_t slice_length = 1024, most_slices = 1024, batch_bytes = 1 << 30, most_in_a_batch = 32768;

// One block a stimulus and list: the mean over the list in two passes, so that a large common mean costs no digits; a constant
// row's is exact.
__global__ void means(const double* x, int64_t features, Lists lists, double* mean) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const double* row = x + blockIdx.x * features;
    const int64_t* subset = lists.features + blockIdx.y * lists.stride;
    const int64_t count = lists.lengths[blockIdx.y];
    double low = INFINITY, high = -INFINITY, total = 0;
    for (int64_t s = threadIdx.x; s < count; s += blockDim.x) {
        const double value = row[subset[s]];
        low = fmin(low, value);
        high = fmax(high, value);
        total += value;
    }
    low = over_block(low, shared, [](double a, double b) { return fmin(a, b); });
    high = over_block(high, shared, [](double a, double b) { return fmax(a, b); });
    const double first = over_block(total, shared, plus) / static_cast<double>(count);
    double rest = 0;
    for (int64_t s = threadIdx.x; s < count; s += blockDim.x) rest += row[subset[s]] - first;
    rest = over_block(rest, shared, plus);
    if (threadIdx.x == 0)
        mean[int64_t{blockIdx.y} * gridDim.x + blockIdx.x] = low < high  ? first + rest / static_cast<double>(count)
                                                             : count > 0 ? low
                                                                         : 0.0;
}

// One block a 16 x 16 tile of pairs and slice of a list. sums: (slices, lists, pairs + stimuli).
template <class Rule>
__global__ void __launch_bounds__(tile* tile)
    products(const double* x, int64_t features, int64_t n, Lists lists, int64_t slices, const double* means, double* sums) {
    if (blockIdx.y < blockIdx.x) return;  // the whole block: below the diagonal
    double (*rows)[depth + 1] = reinterpret_cast<double (*)[depth + 1]>(block_memory);
    double (*columns)[depth + 1] = rows + tile;
    const int at = threadIdx.x % tile, other = threadIdx.x / tile;
    const int64_t i = int64_t{blockIdx.x} * tile + other, j = int64_t{blockIdx.y} * tile + at;
    const int64_t list = blockIdx.z % lists.count, slice = blockIdx.z / lists.count, count = lists.lengths[list];
    const int64_t each = rounded_up((count + slices - 1) / slices, depth), from = min(slice * each, count),
                  to = min(from + each, count);
    const int64_t* subset = lists.features + list * lists.stride;
    const double* mean = means ? means + list * n : nullptr;
    double sum = 0;
    for (int64_t start = from; start < to; start += depth) {
        for (int place = threadIdx.x; place < 2 * tile * depth; place += tile * tile) {
            const int k = place % depth, row = place / depth;
            const int64_t stimulus = (row < tile ? int64_t{blockIdx.x} * tile : int64_t{blockIdx.y} * tile - tile) + row;
            rows[row][k] =
                stimulus < n && start + k < to ? x[stimulus * features + subset[start + k]] - (mean ? mean[stimulus] : 0.0) : 0.0;
        }
        __syncthreads();
#pragma unroll 8
        for (int k = 0; k < depth; ++k) sum = Rule::template moved<1>(sum, rows[other][k], columns[at][k]);
        __syncthreads();
    }
    const int64_t pairs = n * (n - 1) / 2;
    if (i <= j && j < n) sums[blockIdx.z * (pairs + n) + (i == j ? pairs + i : row_start(i, n) + j - i - 1)] = sum;
}

__global__ void add_slices(double* sums, int64_t size, int64_t slices) {
    const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (at >= size) return;
    for (int64_t s = 1; s < slices; ++s) sums[at] += sums[s * size + at];
}

// sums (lists, pairs + stimuli) -> similarities (lists, pairs), NaN where undefined.
template <class Rule>
__global__ void finish(const double* sums, int64_t n, double* similarities) {
    const int64_t i = blockIdx.y, j = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, pairs = n * (n - 1) / 2;
    if (j <= i || j >= n) return;
    const double *pair = sums + blockIdx.z * (pairs + n), *own = pair + pairs;
    const int64_t p = row_start(i, n) + j - i - 1;
    similarities[blockIdx.z * pairs + p] = similarity_of<Rule>(pair[p], inverse_norm(own[i]), inverse_norm(own[j]));
}

}  // namespace

Spaces::Spaces(Device& device, const Features& x, Metric metric, int64_t lists, int64_t beside, bool in_slices)
    : device_(device), x_(x), metric_(metric) {
    const int64_t n = x.stimuli, pairs = x.pairs(), size = pairs + n, each = 8 * (size + pairs + n) + beside;
    slices_ = in_slices ? std::clamp<int64_t>((x.count + slice_length - 1) / slice_length, 1, most_slices) : 1;
    const auto room = static_cast<int64_t>(device.available_bytes() / 3);
    at_once_ = std::clamp<int64_t>(std::min(batch_bytes, room) / each, 1, std::min(lists, most_in_a_batch));
    sums_ = DeviceBuffer<double>(device, slices_ * at_once_ * size, "inner products");
    means_ = DeviceBuffer<double>(device, traits_of(metric).centred ? at_once_ * n : 0, "means");
    similarities_ = DeviceBuffer<double>(device, at_once_ * pairs, "similarities");
}

void Spaces::add_up(Lists lists) {
    const int64_t n = x_.stimuli, size = x_.pairs() + n, tiles = (n + tile - 1) / tile;
    if (means_.get())
        launch(device_, "taking means", means, grid_of(n, lists.count), 64, 64 * sizeof(double), x_.values, x_.count, lists,
               means_.get());
    constexpr std::size_t shared = 2 * tile * (depth + 1) * sizeof(double);
    with_rule(metric_, [&](auto rule) {
        launch(device_, "taking inner products", products<decltype(rule)>, grid_of(tiles, tiles, slices_ * lists.count),
               tile * tile, shared, x_.values, x_.count, n, lists, slices_, means_.get(), sums_.get());
    });
    if (slices_ > 1)
        launch(device_, "adding inner products", add_slices, grid_of((lists.count * size + 255) / 256), 256, 0, sums_.get(),
               lists.count * size, slices_);
}

const double* Spaces::of(Lists lists) {
    const int64_t n = x_.stimuli;
    add_up(lists);
    with_rule(metric_, [&](auto rule) {
        launch(device_, "taking similarities", finish<decltype(rule)>, grid_of((n + 127) / 128, n, lists.count), 128, 0,
               sums_.get(), n, similarities_.get());
    });
    return similarities_.get();
}

void Spaces::sums_of(Lists list, double* pair, double* own, double* mean) {
    const int64_t n = x_.stimuli, pairs = x_.pairs(), size = pairs + n;
    add_up(list);
    std::vector<double> all(size);
    sums_.download(all.data(), 1, size, size);
    std::copy_n(all.data(), pairs, pair);
    std::copy_n(all.data() + pairs, n, own);
    for (int64_t i = 0; i < n; ++i) mean[i] = 0;
    if (means_.get()) means_.download(mean);
}

void space(Device& device, const Features& x, Metric metric, Indices subset, double* pair, double* own, double* mean) {
    const DeviceBuffer<int64_t> chosen(device, subset.values, subset.count, "a subset"),
        length(device, &subset.count, 1, "its length");
    Spaces(device, x, metric, 1, 0, true).sums_of({chosen.get(), length.get(), 1, subset.count}, pair, own, mean);
}

}  // namespace secateur::cuda
