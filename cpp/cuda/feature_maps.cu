// Feature maps masked one by one, on the device: embeddings behind two rectified layers, and the similarities in many of them.
#include <algorithm>
#include <cmath>

#include "device.hpp"

namespace secateur::cuda {

namespace {

// A block's tile of the product: changed rows of one image x units of the second layer, so many moved units at a time.
constexpr int tall = 128, wide = 128, depth = 8, threads = 256;
constexpr int at_once = 32;             // moved units that are turned from rows to columns together
constexpr int64_t most_blocks = 65535;  // along a grid's second and third axis
constexpr int64_t bytes_at_once = 1 << 29;
constexpr double work_at_once = 1e12;  // multiply-adds between two looks for Ctrl-C: some tens of milliseconds

struct alignas(16) Four {
    float v[4];
};

struct MaskJob {
    const float *before, *removed, *weights, *after;
    float* out;
    // By row tile and image: how many units one of the tile's rows moves; which, ascending (pitch); how far each moves in each
    // row behind the rectifier (pitch, tall). Up to the next whole step -1 and 0 follow.
    int64_t* counts;
    int32_t* units;
    float* changes;
    int64_t rows, images, inputs, outputs, pitch, weights_pitch;
    int64_t first_row, first_image;  // of the blocks of this launch
    int64_t by_fours;                // whether rows of `out` begin where four floats are stored at once
};

__device__ inline float rectified(float v) {
    return v > 0 ? v : 0.0F;
}

// weights (outputs, inputs) -> by_unit (inputs, pitch), zero behind the last output: what a moved unit meets lies together.
__global__ void __launch_bounds__(threads)
    transpose(const float* weights, int64_t outputs, int64_t inputs, int64_t pitch, float* by_unit) {
    float (*tile)[33] = reinterpret_cast<float (*)[33]>(block_memory);
    const int64_t unit = int64_t{blockIdx.x} * 32, output = int64_t{blockIdx.y} * 32;
    const int lane = threadIdx.x % 32;
    for (int r = threadIdx.x / 32; r < 32; r += threads / 32)
        tile[r][lane] = output + r < outputs && unit + lane < inputs ? weights[(output + r) * inputs + unit + lane] : 0.0F;
    __syncthreads();
    for (int r = threadIdx.x / 32; r < 32; r += threads / 32)
        if (unit + r < inputs && output + lane < pitch) by_unit[(unit + r) * pitch + output + lane] = tile[lane][r];
}

// One block an image and row tile: the units where one of the tile's rows moves behind the rectifier, and how far.
__global__ void __launch_bounds__(threads, 4) rectify(MaskJob job) {
    uint32_t* shared = reinterpret_cast<uint32_t*>(block_memory);
    const int64_t image = job.first_image + blockIdx.x, place = int64_t{blockIdx.y} * gridDim.x + blockIdx.x,
                  row = job.first_row + int64_t{blockIdx.y} * tall, rows = min(int64_t{tall}, job.rows - row),
                  step = job.images * job.inputs;
    const float *base = job.before + image * job.inputs, *removed = job.removed + row * step + image * job.inputs;
    int32_t* units = job.units + place * job.pitch;
    int64_t kept = 0;
    for (int64_t start = 0; start < job.inputs; start += threads) {
        const int64_t unit = start + threadIdx.x;
        uint32_t moves = 0;
        if (unit < job.inputs) {
            const float own = base[unit], shown = rectified(own);
            for (int64_t r = 0; r < rows && !moves; r += 8) {
                float gone[8];
#pragma unroll
                for (int m = 0; m < 8; ++m) gone[m] = r + m < rows ? removed[(r + m) * step + unit] : 0.0F;
#pragma unroll
                for (int m = 0; m < 8; ++m) moves |= rectified(own - gone[m]) != shown;
            }
        }
        const uint32_t before = sum_before(moves, shared);
        if (moves) units[kept + before] = static_cast<int32_t>(unit);
        if (threadIdx.x == threads - 1) shared[threads] = before + moves;
        __syncthreads();
        kept += shared[threads];
        __syncthreads();
    }
    const int64_t end = rounded_up(kept, depth);
    for (int64_t s = kept + threadIdx.x; s < end; s += threads) units[s] = -1;
    if (threadIdx.x == 0) job.counts[place] = kept;

    // Read along the units, written along the rows.
    float (*turned)[tall + 1] = reinterpret_cast<float (*)[tall + 1]>(block_memory);
    float* changes = job.changes + place * job.pitch * tall;
    const int lane = threadIdx.x % at_once, first = threadIdx.x / at_once;
    for (int64_t start = 0; start < end; start += at_once) {
        const int64_t unit = start + lane < kept ? units[start + lane] : -1;
        const float own = unit >= 0 ? base[unit] : 0.0F, shown = rectified(own);
#pragma unroll 8
        for (int r = first; r < tall; r += threads / at_once)
            turned[lane][r] = unit >= 0 && r < rows ? rectified(own - removed[r * step + unit]) - shown : 0.0F;
        __syncthreads();
#pragma unroll 8
        for (int s = threadIdx.x / tall; s < at_once; s += threads / tall)
            if (start + s < end) changes[(start + s) * tall + threadIdx.x % tall] = turned[s][threadIdx.x % tall];
        __syncthreads();
    }
}

// One block a tile of `out`: changes times the weights of the units that move. While a step is multiplied the next is on its way
// to registers, and the one behind that has its units read.
__global__ void __launch_bounds__(threads, 2) multiply(MaskJob job) {
    float* changes = reinterpret_cast<float*>(block_memory);  // 2 x (depth, tall)
    float* lines = changes + 2 * depth * tall;                // 2 x (depth, wide)
    const int64_t image = job.first_image + blockIdx.y, place = int64_t{blockIdx.z} * gridDim.y + blockIdx.y,
                  row = job.first_row + int64_t{blockIdx.z} * tall, column = int64_t{blockIdx.x} * wide;
    const auto count = static_cast<int>(job.counts[place]);

    // What a thread brings of a step: four rows of a unit, and four of its weights.
    static_assert(tall == 128 && wide == 128 && threads == 256 && depth == 8);
    const int unit_at = threadIdx.x / 32, four_at = threadIdx.x % 32 * 4;
    const int32_t* units = job.units + place * job.pitch + unit_at;
    const float *from = job.changes + (place * job.pitch + unit_at) * tall + four_at, *weights = job.weights + column + four_at;
    Four change, line;
    int32_t unit;
    const auto load = [&] {
        change = *reinterpret_cast<const Four*>(from);
        from += depth * tall;
        line = unit >= 0 ? *reinterpret_cast<const Four*>(weights + unit * job.weights_pitch) : Four{};
    };
    const auto store = [&](int half) {
        const int at = half * depth + unit_at;
        *reinterpret_cast<Four*>(changes + at * tall + four_at) = change;
        *reinterpret_cast<Four*>(lines + at * wide + four_at) = line;
    };

    // What it multiplies: 8 x 8 of the tile, two by two fours; a warp has 32 rows and 64 columns.
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int r0 = warp / 2 * 32 + lane / 8 * 4, c0 = warp % 2 * 64 + lane % 8 * 4;
    float sums[8][8] = {};
    if (count > 0) {
        unit = units[0];
        load();
        if (depth < count) unit = units[depth];
        store(0);
    }
    __syncthreads();
    for (int at = 0, half = 0; at < count; at += depth, half ^= 1) {
        const bool more = at + depth < count;
        if (more) load();
        if (at + 2 * depth < count) unit = units[at + 2 * depth];
        const float *own = changes + half * depth * tall + r0, *theirs = lines + half * depth * wide + c0;
#pragma unroll
        for (int k = 0; k < depth; ++k) {
            Four a[2], b[2];
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                a[h] = *reinterpret_cast<const Four*>(own + k * tall + h * 16);
                b[h] = *reinterpret_cast<const Four*>(theirs + k * wide + h * 32);
            }
#pragma unroll
            for (int r = 0; r < 8; ++r)
#pragma unroll
                for (int c = 0; c < 8; ++c) sums[r][c] += a[r / 4].v[r % 4] * b[c / 4].v[c % 4];
        }
        if (more) store(half ^ 1);
        __syncthreads();
    }

