// The pair sums of each target run through its order, in windows of steps:
//   factors   the window's z and inverse norms, one thread a stimulus and target
//   advance   a 4 x 4 tile of pairs a thread, its sums over features in registers; the factors of the block's own stimuli in
//             shared memory; the moments of four steps are put together over a warp at once
//   gather    the sums of 64 warps at a time, where there are many
//   conclude  what is left of the sums in order, the alignments, and the shift of the next window
// The split into warps depends on the number of stimuli alone, and so do the bits of the result. Tiles follow one another in
// strips, so that a block has few stimuli, however many there are in all.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "core/targets.hpp"
#include "verbs.hpp"

namespace secateur::cuda {

namespace {

constexpr int side = 4, together = 4, lanes = 32, threads = 128, ahead = 8;
constexpr int64_t longest_window = 128, shortest_window = 8, windows_ahead = 16, most_in_a_batch = 32768;
constexpr int64_t batch_bytes = int64_t{1} << 33, staged_bytes = 256 << 20;
constexpr int64_t strip = 8;        // rows of tiles
constexpr int64_t most_warps = 64;  // whose sums are added one after the other

// What the kernels of a batch of targets take.
struct Job {
    const double* x;  // (n, features)
    int64_t features, n, padded, tiles, warps;
    const int64_t* orders;
    int64_t order_stride;         // 0: all targets have one order
    const uint32_t* corners;      // (tiles): row and column of tiles
    const uint32_t* panels;       // the rows and columns of tiles that a block has, behind one another
    const int64_t* panel_starts;  // (blocks + 1)
    const uint32_t* places;       // (tiles): where in its block's panel row and column are
    const char* active;           // (patterns, n)
    const int64_t* pattern_of;
    const double *targets, *weights, *totals;  // laid out (lay_out), but for the totals
    int64_t start, steps, all_steps;           // the window, and the whole order
    double *own, *mean, *centre, *z, *r;       // sums over features so far, and factors
    double *pairs, *sums;
    double *shifts, *next_shifts;
    double* values;
    char* needs_recompute;
};

// z, r (targets, longest_window, padded): zeros behind the last stimulus and the last step. `start`: the steps before the window.
template <class Rule>
__global__ void factors(Job job) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, t = blockIdx.y;
    if (i >= job.padded) return;
    const int64_t at = t * job.padded + i, filled = rounded_up(job.steps, together);
    const int64_t* order = job.orders + t * job.order_stride;
    const double* row = job.x + (i < job.n ? i : 0) * job.features;
    const bool counts = i < job.n && job.active[(job.pattern_of ? job.pattern_of[t] : 0) * job.n + i];
    const double undefined = counts ? static_cast<double>(NAN) : 0.0;
    // Where centred: the first feature's values are taken from all, for their digits.
    const double centre = !Rule::centred ? 0.0 : job.start == 0 ? row[order[0]] : job.centre[at];
    double own = job.start == 0 ? 0.0 : job.own[at], mean = job.start == 0 ? 0.0 : job.mean[at];
    for (int64_t from = 0; from < filled; from += ahead) {
        double next[ahead];  // gathered before they are needed: each takes two trips to memory
#pragma unroll
        for (int k = 0; k < ahead; ++k) next[k] = from + k < job.steps ? row[order[job.start + from + k]] : 0.0;
#pragma unroll
        for (int k = 0; k < ahead; ++k) {
            const int64_t s = from + k;
            double factor = 0, inverse = 0;
            if (s < job.steps && i < job.n) {
                const double seen = static_cast<double>(job.start + s), gap = next[k] - centre - mean;
                factor = gap;
                if constexpr (Rule::centred) {
                    factor *= std::sqrt(centring_weight(seen, 1));
                    mean += gap / (seen + 1);
                }
                if constexpr (Rule::normalised) {
                    own += factor * factor;
                    inverse = own > 0 ? 1 / std::sqrt(own) : undefined;
                }
            }
            if (s < filled) {
                job.z[(t * longest_window + s) * job.padded + i] = factor;
                job.r[(t * longest_window + s) * job.padded + i] = inverse;
            }
        }
    }
    job.own[at] = own;
    job.mean[at] = mean;
    job.centre[at] = centre;
}

// rows (targets, pairs) -> tiled (targets, 16, tiles), zero where a place of a tile is no pair.
__global__ void lay_out(const double* rows, const uint32_t* corners, int64_t n, int64_t tiles, double* tiled) {
    const int64_t tile = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, t = blockIdx.y;
    if (tile >= tiles) return;
    const int64_t first = (corners[tile] >> 16) * side, other = (corners[tile] & 0xffffu) * side;
    for (int e = 0; e < side * side; ++e) {
        const int64_t i = first + e / side, j = other + e % side;
        tiled[(t * side * side + e) * tiles + tile] =
            i < j && j < n ? rows[t * (n * (n - 1) / 2) + row_start(i, n) + j - i - 1] : 0.0;
    }
}

// What a block shares of a stimulus and step: read by 16 bytes where there are both.
struct alignas(16) FactorAndNorm {
    double z, r;
};
struct FactorAlone {
    double z;
};
template <class Rule>
using Factor = std::conditional_t<Rule::normalised, FactorAndNorm, FactorAlone>;
// From one row or column of tiles to the next, (together, side) and one more: eight of them lie in eight different banks.
constexpr int pitch = together * side + 1;

// Four steps of a thread's tile. `places`: which of its 16 places are pairs, where not all are (`masked`).
template <class Rule, bool weighted, bool masked>
__device__ ALWAYS_INLINE void four_steps(const Factor<Rule>* first, const Factor<Rule>* other, unsigned places, double shift,
                                         double (&pair)[side * side], const double (&h)[side * side],
                                         const double (&w)[side * side], double (&a)[together], double (&b)[together],
                                         double (&c)[together]) {
#pragma unroll
    for (int s = 0; s < together; ++s) {
        Factor<Rule> i[side], j[side];
#pragma unroll
        for (int p = 0; p < side; ++p) {
            i[p] = first[s * side + p];
            j[p] = other[s * side + p];
        }
#pragma unroll
        for (int e = 0; e < side * side; ++e) {
            const int p = e / side, q = e % side;
            pair[e] = Rule::template moved<1>(pair[e], i[p].z, j[q].z);
            double value = pair[e];
            if constexpr (Rule::normalised) value *= i[p].r * j[q].r;
            if constexpr (Rule::rooted) value = std::sqrt(value);
            value -= shift;
            if constexpr (masked) value = places >> e & 1 ? value : 0.0;
            if constexpr (weighted) {
                const double weighed = w[e] * value;
                a[s] += weighed;
                b[s] += weighed * value;
            } else {
                a[s] += value;
                b[s] += value * value;
            }
            c[s] += h[e] * value;
        }
    }
}

// sums (targets, 3, warps, longest_window): of w v, w v^2, h v by warp and step, v shifted by the target's shift.
template <class Rule, bool weighted>
__global__ void __launch_bounds__(threads, 2)  // what the compiler makes of this bound spills on no architecture
    advance(Job job) {
    const unsigned tile = blockIdx.x * blockDim.x + threadIdx.x;  // 32 bits hold those of all stimuli
    const int64_t t = blockIdx.y;
    const uint32_t* panel = job.panels + job.panel_starts[blockIdx.x];
    const int wide = static_cast<int>(job.panel_starts[blockIdx.x + 1] - job.panel_starts[blockIdx.x]) * side;
    Factor<Rule>* staged = reinterpret_cast<Factor<Rule>*>(block_memory);  // (wide / side, pitch)
    const bool inside = tile < job.tiles;
    const uint32_t corner = inside ? job.corners[tile] : 0, place = inside ? job.places[tile] : 0;
    const Factor<Rule>*first = staged + (place >> 16) * pitch, *other = staged + (place & 0xffffu) * pitch;
    double pair[side * side], h[side * side], w[side * side];
    unsigned places = 0;
#pragma unroll
    for (int e = 0; e < side * side; ++e) {
        pair[e] = inside ? job.pairs[(t * side * side + e) * job.tiles + tile] : 0.0;
        h[e] = inside ? job.targets[(t * side * side + e) * job.tiles + tile] : 0.0;
        if constexpr (weighted) w[e] = inside ? job.weights[(job.pattern_of[t] * side * side + e) * job.tiles + tile] : 0.0;
        const int i = static_cast<int>(corner >> 16) * side + e / side, j = static_cast<int>(corner & 0xffffu) * side + e % side;
        places |= inside && i < j && j < job.n ? 1u << e : 0u;
    }
    const double shift = job.shifts[t];
    for (int s = 0; s < job.steps; s += together) {
        __syncthreads();
        for (int k = threadIdx.x; k < together * wide; k += blockDim.x) {
            const int row = k % wide / side, p = k % side, step = k / wide;
            const int64_t from = (t * longest_window + s + step) * job.padded + panel[row] * side + p;
            Factor<Rule>& to = staged[row * pitch + step * side + p];
            to.z = job.z[from];
            if constexpr (Rule::normalised) to.r = job.r[from];
        }
        __syncthreads();
        double a[together] = {}, b[together] = {}, c[together] = {};
        if (places == 0xffffu)
            four_steps<Rule, weighted, false>(first, other, places, shift, pair, h, w, a, b, c);
        else if (places)
            four_steps<Rule, weighted, true>(first, other, places, shift, pair, h, w, a, b, c);
        sum_over_warp(a);
        sum_over_warp(b);
        sum_over_warp(c);
        constexpr int each = lanes / together;
        if (threadIdx.x % each == 0) {
            const int64_t step = s + threadIdx.x % lanes / each, warp = tile / lanes;
            job.sums[((t * 3 + 0) * job.warps + warp) * longest_window + step] = a[0];
            job.sums[((t * 3 + 1) * job.warps + warp) * longest_window + step] = b[0];
            job.sums[((t * 3 + 2) * job.warps + warp) * longest_window + step] = c[0];
        }
    }
    if (inside)
#pragma unroll
        for (int e = 0; e < side * side; ++e) job.pairs[(t * side * side + e) * job.tiles + tile] = pair[e];
}

// sums (targets, 3, warps, longest_window) -> gathered (targets, 3, groups, longest_window): of so many warps each, in order.
__global__ void gather(const double* sums, int64_t warps, int64_t groups, double* gathered) {
    const int64_t group = blockIdx.x, row = int64_t{blockIdx.z} * 3 + blockIdx.y, from = group * most_warps,
                  to = min(from + most_warps, warps);
    double all = 0;
    for (int64_t warp = from; warp < to; ++warp) all += sums[(row * warps + warp) * longest_window + threadIdx.x];
    gathered[(row * groups + group) * longest_window + threadIdx.x] = all;
}

// values, needs_recompute (targets, all_steps), at `start` and behind.
__global__ void conclude(Job job, bool centred) {
    const int64_t s = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, t = blockIdx.y;
    if (s >= job.steps) return;
    double all[3] = {0, 0, 0};
    for (int64_t warp = 0; warp < job.warps; ++warp)
        for (int m = 0; m < 3; ++m) all[m] += job.sums[((t * 3 + m) * job.warps + warp) * longest_window + s];
    const double weight = job.totals[job.pattern_of ? job.pattern_of[t] : 0], shift = job.shifts[t];
    const Moments m{all[0], all[1], all[2]};
    bool trusted;
    job.values[t * job.all_steps + job.start + s] =
        alignment_of(m, m.squares, unshifted(m.sum, m.squares, shift, weight), weight, centred, trusted);
    job.needs_recompute[t * job.all_steps + job.start + s] = !trusted;
    if (s == job.steps - 1) {
        const double mean = shift + m.sum / weight;
        job.next_shifts[t] = centred && std::isfinite(mean) ? mean : 0.0;
    }
}

// The tiles that hold a pair, in blocks of `width`. Whole ones first, so that hardly a warp has both sorts; these in strips of
// rows, column by column, so that a block's tiles share most of their stimuli. The others, along the diagonal and the last
// column, share theirs by twos at least.
struct Tiling {
    std::vector<uint32_t> corners, panels, places;
    std::vector<int64_t> panel_starts{0};
    int64_t width, blocks, widest = 0;  // the largest panel
    int64_t tiles() const { return static_cast<int64_t>(corners.size()); }
    int64_t warps() const { return blocks * width / lanes; }
    explicit Tiling(int64_t n) {
        const int64_t rows = (n + side - 1) / side, whole = n / side;
        const auto add = [&](int64_t a, int64_t b) { corners.push_back(static_cast<uint32_t>(a << 16 | b)); };
        for (int64_t from = 0; from < whole; from += strip)
            for (int64_t b = from + 1; b < whole; ++b)
                for (int64_t a = from; a < std::min(from + strip, b); ++a) add(a, b);
        for (int64_t a = 0; a < rows; ++a) {
            add(a, a);
            if (whole < rows && a < whole) add(a, whole);
        }
        width = std::min<int64_t>(rounded_up(tiles(), lanes), threads);
        blocks = (tiles() + width - 1) / width;
        places.resize(tiles());
        std::vector<int64_t> seen(rows, -1), at(rows);  // in which block last, and where in its panel
        for (int64_t block = 0; block < blocks; ++block) {
            const auto place = [&](uint32_t row) {
                if (seen[row] != block) {
                    seen[row] = block;
                    at[row] = static_cast<int64_t>(panels.size()) - panel_starts.back();
                    panels.push_back(row);
                }
                return static_cast<uint32_t>(at[row]);
            };
            for (int64_t tile = block * width; tile < std::min((block + 1) * width, tiles()); ++tile) {
                const uint32_t first = place(corners[tile] >> 16);
                places[tile] = first << 16 | place(corners[tile] & 0xffffu);
            }
            widest = std::max(widest, static_cast<int64_t>(panels.size()) - panel_starts.back());
            panel_starts.push_back(static_cast<int64_t>(panels.size()));
        }
    }
};

// Short at the very start, where means move fast: the shift follows them from window to window.
int64_t window_at(int64_t start, int64_t steps) {
    return std::min(std::clamp(start, shortest_window, longest_window), steps - start);
}

template <class Rule, bool weighted>
void run(Device& device, const Features& x, const InsertionPlan& plan, const Context& context, double* values,
         char* needs_recompute) {
    const StandardRows& targets = plan.targets;
    const int64_t n = x.stimuli, padded = rounded_up(n, side), pairs = x.pairs(), steps = plan.orders.steps;
    const Tiling tiling(n);
    const int64_t tiles = tiling.tiles(), warps = tiling.warps();
    // How many sums there are after each time that they are gathered.
    std::vector<int64_t> groups{warps};
    while (groups.back() > most_warps) groups.push_back((groups.back() + most_warps - 1) / most_warps);
    const int64_t all_groups = std::accumulate(groups.begin(), groups.end(), int64_t{0});
    // Packed rows are laid out a few at a time; those that lie there already, as they lie.
    const bool rows_there = lies_there(targets.rows);
    const int64_t packed_rows = std::clamp<int64_t>(staged_bytes / 8 / pairs, 1, std::max(targets.count, targets.patterns));
    const int64_t fixed = 12 * tiles + 8 * packed_rows * pairs + (weighted ? 8 * targets.patterns * side * side * tiles : 0);
    const int64_t each =
        8 * (2 * side * side * tiles + 2 * longest_window * padded + 3 * all_groups * longest_window + 3 * padded) + 9 * steps +
        8 * steps;
    expect_room(device, fixed + each, "inserting features, one target at a time");
    const DeviceBuffer<uint32_t> corner(device, tiling.corners.data(), tiles, "tiles"),
        places(device, tiling.places.data(), tiles, "tiles"),
        panels(device, tiling.panels.data(), static_cast<int64_t>(tiling.panels.size()), "tiles");
    const DeviceBuffer<int64_t> panel_starts(device, tiling.panel_starts.data(), tiling.blocks + 1, "tiles");
    const DeviceBuffer<double> totals(device, targets.totals, targets.patterns, "sums of weights");
    const DeviceBuffer<char> active(device, targets.active, targets.patterns * n, "patterns");
    DeviceBuffer<double> packed(device, weighted || !rows_there ? packed_rows * pairs : 0, "targets");
    const auto lay = [&](const double* rows, int64_t count, bool there, const char* what, double* tiled) {
        const int64_t at_once = std::min(there ? most_in_a_batch : packed_rows, most_in_a_batch);
        for (int64_t row = 0; row < count; row += at_once) {
            const int64_t now = std::min(at_once, count - row);
            if (!there) packed.upload(rows + row * pairs, now * pairs);
            launch(device, what, lay_out, grid_of((tiles + 127) / 128, now), 128, 0, there ? rows + row * pairs : packed.get(),
                   corner.get(), n, tiles, tiled + row * side * side * tiles);
        }
    };
    DeviceBuffer<double> weights;
    if (weighted) {
        weights = DeviceBuffer<double>(device, targets.patterns * side * side * tiles, "weights");
        lay(targets.weights, targets.patterns, lies_there(targets.weights), "laying out weights", weights.get());
    }
    const auto room = static_cast<int64_t>(device.available_bytes() / 2);
    const int64_t largest = std::clamp<int64_t>(std::min(batch_bytes, room) / each, 1, std::min(targets.count, most_in_a_batch));
    const int64_t order_rows = plan.orders.count > 1 ? largest : 1;
    DeviceBuffer<double> tiled(device, largest * side * side * tiles, "targets"),
        sums_of_pairs(device, largest * side * side * tiles, "inner products"),
        z(device, largest * longest_window * padded, "factors"), r(device, largest * longest_window * padded, "factors"),
        sums(device, largest * 3 * all_groups * longest_window, "sums"), own(device, largest * padded, "norms"),
        mean(device, largest * padded, "means"), centre(device, largest * padded, "means"), shift(device, largest, "shifts"),
        next_shift(device, largest, "shifts");
    DeviceBuffer<int64_t> orders(device, order_rows * steps, "orders"),
        pattern_of(device, weighted ? largest : 0, "weight patterns");
    Job job{};
    job.x = x.values;
    job.features = x.count;
    job.n = n;
    job.padded = padded;
    job.tiles = tiles;
    job.orders = orders.get();
    job.order_stride = plan.orders.count > 1 ? steps : 0;
    job.corners = corner.get();
    job.panels = panels.get();
    job.panel_starts = panel_starts.get();
    job.places = places.get();
    job.active = active.get();
    job.pattern_of = pattern_of.get();
    job.targets = tiled.get();
    job.weights = weights.get();
    job.totals = totals.get();
    job.all_steps = steps;
    job.own = own.get();
    job.mean = mean.get();
    job.centre = centre.get();
    job.z = z.get();
    job.r = r.get();
    job.pairs = sums_of_pairs.get();
    for (int64_t from = 0; from < targets.count; from += largest) {
        const int64_t count = std::min(largest, targets.count - from);
        DeviceBuffer<double> out(device, count * steps, "alignments");
        DeviceBuffer<char> flags(device, count * steps, "flags");
        if (plan.orders.count > 1)
            orders.upload(plan.orders.of(from), count * steps);
        else if (from == 0)
            orders.upload(plan.orders.values, steps);
        if (weighted) pattern_of.upload(targets.weight_of + from, count);
        job.values = out.get();
        job.needs_recompute = flags.get();
        job.shifts = shift.get();
        job.next_shifts = next_shift.get();
        sums_of_pairs.zero();
        shift.zero();
        lay(targets.rows + from * pairs, count, rows_there, "laying out targets", tiled.get());
        int64_t windows = 0;
        for (int64_t start = 0, now; start < steps; start += now) {
            if (context.stop(0)) return device.finish("inserting features");  // before what was copied from goes
            now = window_at(start, steps);
            job.start = start;
            job.steps = now;
            job.warps = warps;
            job.sums = sums.get();
            launch(device, "making factors", factors<Rule>, grid_of((padded + 63) / 64, count), 64, 0, job);
            launch(device, "inserting features", advance<Rule, weighted>, grid_of(tiling.blocks, count), tiling.width,
                   pitch * tiling.widest * sizeof(Factor<Rule>), job);
            for (std::size_t level = 1; level < groups.size(); ++level) {
                double* gathered = job.sums + largest * 3 * job.warps * longest_window;
                launch(device, "adding sums", gather, grid_of(groups[level], 3, count), longest_window, 0, job.sums, job.warps,
                       groups[level], gathered);
                job.sums = gathered;
                job.warps = groups[level];
            }
            launch(device, "comparing", conclude, grid_of((now + 127) / 128, count), 128, 0, job, targets.centred);
            std::swap(job.shifts, job.next_shifts);
            context.did(static_cast<double>(count * now) / static_cast<double>(targets.count * steps));
            if (++windows % windows_ahead == 0) device.finish("inserting features");  // so that Ctrl-C is noticed
        }
        out.download(values + from * steps);
        flags.download(needs_recompute + from * steps);
    }
}

}  // namespace

void insertion_curve(Device& device, const Features& x, const InsertionPlan& plan, const Context& context, double* values,
                     char* needs_recompute) {
    if (!by_moments(plan.targets.of->comparator)) return insertion_by_similarities(device, x, plan, context, values);
    with_rule(plan.metric, [&](auto rule) {
        using Rule = decltype(rule);
        if (plan.targets.weights)
            run<Rule, true>(device, x, plan, context, values, needs_recompute);
        else
            run<Rule, false>(device, x, plan, context, values, needs_recompute);
    });
}

}  // namespace secateur::cuda
