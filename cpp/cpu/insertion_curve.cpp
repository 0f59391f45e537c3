#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <numeric>
#include <vector>

#include "core/shared_out.hpp"
#include "core/targets.hpp"
#include "cpu/cpu.hpp"
#include "cpu/packing.hpp"
#include "cpu/prefixes.hpp"
#include "cpu/products.hpp"

// The pair sums of one target run through its order; every step adds one feature and takes the three moments.
// Steps: windows (threads that share a target meet in between) of chunks (factors stay in the second-level cache) of tiles
// (the sums and the factors of some partners stay in registers while rows go by, whose pair sums are loaded and stored once).
// Pairs: blocks of some rows and as many partners as a vector has lanes, in groups: a split that depends on the number of
// stimuli alone. Each group shifts its values by a mean of its own, and moments are put together group by group: threads share
// out groups and never change a sum's order. Each makes its own factors: that is less work than fetching them from another core.
// A control is one more row that is multiplied with the values; rows beyond the first few have their turn when the sums that the
// others saw have come back.
// Memory beyond X and the targets standardised, in bytes: 16 a pair for each target under way (24 with weights; 8 more for each
// control, 16 from the fourth on); for each thread 3072 a stimulus; 64 megabytes at most for X packed, and four for moments. Of
// targets that have few of the pairs: 32 a pair that counts.
namespace secateur::cpu {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr char anew = 1, compared = 2;  // a prefix asks for the exact way, or for that by similarities
constexpr int64_t chunk = 128, longest_window = 4096, widest = 8;
constexpr int64_t block_rows = 192;                // a block's pairs stay in the first-level cache
constexpr int64_t most_packed = int64_t{8} << 20;  // values of X: 64 megabytes

int64_t padded(int64_t n) {
    return (n + widest - 1) / widest * widest;
}

// Pairs of the rows from i on with the partners from j on. From `diagonal` on, partners of a row lie before it, too.
struct Block {
    int64_t i, diagonal, end, j, at;  // `at`: where their values begin
};

// What all targets of a call share.
struct Job {
    Features x;
    Metric metric;
    Traits traits;
    const StandardTargets* targets;
    int64_t stride, window;
    Buffer packed;  // [8 stimuli][feature][stimulus]: a step's values of 8 stimuli are one line; or empty: X is large
    Buffer mask;    // (lanes, lanes): 1 above the diagonal, else 0
    std::vector<Block> blocks;
    std::vector<int64_t> groups;  // where they begin among the blocks
    int64_t values = 0;           // of all blocks, for each of what a target keeps by pair

    Job(const Features& x, Metric metric, const StandardTargets& targets)
        : x(x), metric(metric), traits(traits_of(metric)), targets(&targets), stride(padded(x.stimuli)), window(chunk) {}
    // The target, and its controls.
    int64_t products() const { return 1 + targets->controls; }
    int64_t group_count() const { return static_cast<int64_t>(groups.size()) - 1; }
    // Where factors lie: blocks of 8 steps x 8 stimuli, so that a tile reads them from one pointer on.
    int64_t at(int64_t step, int64_t stimulus) const {
        return (step / widest * stride + stimulus / widest * widest + step % widest) * widest + stimulus % widest;
    }
    // Blocks, and groups of about equal work.
    void divide(int64_t lanes) {
        const int64_t n = x.stimuli;
        mask = Buffer(lanes * lanes);
        for (int64_t at = 0; at < lanes * lanes; ++at) mask[at] = at % lanes > at / lanes ? 1 : 0;
        for (int64_t i = 0; i < n; i += block_rows)
            for (int64_t j = i; j < n; j += lanes) {
                const int64_t end = std::min({i + block_rows, j + lanes - 1, n - 1});
                if (i < end) blocks.push_back({i, std::min(end, j), end, j, 0});
            }
        // A column is the longer the later it comes: with its opposite it makes the same number of rows everywhere.
        if (n <= block_rows) {
            std::vector<Block> turned;
            for (std::size_t low = 0, high = blocks.size(); low < high; ++low) {
                turned.push_back(blocks[low]);
                if (low < --high) turned.push_back(blocks[high]);
            }
            blocks = turned;
        }
        int64_t rows = 0;
        for (Block& block : blocks) {
            block.at = rows * lanes;
            rows += block.end - block.i;
        }
        values = rows * lanes;
        int64_t parts = 1;  // a power of two, so that few threads have as many each
        while (parts < 32 && 2 * parts * 1536 <= n * (n - 1)) parts *= 2;
        for (std::size_t b = 0; b < blocks.size(); ++b)
            if (blocks[b].at * parts >= static_cast<int64_t>(groups.size()) * values) groups.push_back(static_cast<int64_t>(b));
        groups.push_back(static_cast<int64_t>(blocks.size()));
    }
    // Where a group's values begin, and how many there are.
    int64_t at_group(int64_t group) const { return blocks[groups[group]].at; }
    int64_t size_of(int64_t group) const { return (group + 1 < group_count() ? at_group(group + 1) : values) - at_group(group); }
    void pack(int threads);
    // Calls take(place among packed pairs, place in the block's values, lane, lanes) for every row's pairs of a block.
    template <class Take>
    void each_row(const Block& block, int64_t lanes, Take&& take) const {
        const int64_t n = x.stimuli, last = std::min(block.j + lanes, n);
        for (int64_t i = block.i; i < block.end; ++i) {
            const int64_t j = std::max(block.j, i + 1), lane = j - block.j;
            take(row_start(i, n) + j - i - 1, block.at + (i - block.i) * lanes + lane, lane, last - j);
        }
    }
};

// One thread's factors of a chunk's steps, and the sums over features that they come from.
struct Factors {
    Buffer own, mean;         // (stride)
    Buffer centre;            // (stride): where centred: the first feature's values, taken from all, for their digits
    Buffer z, inverse, root;  // Job::at(step in chunk, stimulus); of what is normalised 1/sqrt(own) and sqrt(own)
    explicit Factors(const Job& job)
        : own(job.stride),
          mean(job.stride),
          centre(job.stride),
          z(chunk * job.stride),
          inverse(job.traits.normalised ? chunk * job.stride : 0),
          root(job.traits.normalised ? chunk * job.stride : 0) {}