    const float* after = job.after + image * job.outputs;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
        const int64_t first = column + c0 + h * 32;
        float whole[4];
#pragma unroll
        for (int c = 0; c < 4; ++c) whole[c] = first + c < job.outputs ? after[first + c] : 0.0F;
#pragma unroll
        for (int r = 0; r < 8; ++r) {
            const int64_t at = row + r0 + r / 4 * 16 + r % 4;
            if (at >= job.rows) continue;
            float* to = job.out + (at * job.images + image) * job.outputs + first;
            Four shown;
#pragma unroll
            for (int c = 0; c < 4; ++c) shown.v[c] = rectified(whole[c] + sums[r][h * 4 + c]);
            if (job.by_fours) {
                if (first < job.outputs) *reinterpret_cast<Four*>(to) = shown;
            } else {
#pragma unroll
                for (int c = 0; c < 4; ++c)
                    if (first + c < job.outputs) to[c] = shown.v[c];
            }
        }
    }
}

// Similarities in double precision of embeddings in single.

constexpr int side = 64, slab = 16;  // a block's tile of pairs; features at a time
constexpr int padded = side + 2;

struct SideJob {
    const float* values;  // (embeddings, stimuli, features)
    double *means, *own;  // (embeddings, stimuli); means: nullptr where the rule is not centred
    int64_t stimuli, features;
};

