// Inner products (or squared distances) of all stimuli over a subset of features.
#include <algorithm>
#include <cmath>
#include <vector>

#include "device.hpp"

namespace secateur::cuda {

namespace {

constexpr int tile = 16, depth = 32, slice_length = 1024;

// One block a stimulus and list: the mean over the list in two passes, so that a large common mean costs no digits; a constant row's
// is exact.
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
    const double first = over_block(total, shared, [](double a, double b) { return a + b; }) / static_cast<double>(count);
    double rest = 0;
    for (int64_t s = threadIdx.x; s < count; s += blockDim.x) rest += row[subset[s]] - first;
    rest = over_block(rest, shared, [](double a, double b) { return a + b; });
    if (threadIdx.x == 0) mean[int64_t{blockIdx.y} * gridDim.x + blockIdx.x] = low < high ? first + rest / static_cast<double>(count) : count > 0 ? low : 0.0;
}

// One block a 16 x 16 tile of pairs and slice of a list. sums: (slices, lists, pairs + stimuli).
template <bool difference>
__global__ void __launch_bounds__(tile* tile)
    products(const double* x, int64_t features, int64_t n, Lists lists, int64_t slices, const double* means, double* sums) {
    if (blockIdx.y < blockIdx.x) return;  // the whole block: below the diagonal
    double(*rows)[depth + 1] = reinterpret_cast<double(*)[depth + 1]>(block_memory);
    double(*columns)[depth + 1] = rows + tile;
    const int at = threadIdx.x % tile, other = threadIdx.x / tile;
    const int64_t i = int64_t{blockIdx.x} * tile + other, j = int64_t{blockIdx.y} * tile + at;
    const int64_t list = blockIdx.z % lists.count, slice = blockIdx.z / lists.count, count = lists.lengths[list];
    const int64_t from = slice * slice_length, to = slice + 1 < slices ? min(from + slice_length, count) : count;
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
        for (int k = 0; k < depth; ++k) {
            const double a = rows[other][k], b = columns[at][k];
            sum += difference ? (a - b) * (a - b) : a * b;
        }
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

}  // namespace

void add_up(Device& device, const Features& x, Metric metric, Lists lists, double* mean, double* sums, int64_t slices) {
    const int64_t n = x.stimuli, size = x.pairs() + n, tiles = (n + tile - 1) / tile;
    if (metric == Metric::correlation)
        launch(device, "taking means", means, grid_of(n, lists.count), 64, 64 * sizeof(double), x.values, x.count, lists, mean);
    constexpr std::size_t shared = 2 * tile * (depth + 1) * sizeof(double);
    launch(device, "taking inner products", is_distance(metric) ? products<true> : products<false>,
           grid_of(tiles, tiles, slices * lists.count), tile * tile, shared, x.values, x.count, n, lists, slices,
           metric == Metric::correlation ? mean : nullptr, sums);
    if (slices > 1)
        launch(device, "adding inner products", add_slices, grid_of((lists.count * size + 255) / 256), 256, 0, sums,
               lists.count * size, slices);
}

void space(Device& device, const Features& x, Metric metric, Indices subset, double* pair, double* own, double* mean) {
    const int64_t n = x.stimuli, pairs = x.pairs(), size = pairs + n;
    const int64_t slices = std::max<int64_t>(1, (subset.count + slice_length - 1) / slice_length);
    const DeviceBuffer<int64_t> chosen(device, subset.values, subset.count, "a subset"), length(device, &subset.count, 1, "its length");
    const DeviceBuffer<double> sums(device, slices * size, "inner products"),
        centre(device, metric == Metric::correlation ? n : 0, "means");
    add_up(device, x, metric, {chosen.get(), length.get(), 1, subset.count}, centre.get(), sums.get(), slices);
    std::vector<double> all(size);
    sums.download(all.data(), 1, size, size);
    std::copy_n(all.data(), pairs, pair);
    std::copy_n(all.data() + pairs, n, own);
    for (int64_t i = 0; i < n; ++i) mean[i] = 0;
    if (centre.get()) centre.download(mean);
}

}  // namespace secateur::cuda