    void begin(const Job& job, int64_t feature) {
        std::fill_n(own.get(), job.stride, 0.0);
        std::fill_n(mean.get(), job.stride, 0.0);
        std::fill_n(centre.get(), job.stride, 0.0);
        if (job.traits.centred)
            for (int64_t i = 0; i < job.x.stimuli; ++i) centre[i] = job.x.values[i * job.x.count + feature];
    }
};

// One target's running state.
struct Running {
    Buffer pair, weight;                     // by block, row, lane
    Buffer target;                           // the same, of the target and behind it of each control
    Buffer before;                           // `pair` as the first pass saw it, where there are more
    std::unique_ptr<double[]> moments;       // (group, Moment, window): of its values less its shift
    std::vector<double> shift, share, tilt;  // (group): shift in use, sum of weights; (product, group): sum of the target
    enum Moment : int64_t { sums, squares, shifts, products };  // and one more for each control
    int64_t kinds;
    Running(const Job& job)
        : pair(job.values),
          weight(job.targets->weighted ? job.values : 0),
          target(job.products() * job.values),
          before(job.products() > most_products ? job.values : 0),
          shift(job.group_count()),
          share(job.group_count()),
          tilt(job.products() * job.group_count()),
          kinds(products + job.products()) {
        moments.reset(new double[kinds * job.window * job.group_count()]);
    }
    double* moment(const Job& job, int64_t group, int64_t kind) const {
        return moments.get() + (group * kinds + kind) * job.window;
    }

    void begin(const Job& job, int64_t t) {
        const StandardTargets& targets = *job.targets;
        const int64_t lanes = simd_lanes(), pattern = targets.pattern_of(t);
        const double* w = targets.weighted ? targets.weights(pattern) : nullptr;
        std::fill_n(pair.get(), job.values, 0.0);
        std::fill_n(target.get(), job.products() * job.values, 0.0);
        if (w) std::fill_n(weight.get(), job.values, 0.0);
        for (int64_t g = 0; g < job.group_count(); ++g) {
            double shares[widest] = {};  // by lane: sums that wait for one another take long
            for (int64_t b = job.groups[g]; b < job.groups[g + 1]; ++b)
                job.each_row(job.blocks[b], lanes, [&](int64_t p, int64_t at, int64_t lane, int64_t count) {
                    for (int64_t c = 0; c < count; ++c) {
                        if (w) weight[at + c] = w[p + c];
                        shares[lane + c] += w ? w[p + c] : 1;
                    }
                });
            share[g] = std::accumulate(shares, shares + widest, 0.0);
            shift[g] = 0;
            for (int64_t k = 0; k < job.products(); ++k) {
                const double* h = k == 0 ? targets.row(t) : targets.control(pattern, k - 1);
                double *to = &target[k * job.values], tilts[widest] = {};
                for (int64_t b = job.groups[g]; b < job.groups[g + 1]; ++b)
                    job.each_row(job.blocks[b], lanes, [&](int64_t p, int64_t at, int64_t lane, int64_t count) {
                        for (int64_t c = 0; c < count; ++c) {
                            to[at + c] = h[p + c];
                            tilts[lane + c] += h[p + c];
                        }
                    });
                tilt[k * job.group_count() + g] = std::accumulate(tilts, tilts + widest, 0.0);
            }
        }
    }