struct PairJob {
    SideJob rows, columns;
    double* out;     // (embeddings, pairs), or where `beside` (embeddings, stimuli of rows, of columns)
    int64_t beside;  // whether columns are those of one other embedding
};

// One block a stimulus of an embedding: its mean in two passes, exact where it is constant, and what it has summed up with
// itself.
__global__ void __launch_bounds__(threads) alone(SideJob job) {
    double* shared = reinterpret_cast<double*>(block_memory);
    const int64_t at = blockIdx.x;
    const float* row = job.values + at * job.features;
    double mean = 0;
    if (job.means) {
        double low = INFINITY, high = -INFINITY, total = 0;
        for (int64_t k = threadIdx.x; k < job.features; k += threads) {
            const double value = row[k];
            low = fmin(low, value);
            high = fmax(high, value);
            total += value;
        }
        low = over_block(low, shared, [](double a, double b) { return fmin(a, b); });
        high = over_block(high, shared, [](double a, double b) { return fmax(a, b); });
        const double first = over_block(total, shared, plus) / static_cast<double>(job.features);
        double rest = 0;
        for (int64_t k = threadIdx.x; k < job.features; k += threads) rest += row[k] - first;
        rest = over_block(rest, shared, plus);
        mean = low < high ? first + rest / static_cast<double>(job.features) : low;
    }
    double squares = 0;
    for (int64_t k = threadIdx.x; k < job.features; k += threads) squares += (row[k] - mean) * (row[k] - mean);
    squares = over_block(squares, shared, plus);
    if (threadIdx.x != 0) return;
    if (job.means) job.means[at] = mean;
    job.own[at] = squares;
}

// One block 64 x 64 pairs of an embedding's stimuli, with one another or with another's.
template <class Rule>
__global__ void __launch_bounds__(threads) similarities_of_tile(PairJob job) {
    double* left = reinterpret_cast<double*>(block_memory);  // (slab, padded)
    double* right = left + slab * padded;
    const int64_t embedding = blockIdx.z, i0 = int64_t{blockIdx.y} * side, j0 = int64_t{blockIdx.x} * side;
    if (!job.beside && j0 < i0) return;  // the whole block: below the diagonal
    const SideJob &rows = job.rows, &columns = job.columns;
    const int64_t row0 = embedding * rows.stimuli, column0 = job.beside ? 0 : row0, features = rows.features;
    const int feature_at = threadIdx.x % slab, stimulus_at = threadIdx.x / slab;
    const int up = threadIdx.x / 16 * 2, over = threadIdx.x % 16 * 2;  // two and two, 32 further on two more
    const auto bring = [&](const SideJob& of, int64_t first, int64_t from, int64_t k, double* to) {
#pragma unroll
        for (int m = 0; m < side / 16; ++m) {
            const int64_t stimulus = from + stimulus_at + m * 16;
            const bool there = stimulus < of.stimuli && k < features;
            const double value = there ? of.values[(first + stimulus) * features + k] : 0.0;
            to[feature_at * padded + stimulus_at + m * 16] = there && of.means ? value - of.means[first + stimulus] : value;
        }
    };
    double sums[4][4] = {};
    for (int64_t from = 0; from < features; from += slab) {
        bring(rows, row0, i0, from + feature_at, left);
        bring(columns, column0, j0, from + feature_at, right);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < slab; ++k) {
            double a[4], b[4];
#pragma unroll
            for (int m = 0; m < 4; ++m) {
                a[m] = left[k * padded + up + m / 2 * 32 + m % 2];
                b[m] = right[k * padded + over + m / 2 * 32 + m % 2];
            }
#pragma unroll
            for (int r = 0; r < 4; ++r)
#pragma unroll
                for (int c = 0; c < 4; ++c) sums[r][c] = Rule::template moved<1>(sums[r][c], a[r], b[c]);
        }
        __syncthreads();
    }
    const int64_t pairs = rows.stimuli * (rows.stimuli - 1) / 2;
