// Sums over a subset of features of all pairs of stimuli, as the metric's rule has them.
#include <algorithm>
#include <cmath>
#include <vector>

#include "space.hpp"
#include "verbs.hpp"

namespace secateur::cuda {

namespace {

constexpr int across = 16;  // threads
constexpr int64_t slice_length = 1024, most_blocks = 4096, batch_bytes = 1 << 30, most_in_a_batch = 32768;
constexpr int64_t few_stimuli = 96;  // up to so many a thread has one pair, and a block 16 x 16
// Features at a time.
HOST_DEVICE constexpr int depth_of(int each) {
    return each == 1 ? 32 : 16;
}

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

// One block a tile of pairs and slice of a list, each x each pairs a thread, 16 stimuli apart. sums: (slices, lists, pairs +
// stimuli). A pair's features are added in their order, whatever the tile.
template <class Rule, int each>
__global__ void __launch_bounds__(across* across, 2)
    products(const double* x, int64_t features, int64_t n, Lists lists, int64_t slices, const double* means, double* sums) {
    constexpr int tile = across * each, depth = depth_of(each);
    if (blockIdx.y < blockIdx.x) return;  // the whole block: below the diagonal
    double (*rows)[depth + 1] = reinterpret_cast<double (*)[depth + 1]>(block_memory);
    double (*columns)[depth + 1] = rows + tile;
    const int at = threadIdx.x % across, other = threadIdx.x / across;
    const int64_t first = int64_t{blockIdx.x} * tile, second = int64_t{blockIdx.y} * tile;
    const int64_t list = blockIdx.z % lists.count, slice = blockIdx.z / lists.count, count = lists.lengths[list];
    const int64_t length = rounded_up((count + slices - 1) / slices, depth), from = min(slice * length, count),
                  to = min(from + length, count);
    const int64_t* subset = lists.features + list * lists.stride;
    const double* mean = means ? means + list * n : nullptr;
    double sum[each][each] = {};
    for (int64_t start = from; start < to; start += depth) {
        for (int place = threadIdx.x; place < 2 * tile * depth; place += across * across) {
            const int k = place % depth, row = place / depth;
            const int64_t stimulus = row < tile ? first + row : second + row - tile;
            rows[row][k] =
                stimulus < n && start + k < to ? x[stimulus * features + subset[start + k]] - (mean ? mean[stimulus] : 0.0) : 0.0;
        }
        __syncthreads();
#pragma unroll 8
        for (int k = 0; k < depth; ++k) {
            double a[each], b[each];
#pragma unroll
            for (int p = 0; p < each; ++p) {
                a[p] = rows[other + p * across][k];
                b[p] = columns[at + p * across][k];
            }
#pragma unroll
            for (int p = 0; p < each; ++p)
#pragma unroll
                for (int q = 0; q < each; ++q) sum[p][q] = Rule::template moved<1>(sum[p][q], a[p], b[q]);
        }
        __syncthreads();
    }
    const int64_t pairs = n * (n - 1) / 2;
#pragma unroll
    for (int p = 0; p < each; ++p)
#pragma unroll
        for (int q = 0; q < each; ++q) {
            const int64_t i = first + other + p * across, j = second + at + q * across;
            if (i <= j && j < n) sums[blockIdx.z * (pairs + n) + (i == j ? pairs + i : row_start(i, n) + j - i - 1)] = sum[p][q];
        }
}

__global__ void add_to_first(double* sums, int64_t size, int64_t slices) {
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

void add_slices(Device& device, double* sums, int64_t size, int64_t slices) {
    if (slices > 1) launch(device, "adding sums", add_to_first, grid_of((size + 255) / 256), 256, 0, sums, size, slices);
}

Spaces::Spaces(Device& device, const Features& x, Metric metric, int64_t lists, int64_t beside, bool in_slices)
    : device_(device), x_(x), metric_(metric) {
    const int64_t n = x.stimuli, pairs = x.pairs(), size = pairs + n, each = 8 * (size + pairs + n) + beside;
    const int64_t tiles = (n + across - 1) / across, most_slices = std::max<int64_t>(1, most_blocks / (tiles * (tiles + 1) / 2));
    slices_ = in_slices ? std::clamp<int64_t>((x.count + slice_length - 1) / slice_length, 1, most_slices) : 1;
    expect_room(device, each + 8 * (slices_ - 1) * size, "similarities of all pairs");
    const auto room = static_cast<int64_t>(device.available_bytes() / 3);
    at_once_ = std::clamp<int64_t>(std::min(batch_bytes, room) / each, 1, std::min(lists, most_in_a_batch));
    sums_ = DeviceBuffer<double>(device, slices_ * at_once_ * size, "inner products");
    means_ = DeviceBuffer<double>(device, traits_of(metric).centred ? at_once_ * n : 0, "means");
    similarities_ = DeviceBuffer<double>(device, at_once_ * pairs, "similarities");
}

void Spaces::add_up(Lists lists) {
    const int64_t n = x_.stimuli, size = x_.pairs() + n;
    if (means_.get())
        launch(device_, "taking means", means, grid_of(n, lists.count), 64, 64 * sizeof(double), x_.values, x_.count, lists,
               means_.get());
    with_rule(metric_, [&](auto rule) {
        using Rule = decltype(rule);
        const auto run = [&](auto kernel, int each) {
            const int64_t tile = across * each, tiles = (n + tile - 1) / tile;
            launch(device_, "taking inner products", kernel, grid_of(tiles, tiles, slices_ * lists.count), across * across,
                   2 * tile * (depth_of(each) + 1) * sizeof(double), x_.values, x_.count, n, lists, slices_, means_.get(),
                   sums_.get());
        };
        n <= few_stimuli ? run(products<Rule, 1>, 1) : run(products<Rule, 4>, 4);
    });
    add_slices(device_, sums_.get(), lists.count * size, slices_);
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

SpaceThere Spaces::whole(Lists list) {
    const double* similarities = of(list);
    return {sums_.get(), sums_.get() + x_.pairs(), means_.get(), similarities};
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