    // A group's pair sums, kept for the passes that come, or brought back.
    void keep(const Job& job, int64_t group) {
        std::copy_n(&pair[job.at_group(group)], job.size_of(group), &before[job.at_group(group)]);
    }
    void come_back(const Job& job, int64_t group) {
        std::copy_n(&before[job.at_group(group)], job.size_of(group), &pair[job.at_group(group)]);
    }
    // Once a group went through the steps of a chunk: the mean of its last one is the shift of the next chunk.
    void end_chunk(const Job& job, int64_t group, int64_t start, int64_t steps) {
        std::fill_n(moment(job, group, shifts) + start, steps, shift[group]);
        if (!job.targets->centred) return;
        const double mean = moment(job, group, sums)[start + steps - 1] / share[group];
        shift[group] = std::isfinite(mean) ? shift[group] + mean : 0;
    }
};

// X by blocks of eight stimuli, zeros behind the last.
struct PackEight {
    template <int L>
    ALWAYS_INLINE static void run(const Features* x, int64_t first, double* to) {
        pack_strip<L, widest>(*x, nullptr, nullptr, 0, x->count, first, to);
    }
};

void Job::pack(int threads) {
    packed = Buffer(stride * x.count);
    const auto eight = choose<PackEight, const Features*, int64_t, double*>();
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t i = 0; i < stride; i += widest) eight(&x, i, &packed[i * x.count]);
}

// Factors of a chunk's steps, `before` which others came, for the stimuli [from, from + widest): centred and normed as the rule
// asks.
template <class Rule>
struct Prepare {
    // False where Newton steps can't take the roots of what is too small or large (maths.hpp).
    template <int L, bool newton>
    ALWAYS_INLINE static bool steps_of(const Job& job, Factors& f, const int64_t* order, int64_t steps, int64_t before,
                                       int64_t pattern, int64_t from) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        constexpr int V = widest / L;
        const int64_t n = job.x.stimuli, d = job.x.count;
        const double* packed = job.packed.get() ? &job.packed[from * d] : nullptr;
        const double* row = job.x.values + from * d;
        const int64_t ahead = 16, there = std::min(widest, n - from);
        alignas(64) double gathered[widest] = {}, undefined[widest];
        for (int l = 0; l < widest; ++l) undefined[l] = l < there && job.targets->active(pattern, from + l) ? nan : 0.0;
        Vec own[V], mean[V], centre[V], least[V];
        UNROLL(4)
        for (int v = 0; v < V; ++v) {
            own[v] = S::load(&f.own[from + v * L]);
            mean[v] = S::load(&f.mean[from + v * L]);
            centre[v] = S::load(&f.centre[from + v * L]);
            least[v] = S::splat(1.0);
        }
        for (int64_t s = 0; s < steps; ++s) {
            const double* x = gathered;
            if (packed) {
                if (s + ahead < steps) __builtin_prefetch(packed + order[s + ahead] * widest);
                x = packed + order[s] * widest;
            } else {
                for (int64_t l = 0; l < there; ++l) gathered[l] = row[l * d + order[s]];
            }
            const double seen = static_cast<double>(before + s);
            const double weight = Rule::centred ? std::sqrt(centring_weight(seen, 1)) : 1, share = 1 / (seen + 1);
            const int64_t to = job.at(s, from);
            UNROLL(4)
            for (int v = 0; v < V; ++v) {
                Vec z = S::load(x + v * L);
                if constexpr (Rule::centred) {
                    const Vec gap = z - centre[v] - mean[v];
                    z = gap * weight;
                    mean[v] += gap * share;
                }
                S::store(&f.z[to + v * L], z);
                if constexpr (Rule::normalised) {
                    own[v] += z * z;
                    const Vec safe = own[v] > 0 ? own[v] : S::splat(1.0);
                    Vec inverse, root;
                    if constexpr (newton) {
                        inverse = inverse_root<L>(safe);
                        root = own[v] * inverse;
                        least[v] = safe < least[v] ? safe : least[v];
                    } else {
                        root = S::sqrt(safe);
                        inverse = 1.0 / root;
                    }
                    S::store(&f.inverse[to + v * L], own[v] > 0 ? inverse : S::load(undefined + v * L));
                    S::store(&f.root[to + v * L], own[v] > 0 ? root : Vec{});
                }
            }
        }
        for (int v = 0; newton && v < V; ++v)
            for (int l = 0; l < L; ++l)
                if (least[v][l] < least_square || !(own[v][l] < most_square)) return false;
        UNROLL(4)
        for (int v = 0; v < V; ++v) {
            S::store(&f.own[from + v * L], own[v]);
            S::store(&f.mean[from + v * L], mean[v]);
        }
        return true;
    }

    template <int L>
    ALWAYS_INLINE static void run(const Job* job, Factors* f, const int64_t* order, int64_t steps, int64_t before,
                                  int64_t pattern, int64_t from) {
        if (!steps_of<L, true>(*job, *f, order, steps, before, pattern, from))
            steps_of<L, false>(*job, *f, order, steps, before, pattern, from);
    }
};

// One group through the steps of a chunk, which begins at `start` in its window, with some of what it is multiplied by.
template <class Rule, bool weighted, int products>
struct Advance {
    static constexpr int kinds = 2 + products;  // of sums
    // Steps at once: as many as the registers hold with the sums and the partners' factors for each.
    template <int L>
    static constexpr int together = many_registers<L> && products <= 3 ? 4 : 2;