#pragma unroll
    for (int r = 0; r < 4; ++r)
#pragma unroll
        for (int c = 0; c < 4; ++c) {
            const int64_t i = i0 + up + r / 2 * 32 + r % 2, j = j0 + over + c / 2 * 32 + c % 2;
            if (i >= rows.stimuli || j >= columns.stimuli || (!job.beside && j <= i)) continue;
            const double value =
                similarity_of<Rule>(sums[r][c], inverse_norm(rows.own[row0 + i]), inverse_norm(columns.own[column0 + j]));
            if (job.beside)
                job.out[(row0 + i) * columns.stimuli + j] = value;
            else
                job.out[embedding * pairs + row_start(i, rows.stimuli) + j - i - 1] = value;
        }
}

// Values where a kernel can read them: as they lie on the device, or a copy.
class Brought {
  public:
    Brought(Device& device, const Singles& given, const char* name) : values_(given.values) {
        if (given.on_device) {
            expect_on_device(device, given.values, name);
        } else {
            copy_ = DeviceBuffer<float>(device, given.values, given.count, name);
            values_ = copy_.get();
        }
    }
    const float* get() const { return values_; }

  private:
    DeviceBuffer<float> copy_;
    const float* values_;
};

}  // namespace

class LoadedLayer {
  public:
    LoadedLayer(std::shared_ptr<Device> given, const Layer& layer, bool on_device)
        : inputs(layer.inputs), outputs(layer.outputs), pitch(rounded_up(layer.outputs, wide)), device_(std::move(given)) {
        const Device::Turn turn(*device_);
        const Brought weights(*device_, {layer.weights, inputs * outputs, on_device}, "weights");
        by_unit_ = DeviceBuffer<float>(*device_, inputs * pitch, "weights by unit");
        launch(*device_, "turning weights", transpose, grid_of((inputs + 31) / 32, pitch / 32), threads, 32 * 33 * sizeof(float),
               weights.get(), outputs, inputs, pitch, by_unit_.get());
        device_->finish("copying weights to the device");
    }
    const int64_t inputs, outputs, pitch;
    Device& device() const { return *device_; }
    const float* by_unit() const { return by_unit_.get(); }

  private:
    const std::shared_ptr<Device> device_;
    DeviceBuffer<float> by_unit_;
};

std::shared_ptr<LoadedLayer> load(std::shared_ptr<Device> device, const Layer& layer, bool on_device) {
    return std::make_shared<LoadedLayer>(std::move(device), layer, on_device);
}

