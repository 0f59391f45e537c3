// Ranking rows of values, without their places: a row's keys are sorted alone, and then each value finds itself among them.
//   sort_tiles   a tile of keys in shared memory: nine a thread sorted in registers, then merged two by two, where a thread finds
//                by bisection which nine of the merged keys are its own (merge path)
//   merge_tiles  the same for runs longer than a tile, a tile of the merged ones a block
//   settle       ties: each key becomes the first of those it ties with, so that a value's ties are the keys equal to the last
//                one not above it; their counts
//   rank         the first and the last place of each value's ties, by bisection
// Kendall's pairs are counted by the same sort: of both ranks in one word, then of the second alone, where whatever a merge
// takes from the second run goes past what is left of the first. All counts are whole numbers, and no bit depends on an order.
#include <cmath>
#include <type_traits>

#include "ranks.hpp"

namespace secateur::cuda {

namespace {

constexpr int each = 9;  // keys a thread: odd, so that threads meet different banks
constexpr int most_sorters = 512, tile = most_sorters * each;

// Values; two ranks in a word; the second of them, whose swaps are counted.
enum class Kind { values, both, second };
template <Kind kind>
using Key = std::conditional_t<kind == Kind::values, double, uint64_t>;
template <Kind kind>
__device__ Key<kind> last_of_all() {
    if constexpr (kind == Kind::values)
        return INFINITY;
    else
        return ~uint64_t{0};
}

struct Job {
    const double* values;   // (rows, pitch)
    const int64_t* counts;  // (rows), or nullptr: `count`
    int64_t count, pitch;
    uint64_t *from, *to;  // (rows, pitch) keys
    int64_t width;        // of the runs that are merged
    double share;
    int rooted, normalised;
    char* undefined;
    unsigned long long* swaps;
    int32_t* ranks;
    double* squares;
    int64_t* tied;
    const int32_t* other;
    const int64_t* which;
    int64_t stride;
    __device__ int64_t count_of(int64_t row) const { return counts ? counts[row] : count; }
};

template <class Whole>
__device__ Whole least(Whole a, Whole b) {
    return a < b ? a : b;
}

// How many of the first `of` merged keys come from the first list; of equal keys, those come first.
template <class K, class Whole>
__device__ Whole from_first(const K* a, Whole a_count, const K* b, Whole b_count, Whole of) {
    Whole low = of > b_count ? of - b_count : 0, high = least(of, a_count);
    while (low < high) {
        const Whole middle = (low + high) / 2;
        if (b[of - 1 - middle] < a[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

// The merged keys behind the first `of`; `beyond`: keys of the first list behind its `a_count`.
template <class K, bool counted>
__device__ void merge(const K* a, int a_count, const K* b, int b_count, int of, int64_t beyond, K (&own)[each],
                      unsigned long long& swaps) {
    int i = from_first(a, a_count, b, b_count, of), j = of - i;
#pragma unroll
    for (int k = 0; k < each; ++k) {
        const bool second = j < b_count && (i >= a_count || b[j] < a[i]);
        if (counted && second) swaps += static_cast<unsigned long long>(a_count - i + beyond);
        if (second)
            own[k] = b[j++];
        else if (i < a_count)
            own[k] = a[i++];
    }
}

// to: the tile (blockIdx.x) of a row (blockIdx.y), sorted.
template <Kind kind>
__global__ void __launch_bounds__(most_sorters) sort_tiles(Job job) {
    using K = Key<kind>;
    constexpr bool counted = kind == Kind::second;
    K* keys = reinterpret_cast<K*>(block_memory);  // (blockDim.x * each)
    const int size = static_cast<int>(blockDim.x) * each, begin = static_cast<int>(threadIdx.x) * each;
    const int64_t row = blockIdx.y, count = job.count_of(row), first = int64_t{blockIdx.x} * size, at = row * job.pitch + first;
    if (first >= count) return;  // the whole block
    const int filled = static_cast<int>(least(int64_t{size}, count - first));
    for (int k = threadIdx.x; k < size; k += blockDim.x) {
        K key = last_of_all<kind>();
        if (k < filled) {
            if constexpr (kind == Kind::values) {
                const double value = ranked_by(job.values[at + k], job.rooted);
                if (std::isnan(value))
                    job.undefined[row] = 1;  // whoever writes, writes the same
                else
                    key = value;
            } else {
                key = kind == Kind::both ? job.from[at + k] : job.from[at + k] & 0xffffffffu;
            }
        }
        keys[k] = key;
    }
    __syncthreads();
    K own[each];
    unsigned long long swaps = 0;
#pragma unroll
    for (int k = 0; k < each; ++k) own[k] = keys[begin + k];
#pragma unroll
    for (int round = 0; round < each; ++round)
#pragma unroll
        for (int k = round % 2; k + 1 < each; k += 2) {
            const K low = own[k], high = own[k + 1];
            const bool swapped = high < low;
            own[k] = swapped ? high : low;
            own[k + 1] = swapped ? low : high;
            if constexpr (counted) swaps += swapped;
        }
    for (int width = each; width < size; width *= 2) {
        __syncthreads();
#pragma unroll
        for (int k = 0; k < each; ++k) keys[begin + k] = own[k];
        __syncthreads();
        const int start = begin / (2 * width) * (2 * width), middle = least(start + width, size),
                  end = least(middle + width, size);
        merge<K, counted>(keys + start, middle - start, keys + middle, end - middle, begin - start, 0, own, swaps);
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < each; ++k) keys[begin + k] = own[k];
    __syncthreads();
    K* to = reinterpret_cast<K*>(job.to);
    for (int k = threadIdx.x; k < filled; k += blockDim.x) to[at + k] = keys[k];
    if (counted && swaps) atomicAdd(&job.swaps[row], swaps);
}

// to: runs of job.width keys of `from`, merged two by two; a tile of them (blockIdx.x) of a row (blockIdx.y).
template <Kind kind>
__global__ void __launch_bounds__(most_sorters) merge_tiles(Job job) {
    using K = Key<kind>;
    constexpr bool counted = kind == Kind::second;
    K* keys = reinterpret_cast<K*>(block_memory);              // (tile)
    int64_t* split = reinterpret_cast<int64_t*>(keys + tile);  // (2)
    const int64_t row = blockIdx.y, count = job.count_of(row), first = int64_t{blockIdx.x} * tile;
    if (first >= count) return;  // the whole block
    const int64_t start = first / (2 * job.width) * (2 * job.width), middle = least(start + job.width, count),
                  end = least(middle + job.width, count), of = first - start, to_end = least(of + tile, end - start);
    const K *a = reinterpret_cast<const K*>(job.from) + row * job.pitch + start, *b = a + (middle - start);
    if (threadIdx.x < 2) split[threadIdx.x] = from_first(a, middle - start, b, end - middle, threadIdx.x ? to_end : of);
    __syncthreads();
    const int64_t a_from = split[0], a_to = split[1], b_from = of - a_from;
    const int total = static_cast<int>(to_end - of), a_count = static_cast<int>(a_to - a_from), begin = threadIdx.x * each;
    for (int k = threadIdx.x; k < total; k += blockDim.x) keys[k] = k < a_count ? a[a_from + k] : b[b_from + k - a_count];
    __syncthreads();
    K own[each];
    unsigned long long swaps = 0;
    if (begin < total)
        merge<K, counted>(keys, a_count, keys + a_count, total - a_count, begin, middle - start - a_to, own, swaps);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < each; ++k)
        if (begin + k < total) keys[begin + k] = own[k];
    __syncthreads();
    K* to = reinterpret_cast<K*>(job.to) + row * job.pitch + first;
    for (int k = threadIdx.x; k < total; k += blockDim.x) to[k] = keys[k];
    if (counted && swaps) atomicAdd(&job.swaps[row], swaps);
}

// Of the values of the threads before this one the highest, or 0; and that of all.
__device__ inline uint32_t highest_before(uint32_t value, uint32_t* shared, uint32_t& of_all) {
    shared[threadIdx.x] = value;
    __syncthreads();
    for (unsigned step = 1; step < blockDim.x; step *= 2) {
        const uint32_t before = threadIdx.x >= step ? shared[threadIdx.x - step] : 0;
        __syncthreads();
        shared[threadIdx.x] = shared[threadIdx.x] < before ? before : shared[threadIdx.x];
        __syncthreads();
    }
    const uint32_t before = threadIdx.x > 0 ? shared[threadIdx.x - 1] : 0;
    of_all = shared[blockDim.x - 1];
    __syncthreads();
    return before;
}

// One block a row of sorted keys (`to`), blockDim.x a power of two: pairs that tie; of values the ranks' squares, and each key
// becomes the first of its ties.
template <Kind kind>
__global__ void __launch_bounds__(most_sorters) settle(Job job) {
    using K = Key<kind>;
    constexpr bool of_values = kind == Kind::values;
    const int size = static_cast<int>(blockDim.x) * each, begin = static_cast<int>(threadIdx.x) * each;
    K* keys = reinterpret_cast<K*>(block_memory);                       // (size + 2): a tile, with the keys before and behind it
    int64_t* sums = reinterpret_cast<int64_t*>(keys + size + 2);        // (blockDim.x)
    uint32_t* starts = reinterpret_cast<uint32_t*>(sums + blockDim.x);  // (blockDim.x)
    const int64_t row = blockIdx.x, count = job.count_of(row);
    K* all = reinterpret_cast<K*>(job.to) + row * job.pitch;
    double tolerance = 0, squares = 0;
    if constexpr (of_values)
        if (count > 0) tolerance = job.share * (job.normalised ? 1.0 : fmax(std::fabs(all[0]), std::fabs(all[count - 1])));
    const auto alike = [&](K low, K high) {
        if constexpr (of_values)
            return tied(low, high, tolerance);
        else
            return low == high;
    };
    int64_t pairs = 0, open = 0;  // where the ties begin that reach into the tile
    K before{};
    for (int64_t first = 0; first < count; first += size) {
        const int filled = static_cast<int>(least(int64_t{size}, count - first));
        for (int k = threadIdx.x; k < size + 2; k += blockDim.x)
            if (k == 0)
                keys[0] = before;
            else if (first + k - 1 < count)
                keys[k] = all[first + k - 1];
        __syncthreads();
        const auto begins = [&](int k) { return first + k == 0 || !alike(keys[k], keys[k + 1]); };
        uint32_t last = 0, last_of_tile;  // one more than where ties begin
#pragma unroll
        for (int k = 0; k < each; ++k)
            if (begin + k < filled && begins(begin + k)) last = static_cast<uint32_t>(first + begin + k + 1);
        const uint32_t seen = highest_before(last, starts, last_of_tile);
        int64_t start = seen ? int64_t{seen} - 1 : open;
        [[maybe_unused]] K heads[each];
#pragma unroll
        for (int k = 0; k < each; ++k) {
            const int64_t at = first + begin + k;
            if (begin + k >= filled) continue;
            if (begins(begin + k)) start = at;
            if constexpr (of_values) heads[k] = start >= first ? keys[start - first + 1] : all[start];
            if (at + 1 < count && alike(keys[begin + k + 1], keys[begin + k + 2])) continue;
            pairs += pairs_among(at + 1 - start);
            squares += squares_of_ranks(static_cast<double>(at + 1 - start));
        }
        if (last_of_tile) open = int64_t{last_of_tile} - 1;
        before = keys[size];
        __syncthreads();
        if constexpr (of_values) {
#pragma unroll
            for (int k = 0; k < each; ++k)
                if (begin + k < filled) keys[begin + k] = heads[k];
            __syncthreads();
            for (int k = threadIdx.x; k < filled; k += blockDim.x) all[first + k] = keys[k];
            __syncthreads();
        }
    }
    pairs = over_block(pairs, sums, [](int64_t a, int64_t b) { return a + b; });
    if constexpr (of_values) squares = over_block(squares, reinterpret_cast<double*>(sums), plus);
    if (threadIdx.x != 0) return;
    job.tied[row] = pairs;
    if constexpr (of_values) job.squares[row] = squares_of_ranks(static_cast<double>(count)) - squares;
}

// ranks: of the values (blockIdx.x: some of them) of a row (blockIdx.y) whose keys are settled.
__global__ void __launch_bounds__(most_sorters) rank(Job job) {
    double* staged = reinterpret_cast<double*>(block_memory);  // (count), where that is no more than a tile
    const int64_t row = blockIdx.y, count = job.count_of(row), first = int64_t{blockIdx.x} * tile;
    if (first >= count) return;  // the whole block
    const double* sorted = reinterpret_cast<const double*>(job.to) + row * job.pitch;
    if (count <= tile) {
        for (int64_t k = threadIdx.x; k < count; k += blockDim.x) staged[k] = sorted[k];
        __syncthreads();
        sorted = staged;
    }
    const bool undefined = job.undefined[row];
    const int64_t end = least(first + tile, count);
    for (int64_t p = first + threadIdx.x; p < end; p += blockDim.x) {
        const double value = undefined ? INFINITY : ranked_by(job.values[row * job.pitch + p], job.rooted);
        int64_t to = 0, above = count;  // where keys above the value begin
        while (to < above) {
            const int64_t middle = (to + above) / 2;
            if (value < sorted[middle])
                above = middle;
            else
                to = middle + 1;
        }
        int64_t from = to - 1;
        const double head = sorted[from < 0 ? 0 : from];
        if (from > 0 && sorted[from - 1] == head) {
            int64_t low = 0;
            while (low < from) {
                const int64_t middle = (low + from) / 2;
                if (sorted[middle] < head)
                    low = middle + 1;
                else
                    from = middle;
            }
        }
        job.ranks[row * job.pitch + p] = static_cast<int32_t>(from + to - count);
    }
}

// to: both ranks in a word, a row's own in its upper half.
__global__ void put_together(Job job) {
    const int64_t k = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, row = blockIdx.y, count = job.count_of(row);
    if (k >= count) return;
    const int32_t own = job.ranks[row * job.pitch + k], other = job.other[(job.which ? job.which[row] : row) * job.stride + k];
    job.to[row * job.pitch + k] = static_cast<uint64_t>(own + count) << 32 | static_cast<uint64_t>(other + count);
}

int64_t sorters_for(int64_t count) {
    return rounded_up(count < tile ? (count + each - 1) / each : most_sorters, 32);
}
int64_t settlers_for(int64_t count) {
    int64_t threads = 32;
    while (threads < most_sorters && threads * each < count) threads *= 2;
    return threads;
}

template <Kind kind>
void sort(Device& device, Job& job, int64_t rows) {
    const int64_t sorters = sorters_for(job.pitch), tiles = (job.pitch + tile - 1) / tile;
    uint64_t* spare = job.from;
    if constexpr (kind != Kind::values) job.from = job.to;  // in place: a block reads its tile before it writes
    launch(device, "sorting", sort_tiles<kind>, grid_of(tiles, rows), sorters, sorters * each * sizeof(uint64_t), job);
    job.from = spare;
    for (job.width = tile; job.width < job.pitch; job.width *= 2) {
        std::swap(job.from, job.to);
        launch(device, "merging", merge_tiles<kind>, grid_of(tiles, rows), most_sorters, (tile + 2) * sizeof(uint64_t), job);
    }
}

template <Kind kind>
void settle_rows(Device& device, const Job& job, int64_t rows) {
    const int64_t threads = settlers_for(job.pitch);
    launch(device, "finding ties", settle<kind>, grid_of(rows), threads,
           (threads * each + 2 + threads) * sizeof(uint64_t) + threads * sizeof(uint32_t), job);
}

}  // namespace

Ranks::Ranks(Device& device, int64_t rows, int64_t pitch)
    : device_(device),
      pitch_(pitch),
      keys_(device, rows * pitch, "keys"),
      merged_(device, pitch > tile ? rows * pitch : 0, "keys"),
      ranks_(device, rows * pitch, "ranks"),
      squares_(device, rows, "squares of ranks"),
      tied_(device, rows, "counts"),
      tied_in_both_(device, rows, "counts"),
      undefined_(device, rows, "flags"),
      discordant_(device, rows, "counts") {}

RankedRows Ranks::of(const double* values, int64_t rows, const int64_t* counts, int64_t count, const Ties& ties) {
    rows_ = rows;
    counts_ = counts;
    count_ = count;
    Job job{};
    job.values = values;
    job.counts = counts;
    job.count = count;
    job.pitch = pitch_;
    job.from = merged_.get();
    job.to = keys_.get();
    job.share = ties.share;
    job.rooted = ties.scale.rooted;
    job.normalised = ties.scale.normalised;
    job.undefined = undefined_.get();
    job.ranks = ranks_.get();
    job.squares = squares_.get();
    job.tied = tied_.get();
    undefined_.zero();
    sort<Kind::values>(device_, job, rows);
    settle_rows<Kind::values>(device_, job, rows);
    launch(device_, "ranking", rank, grid_of((pitch_ + tile - 1) / tile, rows), sorters_for(pitch_),
           (pitch_ < tile ? pitch_ : tile) * sizeof(double), job);
    return {ranks_.get(), squares_.get(), tied_.get(), undefined_.get()};
}

OrderCounts Ranks::against(const int32_t* other, const int64_t* which, int64_t stride) {
    Job job{};
    job.counts = counts_;
    job.count = count_;
    job.pitch = pitch_;
    job.from = merged_.get();
    job.to = keys_.get();
    job.swaps = discordant_.get();
    job.ranks = ranks_.get();
    job.tied = tied_in_both_.get();
    job.other = other;
    job.which = which;
    job.stride = stride;
    discordant_.zero();
    launch(device_, "putting ranks together", put_together, grid_of((pitch_ + 255) / 256, rows_), 256, 0, job);
    sort<Kind::both>(device_, job, rows_);
    settle_rows<Kind::both>(device_, job, rows_);
    sort<Kind::second>(device_, job, rows_);
    return {tied_in_both_.get(), discordant_.get()};
}

}  // namespace secateur::cuda