    // A value times its partner's norm is sum * inverse of the row - shift * root of the partner, whose inverse norm then
    // scales what has been summed up. totals [step][kind][lane].
    template <int L, int steps>
    ALWAYS_INLINE static void tile(const Job& job, Running& r, const Factors& f, const Block& block, int64_t first,
                                   int64_t products_before, double shift, double* totals) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        Vec a[steps], b[steps], c[products][steps], zj[steps], cj[steps];
        const int64_t column = job.at(first, block.j);
        UNROLL(4)
        for (int s = 0; s < steps; ++s) {
            a[s] = b[s] = cj[s] = Vec{};
            for (int k = 0; k < products; ++k) c[k][s] = Vec{};
            zj[s] = S::load(&f.z[column + s * widest]);
            if constexpr (Rule::normalised) cj[s] = S::load(&f.root[column + s * widest]) * shift;
        }
        const double *z = &f.z[job.at(first, 0)], *inverse = Rule::normalised ? &f.inverse[job.at(first, 0)] : nullptr;
        double* pairs = &r.pair[block.at];
        const double* target = &r.target[products_before * job.values + block.at];
        const double* weight = weighted ? &r.weight[block.at] : nullptr;
        const int64_t apart = job.values;
        const double* mask = job.mask.get();
        const auto rows = [&](int64_t i, int64_t end, auto masked) INLINE_LAMBDA {
            for (; i < end; ++i, pairs += L, target += L) {
                const int64_t at = i / widest * (widest * widest) + i % widest;
                Vec pair = S::load(pairs), w{}, keep{};
                Vec h[products];
                UNROLL(4)
                for (int k = 0; k < products; ++k) h[k] = S::load(target + k * apart);
                if constexpr (weighted) {
                    w = S::load(weight);
                    weight += L;
                } else if constexpr (masked()) {
                    keep = S::load(mask);
                    mask += L;
                }
                UNROLL(4)
                for (int s = 0; s < steps; ++s) {
                    pair = Rule::template moved<1>(pair, zj[s], z[at + s * widest]);
                    Vec value;
                    if constexpr (Rule::normalised)
                        value = pair * inverse[at + s * widest] - cj[s];
                    else if constexpr (Rule::rooted)
                        value = S::sqrt(pair) - shift;
                    else
                        value = pair - shift;
                    if constexpr (weighted) {
                        const Vec weighed = w * value;
                        a[s] += weighed;
                        b[s] += weighed * value;
                    } else {
                        if constexpr (masked()) value *= keep;
                        a[s] += value;
                        b[s] += value * value;
                    }
                    UNROLL(4)
                    for (int k = 0; k < products; ++k) c[k][s] += h[k] * value;
                }
                S::store(pairs, pair);
            }
        };
        rows(block.i, block.diagonal, std::false_type{});
        rows(block.diagonal, block.end, std::true_type{});
        Vec there = S::splat(1.0);  // lanes behind the last stimulus are nobody's; their inverse norms are 0
        if (!Rule::normalised && block.j + L > job.x.stimuli)
            for (int l = 0; l < L; ++l) there[l] = block.j + l < job.x.stimuli ? 1 : 0;
        UNROLL(4)
        for (int s = 0; s < steps; ++s) {
            Vec scale = there;
            if constexpr (Rule::normalised) scale = S::load(&f.inverse[column + s * widest]);
            double* total = totals + (first + s) * kinds * L;
            S::store(total, S::load(total) + a[s] * scale);
            S::store(total + L, S::load(total + L) + b[s] * (scale * scale));
            for (int k = 0; k < products; ++k) S::store(total + (2 + k) * L, S::load(total + (2 + k) * L) + c[k][s] * scale);
        }
    }

    template <int L>
    ALWAYS_INLINE static void run(const Job* job, Running* r, const Factors* f, int64_t group, int64_t start, int64_t steps,
                                  int64_t products_before) {
        using S = Simd<L>;
        constexpr int T = together<L>;
        alignas(64) double totals[chunk * kinds * L];
        std::fill_n(totals, steps * kinds * L, 0.0);
        const double shift = r->shift[group];
        for (int64_t b = job->groups[group]; b < job->groups[group + 1]; ++b) {
            int64_t s = 0;
            for (; s + T <= steps; s += T) tile<L, T>(*job, *r, *f, job->blocks[b], s, products_before, shift, totals);
            for (; s < steps; ++s) tile<L, 1>(*job, *r, *f, job->blocks[b], s, products_before, shift, totals);
        }
        for (int m = 0; m < kinds; ++m) {
            double* moments = r->moment(*job, group, m < 2 ? m : Running::products + products_before + m - 2) + start;
            int64_t s = 0;
            for (; s + L <= steps; s += L) {  // as many steps as lanes: their sums are those of the transposed rows
                typename S::Vec lanes[L];
                UNROLL(8)
                for (int l = 0; l < L; ++l) lanes[l] = S::load(totals + ((s + l) * kinds + m) * L);
                S::transpose(lanes);
                UNROLL(8)
                for (int l = 1; l < L; ++l) lanes[0] += lanes[l];
                S::store(moments + s, lanes[0]);
            }
            for (; s < steps; ++s) moments[s] = S::sum(S::load(totals + (s * kinds + m) * L));
        }
    }
};