void masked_embeddings(const LoadedLayer& layer, const Singles& before, const Singles& removed, int64_t rows, int64_t images,
                       const Singles& after, const Context& context, float* out, bool out_on_device) {
    Device& device = layer.device();
    const Device::Turn turn(device);
    const Brought own(device, before, "before"), taken(device, removed, "removed"), next(device, after, "after");
    if (out_on_device) expect_on_device(device, out, "out");
    const int64_t size = rows * images * layer.outputs;
    const DeviceBuffer<float> made(device, out_on_device ? 0 : size, "embeddings");
    float* to = out_on_device ? out : made.get();
    const int64_t pitch = rounded_up(layer.inputs, depth), tiles = (rows + tall - 1) / tall;
    const double each = static_cast<double>(tall * layer.inputs) * static_cast<double>(layer.outputs);
    const int64_t room = std::min(bytes_at_once, static_cast<int64_t>(device.available_bytes() / 3)),
                  places = std::clamp<int64_t>(static_cast<int64_t>(work_at_once / each), 1,
                                               std::max<int64_t>(room / (pitch * (4 * tall + 4) + 8), 1)),
                  images_at_once = std::min({places, images, most_blocks}),
                  tiles_at_once = std::clamp<int64_t>(places / images_at_once, 1, std::min(tiles, most_blocks)),
                  taken_up = images_at_once * tiles_at_once;
    const DeviceBuffer<float> changes(device, taken_up * pitch * tall, "changes of units");
    const DeviceBuffer<int32_t> units(device, taken_up * pitch, "moved units");
    const DeviceBuffer<int64_t> counts(device, taken_up, "numbers of moved units");
    const bool by_fours = layer.outputs % 4 == 0 && reinterpret_cast<std::uintptr_t>(to) % alignof(Four) == 0;
    for (int64_t tile = 0; tile < tiles && !context.stop(0); tile += tiles_at_once)
        for (int64_t image = 0; image < images && !context.stop(0); image += images_at_once) {
            const int64_t here = std::min(tiles_at_once, tiles - tile), shown = std::min(images_at_once, images - image);
            const MaskJob job{
                own.get(), taken.get(),  layer.by_unit(), next.get(), to,          counts.get(), units.get(), changes.get(), rows,
                images,    layer.inputs, layer.outputs,   pitch,      layer.pitch, tile * tall,  image,       by_fours};
            launch(device, "rectifying masked units", rectify, grid_of(shown, here), threads,
                   std::max(at_once * (tall + 1) * sizeof(float), (threads + 1) * sizeof(uint32_t)), job);
            launch(device, "multiplying moved units", multiply, grid_of(layer.pitch / wide, shown, here), threads,
                   2 * depth * (tall + wide) * sizeof(float), job);
            device.finish("making masked embeddings");
        }
    context.throw_if_stopped();
    if (!out_on_device) made.download(out);
}

void similarities(const std::shared_ptr<Device>& opened, const Singles& embeddings, int64_t count, int64_t stimuli,
                  int64_t features, const Singles* beside, int64_t others, Metric metric, const Context& context, double* out) {
    Device& device = *opened;
    const Device::Turn turn(device);
    const Brought given(device, embeddings, "embeddings");
    const bool centred = traits_of(metric).centred;
    const int64_t pairs = beside ? stimuli * others : stimuli * (stimuli - 1) / 2, tiles = (stimuli + side - 1) / side,
                  across = beside ? (others + side - 1) / side : tiles;
    const double each = static_cast<double>(pairs) * static_cast<double>(features);
    const auto room = static_cast<int64_t>(device.available_bytes() / 3) / (8 * (pairs + 2 * stimuli));
    const int64_t part =
        std::clamp<int64_t>(std::min(room, static_cast<int64_t>(work_at_once / each)), 1, std::min(count, most_blocks));
    const auto side_of = [&](const float* values, int64_t some, int64_t rows, DeviceBuffer<double>& means,
                             DeviceBuffer<double>& own) {
        const SideJob job{values, means.get(), own.get(), rows, features};
        launch(device, "summing up embeddings", alone, grid_of(some * rows), threads, threads * sizeof(double), job);
        return job;
    };
    DeviceBuffer<double> means(device, centred ? part * stimuli : 0, "means"), own(device, part * stimuli, "sums of squares"),
        their_means(device, centred ? others : 0, "means"), their_own(device, others, "sums of squares"),
        found(device, part * pairs, "similarities");
    const Brought theirs(device, beside ? *beside : Singles{}, "beside");
    SideJob columns{};
    if (beside) columns = side_of(theirs.get(), 1, others, their_means, their_own);
    for (int64_t first = 0; first < count && !context.stop(0); first += part) {
        const int64_t here = std::min(part, count - first);
        const SideJob rows = side_of(given.get() + first * stimuli * features, here, stimuli, means, own);
        if (!beside) columns = rows;
        with_rule(metric, [&](auto rule) {
            launch(device, "taking similarities", similarities_of_tile<decltype(rule)>, grid_of(across, tiles, here), threads,
                   2 * slab * padded * sizeof(double), PairJob{rows, columns, found.get(), beside != nullptr});
        });
        found.download(out + first * pairs, 1, here * pairs, here * pairs);
    }
    context.throw_if_stopped();
}

}  // namespace secateur::cuda