// The groups' moments of L steps at once, all shifted to the common mean; `raw`, `scale`: their squares before that, and
// unshifted; `explained`: the squares of the products with controls.
struct PutTogether {
    static constexpr int most = widest;
    struct Found {
        double sum[most], squares[most], product[most], raw[most], scale[most], explained[most];
    };
    template <int L>
    ALWAYS_INLINE static void run(const Job* job, const Running* r, int64_t step, double weight, Found* found) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        const int64_t window = job->window, groups = job->group_count();
        for (int from = 0; from < most; from += L) {
            Vec total{}, sum{}, squares{}, product{}, raw{}, scale{}, explained{};
            for (int64_t g = 0; g < groups; ++g) {
                const double* m = r->moment(*job, g, Running::sums) + step + from;
                total += S::load(m) + S::load(m + Running::shifts * window) * r->share[g];
            }
            const Vec mean = job->targets->centred ? total / weight : Vec{};
            for (int64_t g = 0; g < groups; ++g) {
                const double* m = r->moment(*job, g, Running::sums) + step + from;
                const double share = r->share[g];
                const Vec one = S::load(m), two = S::load(m + window), shift = S::load(m + Running::shifts * window);
                const Vec gap = shift - mean;
                sum += one + gap * share;
                squares += two + gap * (2.0 * one + gap * share);
                product += S::load(m + Running::products * window) + gap * r->tilt[g];
                raw += two;
                scale += unshifted(one, two, shift, share);
            }
            for (int64_t k = 1; k < job->products(); ++k) {
                Vec control{};
                for (int64_t g = 0; g < groups; ++g) {
                    const double* m = r->moment(*job, g, Running::products + k) + step + from;
                    control += S::load(m) +
                               (S::load(r->moment(*job, g, Running::shifts) + step + from) - mean) * r->tilt[k * groups + g];
                }
                explained += control * control;
            }
            S::store(found->explained + from, explained);
            S::store(found->sum + from, sum);
            S::store(found->squares + from, squares);
            S::store(found->product + from, product);
            S::store(found->raw + from, raw);
            S::store(found->scale + from, scale);
        }
    }
};

// Where the chunk that begins at `first` in its window ends: short ones at the very start, where means move fast.
int64_t next_chunk(int64_t window_start, int64_t first, int64_t length) {
    const int64_t step = window_start + first;
    return std::min(first + (step < chunk ? std::max(step, widest) : chunk), length);
}

// Whether threads share one target's pairs: where there are fewer targets than threads, or few for so many pairs. Else each
// takes targets.
bool share_targets(const Job& job, const Context& context) {
    constexpr int64_t many_pairs = 1 << 16;
    const int64_t targets = job.targets->count, threads = context.threads;
    return targets < threads || (threads > 1 && job.x.pairs() >= many_pairs && targets < 8 * threads);
}

// A few of the products with the target and its controls, and what takes so many at once.
struct Pass {
    void (*advance)(const Job*, Running*, const Factors*, int64_t group, int64_t start, int64_t steps, int64_t products_before);
    int64_t products_before;
};

template <class Rule>
std::vector<Pass> passes_of(const Job& job) {
    std::vector<Pass> passes;
    for (int64_t before = 0; before < job.products(); before += most_products)
        with_products(job.products() - before, [&](auto products) {
            const auto of = [&](auto weighted) {
                return choose<Advance<Rule, weighted(), products()>, const Job*, Running*, const Factors*, int64_t, int64_t,
                              int64_t, int64_t>();
            };
            passes.push_back({job.targets->weighted ? of(std::true_type{}) : of(std::false_type{}), before});
        });
    return passes;
}

// The pairs that count in a target that has few, and behind them some of a stimulus that isn't there, up to whole vectors.
struct Listed {
    std::vector<int32_t> ends;    // (count, 2) stimuli
    Buffer pair, target, weight;  // (count)
    int64_t count;
    Listed(const Job& job, int64_t t) {
        const StandardTargets& targets = *job.targets;
        const int64_t n = job.x.stimuli;
        const double *w = targets.weights(targets.pattern_of(t)), *h = targets.row(t);
        count = padded(targets.counted(t));
        ends.assign(2 * count, static_cast<int32_t>(n));
        pair = Buffer(count, 0.0);
        target = Buffer(count, 0.0);
        weight = Buffer(count, 0.0);
        for (int64_t i = 0, p = 0, at = 0; i < n; ++i)
            for (int64_t j = i + 1; j < n; ++j, ++p) {
                if (!(w[p] > 0)) continue;
                ends[2 * at] = static_cast<int32_t>(i);
                ends[2 * at + 1] = static_cast<int32_t>(j);
                target[at] = h[p];
                weight[at++] = w[p];
            }
    }
};

// Some listed pairs through as many steps as a vector has lanes. Factors, (stimuli + 1, 2 L): z of each step, and inverse norms;
// products of them have lanes over steps, and change places to have lanes over pairs. totals [3][step].
template <class Rule>
struct AdvanceListed {
    template <int L>
    ALWAYS_INLINE static void run(const Listed* listed, const double* factors, int64_t begin, int64_t end, double shift,
                                  double* totals) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        Vec sums[3][L];
        UNROLL(8)
        for (int s = 0; s < L; ++s) sums[0][s] = sums[1][s] = sums[2][s] = Vec{};
        for (int64_t p = begin; p < end; p += L) {
            Vec moved[L], inverse[L];
            UNROLL(8)
            for (int l = 0; l < L; ++l) {
                const double *fi = factors + listed->ends[2 * (p + l)] * int64_t{2 * L},
                             *fj = factors + listed->ends[2 * (p + l) + 1] * int64_t{2 * L};
                moved[l] = Rule::template moved<1>(Vec{}, S::load(fi), S::load(fj));
                if constexpr (Rule::normalised) inverse[l] = S::load(fi + L) * S::load(fj + L);
            }
            S::transpose(moved);
            if constexpr (Rule::normalised) S::transpose(inverse);
            Vec pair = S::load(&listed->pair[p]);
            const Vec h = S::load(&listed->target[p]), w = S::load(&listed->weight[p]);
            UNROLL(8)
            for (int s = 0; s < L; ++s) {
                pair += moved[s];
                Vec value = pair;
                if constexpr (Rule::normalised) value *= inverse[s];
                if constexpr (Rule::rooted) value = S::sqrt(value);
                value -= shift;
                const Vec weighed = w * value;
                sums[0][s] += weighed;
                sums[1][s] += weighed * value;
                sums[2][s] += h * value;
            }
            S::store(&listed->pair[p], pair);
        }
        UNROLL(3)
        for (int m = 0; m < 3; ++m) {
            S::transpose(sums[m]);
            UNROLL(8)
            for (int l = 1; l < L; ++l) sums[m][0] += sums[m][l];
            S::store(totals + m * L, sums[m][0]);
        }
    }
};

// Whether all targets together have so few of the pairs that going from one to the next costs less than passing over all.
// Controls have all pairs.
bool have_few(const StandardTargets& targets) {
    int64_t counted = 0;
    for (int64_t t = 0; t < targets.count; ++t) counted += targets.counted(t);
    return targets.controls == 0 && 3 * counted < targets.pairs * targets.count;
}

// Targets that have few of the pairs, one after the other. Groups of pairs, by their number alone, are shared out.
template <class Rule>
void by_listed_moments(const Job& job, const Orders& orders, const Context& context, double* out, char* needs_recompute) {
    const StandardTargets& targets = *job.targets;
    const int64_t n = job.x.stimuli, d = job.x.count, steps = orders.steps, lanes = simd_lanes();
    const auto advance = choose<AdvanceListed<Rule>, const Listed*, const double*, int64_t, int64_t, double, double*>();
    Buffer factors((n + 1) * 2 * lanes, 0.0), own(n), mean(n);
    for (int64_t t = 0; t < targets.count && !context.stop(0); ++t) {
        const Listed listed(job, t);
        const int64_t* order = orders.of(t);
        const int64_t pattern = targets.pattern_of(t), group = std::max<int64_t>(1024, padded((listed.count + 31) / 32));
        const int64_t groups = (listed.count + group - 1) / group;
        const double weight = targets.total(pattern);
        std::vector<double> totals(std::max<int64_t>(1, groups) * 3 * lanes);
        std::fill_n(own.get(), n, 0.0);
        std::fill_n(mean.get(), n, 0.0);
        double shift = 0;
        for (int64_t start = 0; start < steps && !context.stop(0); start += lanes) {
            const int64_t length = std::min(lanes, steps - start);
            for (int64_t i = 0; i < n; ++i) {
                const double *x = job.x.values + i * d, first = Rule::centred ? x[order[0]] : 0;
                double* f = &factors[i * 2 * lanes];
                for (int64_t l = 0; l < lanes; ++l) {
                    double z = l < length ? x[order[start + l]] - first : 0;
                    if constexpr (Rule::centred) {
                        const auto seen = static_cast<double>(start + l);
                        const double gap = l < length ? z - mean[i] : 0;
                        mean[i] += gap / (seen + 1);
                        z = gap * std::sqrt(centring_weight(seen, 1));
                    }
                    own[i] += z * z;
                    f[l] = z;
                    f[lanes + l] = inverse_norm(own[i]);
                }
            }
            share_out(groups, context.threads, context, [&](int64_t g, int) {
                advance(&listed, factors.get(), g * group, std::min((g + 1) * group, listed.count), shift,
                        &totals[g * 3 * lanes]);
            });
            Moments m{};
            for (int64_t l = 0; l < length; ++l) {
                m = {};
                for (int64_t g = 0; g < groups; ++g) {
                    const double* of = &totals[g * 3 * lanes] + l;
                    m.sum += of[0], m.squares += of[lanes], m.product += of[2 * lanes];
                }
                const int64_t at = t * steps + start + l;
                bool trusted;
                const double scale = unshifted(m.sum, m.squares, shift, weight);
                out[at] = job.traits.orientation * alignment_of(m, m.squares, scale, weight, targets.centred, trusted);
                needs_recompute[at] = trusted ? 0 : anew;
            }
            if (targets.centred) shift = std::isfinite(m.sum) ? shift + m.sum / weight : 0;
            context.did(static_cast<double>(length) / static_cast<double>(steps * targets.count));
        }
    }
}

template <class Rule>
void by_moments(const Job& job, const Orders& orders, const Context& context, double* out, char* needs_recompute) {
    const StandardTargets& targets = *job.targets;
    const int64_t steps = orders.steps;
    const auto prepare = choose<Prepare<Rule>, const Job*, Factors*, const int64_t*, int64_t, int64_t, int64_t, int64_t>();
    const std::vector<Pass> passes = passes_of<Rule>(job);
    const auto put_together = choose<PutTogether, const Job*, const Running*, int64_t, double, PutTogether::Found*>();
    const int inner = share_targets(job, context) ? context.threads : 1;
    const int outer = inner > 1 ? 1 : context.threads;
    std::vector<Running> running;
    std::vector<Factors> factors;
    for (int t = 0; t < context.threads; ++t) factors.emplace_back(job);
    for (int t = 0; t < outer; ++t) running.emplace_back(job);
    const auto run_target = [&](int64_t t, int slot) {
        Running& r = running[slot];
        const int64_t* order = orders.of(t);
        const int64_t pattern = targets.pattern_of(t);
        const double weight = targets.total(pattern);
        r.begin(job, t);
        for (int64_t start = 0; start < steps && !context.stop(slot); start += job.window) {
            const int64_t length = std::min(job.window, steps - start);
#pragma omp parallel num_threads(inner) if (inner > 1)
            {
                const int thread = inner > 1 ? omp_thread() : slot;
                const int64_t width = inner > 1 ? omp_team() : 1, rank = inner > 1 ? thread : 0;
                // Rounded up, so that the caller's thread, which asks whether to stop, has groups however few there are.
                const auto share = [&](int64_t before) { return (before * job.group_count() + width - 1) / width; };
                const int64_t begin = share(rank), end = share(rank + 1);
                Factors& f = factors[thread];
                if (start == 0) f.begin(job, order[0]);
                for (int64_t c = 0, next; c < length && begin < end && !context.stop(thread); c = next) {
                    next = next_chunk(start, c, length);
                    for (int64_t from = 0; from < job.stride; from += widest)
                        prepare(&job, &f, order + start + c, next - c, start + c, pattern, from);
                    for (int64_t g = begin; g < end && !context.stop(thread); ++g) {
                        if (passes.size() > 1) r.keep(job, g);
                        for (const Pass& pass : passes) {
                            if (pass.products_before > 0) r.come_back(job, g);
                            pass.advance(&job, &r, &f, g, c, next - c, pass.products_before);
                        }
                        r.end_chunk(job, g, c, next - c);
                    }
                    if (rank == 0) context.did(static_cast<double>(next - c) / static_cast<double>(steps * targets.count));
                }
#pragma omp barrier
#pragma omp for schedule(static)
                for (int64_t from = 0; from < length; from += PutTogether::most) {
                    PutTogether::Found found;
                    put_together(&job, &r, from, weight, &found);
                    for (int64_t s = from; s < std::min(from + PutTogether::most, length); ++s) {
                        const int64_t l = s - from, at = t * steps + start + s;
                        bool trusted, enough = true;
                        double spread = spread_of(found.sum[l], found.squares[l], found.raw[l], found.scale[l], weight,
                                                  targets.centred, trusted);
                        if (targets.controls > 0) spread = spread_left(spread, found.explained[l], found.raw[l], enough);
                        out[at] = job.traits.orientation * (found.product[l] / spread);
                        needs_recompute[at] = !trusted ? anew : enough ? 0 : compared;
                    }
                }
            }
        }
    };
    if (inner > 1) {  // no team around it: threads of a nested one are started anew each time
        for (int64_t t = 0; t < targets.count; ++t) run_target(t, 0);
        return;
    }
    share_out(targets.count, outer, context, run_target);
}

// Any comparator: the similarities of every prefix, then the comparison. Some steps at a time: threads that share a run take rows
// of the pairs through all of them, and then each some steps to compare.
void by_similarities(const Job& job, const int64_t* orders, int64_t order_count, int64_t steps, const Context& context,
                     double* out) {
    const int64_t n = job.x.stimuli, pairs = job.x.pairs(), targets = job.targets->count;
    // One order for all targets is one run; else a run a target.
    const int64_t runs = order_count == 1 ? 1 : targets;
    const int inner = runs < context.threads ? context.threads : 1, outer = inner > 1 ? 1 : context.threads;
    const int64_t together = order_count == 1 ? job.targets->together() : 1;
    // Threads that share a run meet seldom: eight megabytes of similarities; else they stay in the second-level cache.
    const int64_t most_values = inner > 1 ? 1 << 20 : 1 << 16, least_steps = std::max<int64_t>(inner, together);
    const int64_t some =
        std::clamp<int64_t>(most_values / std::max<int64_t>(pairs, 1), least_steps, std::max<int64_t>(least_steps, 256));
    struct Run {
        Prefixes prefixes;
        Buffer similarities;
        Run(const Job& job, int64_t some) : prefixes(job.x.stimuli, job.metric, some), similarities(some * job.x.pairs()) {}
    };
    std::vector<std::unique_ptr<Run>> scratch;
    std::vector<CompareScratch> compare_scratch;
    for (int t = 0; t < outer; ++t) scratch.push_back(std::make_unique<Run>(job, std::min(some, std::max<int64_t>(steps, 1))));
    for (int t = 0; t < context.threads; ++t) compare_scratch.emplace_back(n, pairs, together, &context);
    const Columns columns{job.x.values, job.x.count, 1};
    const std::vector<int64_t> rows = row_shares(n, inner > 1 ? std::min<int64_t>(n, 16 * inner) : 1);
    const auto shares = static_cast<int64_t>(rows.size()) - 1;
    const auto compare_steps = [&](int64_t t, const double* similarities, int64_t step, int64_t some, int thread) {
        CompareScratch& own = compare_scratch[thread];
        if (order_count == 1) return compare_all(*job.targets, similarities, some, own, out + step, 1, steps);
        job.targets->prepare(job.targets->pattern_of(t), similarities, own);
        out[t * steps + step] = job.targets->alignment(t, similarities, own);
    };
    const auto run_order = [&](int64_t t, int slot) {
        if (context.stop(slot)) return;
        Prefixes& prefixes = scratch[slot]->prefixes;
        const Buffer& similar = scratch[slot]->similarities;
        bool ended = false;            // asked by one for all, so that all leave the loop together
        std::atomic<int64_t> left{0};  // steps to compare
        const int64_t* order = orders + t * steps;
        if (steps > 0) prefixes.begin(columns, order);
#pragma omp parallel num_threads(inner) if (inner > 1)
        {
            const int thread = inner > 1 ? omp_thread() : slot;
            for (int64_t start = 0; start < steps; start += some) {
                const int64_t length = std::min(some, steps - start);
#pragma omp for schedule(static)
                for (int64_t b = 0; b < prefixes.blocks(); ++b) prefixes.prepare(columns, order, start, length, b);
#pragma omp single
                {
                    ended = context.stop(thread);
                    left = (length + together - 1) / together;
                    context.did(static_cast<double>(length) / static_cast<double>(steps * runs));
                }
                if (ended) break;
#pragma omp for schedule(dynamic)
                for (int64_t g = 0; g < shares; ++g)
                    if (!context.stop(thread)) prefixes.values(rows[g], rows[g + 1], 0, length, similar.get(), pairs);
#pragma omp for schedule(dynamic) nowait
                for (int64_t s = 0; s < length; s += together) {
                    if (!context.stop(thread))
                        compare_steps(t, &similar[s * pairs], start + s, std::min(together, length - s), thread);
                    --left;
                }
                keep_asking(left, thread, context);
#pragma omp barrier
            }
        }
    };
    if (inner > 1) {  // no team around it: threads of a nested one are started anew each time
        for (int64_t t = 0; t < runs; ++t) run_order(t, 0);
        return;
    }
    share_out(runs, outer, context, run_order);
}

// The prefixes of which controls leave too little for sums.
void compare_where_asked(const Job& job, const Orders& orders, const Context& context, double* out, char* needs_recompute) {
    const int64_t all = job.targets->count * orders.steps;
    if (context.stop(0) || std::find(needs_recompute, needs_recompute + all, compared) == needs_recompute + all) return;
    Buffer found(all);
    by_similarities(job, orders.values, orders.count, orders.steps, context, found.get());
    for (int64_t at = 0; at < all; ++at)
        if (needs_recompute[at] == compared) {
            out[at] = found[at];
            needs_recompute[at] = 0;
        }
}

}  // namespace

void insertion_curve(const Features& x, const InsertionPlan& plan, const Context& context, double* out, char* needs_recompute) {
    const StandardTargets& targets = *plan.targets.of;
    const Orders& orders = plan.orders;
    Job job(x, plan.metric, targets);
    if (!secateur::by_moments(targets.comparator)) {
        by_similarities(job, orders.values, orders.count, orders.steps, context, out);
        return;
    }
    if (have_few(targets)) {
        with_rule(plan.metric, [&](auto rule) { by_listed_moments<decltype(rule)>(job, orders, context, out, needs_recompute); });
        return;
    }
    job.divide(simd_lanes());
    // Moments of a window: threads that share a target keep about four megabytes, others a chunk's.
    if (share_targets(job, context))
        job.window = std::clamp<int64_t>((4 << 20) / (8 * (3 + job.products()) * job.group_count()) / chunk * chunk, chunk,
                                         longest_window);
    if (job.stride * x.count <= most_packed) job.pack(context.threads);
    with_rule(plan.metric, [&](auto rule) { by_moments<decltype(rule)>(job, orders, context, out, needs_recompute); });
    compare_where_asked(job, orders, context, out, needs_recompute);
}

}  // namespace secateur::cpu
