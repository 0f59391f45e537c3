#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "space.hpp"
#include "targets.hpp"

// The pair sums of one target run through its order; every step adds one feature and takes the three moments.
// Steps go in chunks (their factors made together) of tiles (whose moments stay in registers while a row of pair sums
// is loaded and stored once); stimuli go in row groups, a fixed split, so that threads never change a sum's order.
namespace secateur::cpu {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t longest_chunk = 128, widest = 8;

int64_t padded(int64_t n) { return (n + widest - 1) / widest * widest; }

// Where row groups of about equally many pairs begin; depends on the number of stimuli alone.
std::vector<int64_t> row_groups(int64_t n) {
    const int64_t pairs = n * (n - 1) / 2, groups = std::clamp<int64_t>(pairs / 256, 1, 32);
    std::vector<int64_t> starts;
    for (int64_t i = 0; i < n; ++i)
        if (row_start(i, n) * groups >= static_cast<int64_t>(starts.size()) * pairs) starts.push_back(i);
    starts.push_back(n);
    return starts;
}

// What all targets of a call share.
struct Job {
    Features x;
    Metric metric;
    const StandardTargets* targets;
    Buffer columns;   // (features, padded stimuli): X transposed, rows centred for correlation
    Buffer at_end;    // (widest): mask that blanks the lanes behind the last stimulus
    int64_t stride;
    std::vector<int64_t> groups;
};

// One target's running state.
struct Running {
    Buffer pair, target, weight;                     // (stimuli, stride), upper triangle
    Buffer own, mean;                                // (stride)
    Buffer z, inverse;                               // (chunk, stride): factors of a chunk's steps
    Buffer sums, squares, products;                  // (group, chunk)
    double shift = 0;
    int64_t seen = 0;  // features so far
    Running(const Job& job)
        : pair(job.x.stimuli * job.stride),
          target(job.x.stimuli * job.stride),
          weight(job.targets->weighted ? job.x.stimuli * job.stride : 0),
          own(job.stride),
          mean(job.stride),
          z(longest_chunk * job.stride),
          inverse(longest_chunk * job.stride),
          sums(longest_chunk * job.groups.size()),
          squares(longest_chunk * job.groups.size()),
          products(longest_chunk * job.groups.size()) {}

    void begin(const Job& job, int64_t t) {
        const int64_t n = job.x.stimuli;
        const StandardTargets& targets = *job.targets;
        std::fill_n(pair.get(), n * job.stride, 0.0);
        std::fill_n(target.get(), n * job.stride, 0.0);
        std::fill_n(own.get(), job.stride, 0.0);
        std::fill_n(mean.get(), job.stride, 0.0);
        if (targets.weighted) std::fill_n(weight.get(), n * job.stride, 0.0);
        for (int64_t i = 0; i < n; ++i) {
            const int64_t length = n - i - 1;
            std::copy_n(targets.row(t) + row_start(i, n), length, &target[i * job.stride + i + 1]);
            if (targets.weighted)
                std::copy_n(targets.weights(targets.pattern_of(t)) + row_start(i, n), length, &weight[i * job.stride + i + 1]);
        }
        shift = 0;
        seen = 0;
    }
};

// Factors of a chunk's steps for the stimuli [from, from + widest): gathered, centred (correlation), normed.
template <class Rule>
struct Prepare {
    template <int L>
    ALWAYS_INLINE static void run(const Job* job, Running* r, const int64_t* order, int64_t steps, int64_t pattern, int64_t from) {
        double own[widest], mean[widest], undefined[widest];
        const StandardTargets& targets = *job->targets;
        for (int l = 0; l < widest; ++l) {
            own[l] = r->own[from + l];
            mean[l] = r->mean[from + l];
            undefined[l] = from + l < job->x.stimuli && targets.active(pattern, from + l) ? nan : 0.0;
        }
        for (int64_t s = 0; s < steps; ++s) {
            const double* x = &job->columns[order[s] * job->stride + from];
            double* z = &r->z[s * job->stride + from];
            double* inverse = &r->inverse[s * job->stride + from];
            if (job->metric == Metric::correlation) {
                const double before = static_cast<double>(r->seen + s);
                const double weight = std::sqrt(centring_weight(before, 1)), share = 1 / (before + 1);
#pragma omp simd
                for (int l = 0; l < widest; ++l) {
                    const double gap = x[l] - mean[l];
                    z[l] = gap * weight;
                    mean[l] += gap * share;
                }
            } else {
#pragma omp simd
                for (int l = 0; l < widest; ++l) z[l] = x[l];
            }
            if constexpr (Rule::normalised) {
#pragma omp simd
                for (int l = 0; l < widest; ++l) {
                    own[l] += z[l] * z[l];
                    const double root = std::sqrt(own[l] > 0 ? own[l] : 1.0);
                    inverse[l] = own[l] > 0 ? 1.0 / root : undefined[l];
                }
            }
        }
        for (int l = 0; l < widest; ++l) {
            r->own[from + l] = own[l];
            r->mean[from + l] = mean[l];
        }
    }
};

// One row group through a chunk: sums over its pairs, for every step.
template <class Rule, bool weighted>
struct Advance {
    template <int L, int steps>
    ALWAYS_INLINE static void tile(const Job& job, const Running& r, int64_t group, int64_t first) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        const int64_t n = job.x.stimuli, stride = job.stride;
        Vec a[steps] = {}, b[steps] = {}, c[steps] = {};
        const double *z = &r.z[first * stride], *inverse = &r.inverse[first * stride];
        const Vec shift = S::splat(r.shift);
        for (int64_t i = job.groups[group]; i < job.groups[group + 1]; ++i) {
            const auto vector = [&](int64_t j, const double* mask) INLINE_LAMBDA {
                double* at = &r.pair[i * stride + j];
                Vec pair = S::load(at);
                const Vec h = S::load(&r.target[i * stride + j]);
                Vec w{}, keep{};
                if constexpr (weighted) w = S::load(&r.weight[i * stride + j]);
                if (mask) keep = S::load(mask);
#pragma GCC unroll 8
                for (int s = 0; s < steps; ++s) {
                    pair = Rule::template moved<1>(pair, S::splat(z[s * stride + i]), S::load(z + s * stride + j));
                    Vec value;
                    if constexpr (Rule::normalised)
                        value = (pair * S::load(inverse + s * stride + j)) * S::splat(inverse[s * stride + i]) - shift;
                    else if constexpr (Rule::rooted)
                        value = S::sqrt(pair) - shift;
                    else
                        value = pair - shift;
                    if constexpr (weighted) {
                        const Vec weighed = w * value;
                        a[s] += weighed;
                        b[s] += weighed * value;
                    } else {
                        if (mask) value *= keep;
                        a[s] += value;
                        b[s] += value * value;
                    }
                    c[s] += h * value;
                }
                S::store(at, pair);
            };
            const int64_t start = (i + 1) / L * L, end = n / L * L;
            if (start >= n) continue;
            if (start + L > n) {  // one vector, blank on both sides
                double both[L];
                for (int l = 0; l < L; ++l) both[l] = start + l > i && start + l < n ? 1 : 0;
                vector(start, both);
                continue;
            }
            double front[L];
            for (int l = 0; l < L; ++l) front[l] = start + l > i ? 1 : 0;
            vector(start, front);
            for (int64_t j = start + L; j < end; j += L) vector(j, nullptr);
            if (end < n) vector(end, job.at_end.get());
        }
        for (int s = 0; s < steps; ++s) {
            const int64_t at = group * longest_chunk + first + s;
            r.sums[at] = S::sum(a[s]);
            r.squares[at] = S::sum(b[s]);
            r.products[at] = S::sum(c[s]);
        }
    }

    template <int L>
    ALWAYS_INLINE static void run(const Job* job, const Running* r, int64_t steps, int64_t group) {
        constexpr int together = L == 8 ? 8 : 4;
        int64_t s = 0;
        for (; s + together <= steps; s += together) tile<L, together>(*job, *r, group, s);
        for (; s < steps; ++s) tile<L, 1>(*job, *r, group, s);
    }
};

// Steps whose moments lost their digits, from the features alone.
struct Exact {
    SpaceScratch space;
    Buffer similarities;
    CompareScratch look;
    Exact(const Features& x, int64_t steps) : space(x.stimuli, steps), similarities(x.pairs()), look(x.pairs()) {}
    double operator()(const Job& job, int64_t target, Indices prefix) {
        build_space(job.x, job.metric, prefix, -1, space.rows.get(), space.space, 1);
        finish(space.space, job.x.stimuli, job.metric, similarities.get());
        job.targets->look_at(job.targets->pattern_of(target), similarities.get(), look);
        return job.targets->alignment(target, similarities.get(), look);
    }
};

void transpose(Job& job, int threads) {
    const int64_t n = job.x.stimuli, d = job.x.count, stride = job.stride;
    std::vector<double> mean(n);
    constexpr int64_t tile = 16;
    job.columns = Buffer(d * stride);
    if (job.metric == Metric::correlation)  // any row constant may go; a large common one would cost digits
        for (int64_t i = 0; i < n; ++i) mean[i] = std::accumulate(job.x.values + i * d, job.x.values + (i + 1) * d, 0.0) / d;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t k0 = 0; k0 < d; k0 += tile)
        for (int64_t i0 = 0; i0 < stride; i0 += tile)
            for (int64_t k = k0; k < std::min(k0 + tile, d); ++k)
                for (int64_t i = i0; i < std::min(i0 + tile, stride); ++i)
                    job.columns[k * stride + i] = i < n ? job.x.values[i * d + k] - mean[i] : 0.0;
}

template <class Rule>
void by_moments(const Job& job, const int64_t* orders, int64_t order_count, int64_t steps, const Context& context, double* out) {
    const StandardTargets& targets = *job.targets;
    const auto prepare = choose<Prepare<Rule>, const Job*, Running*, const int64_t*, int64_t, int64_t, int64_t>();
    const auto advance = targets.weighted ? choose<Advance<Rule, true>, const Job*, const Running*, int64_t, int64_t>()
                                          : choose<Advance<Rule, false>, const Job*, const Running*, int64_t, int64_t>();
    const auto groups = static_cast<int64_t>(job.groups.size()) - 1;
    // Threads share one target's row groups where there are fewer targets than threads, else each takes targets.
    const int inner = targets.count < context.threads ? context.threads : 1;
    const int outer = inner > 1 ? 1 : context.threads;
    std::vector<Running> running;
    std::vector<Exact> exact;
    for (int t = 0; t < outer; ++t) {
        running.emplace_back(job);
        exact.emplace_back(job.x, steps);
    }
#pragma omp parallel for schedule(dynamic) num_threads(outer) if (outer > 1)
    for (int64_t t = 0; t < targets.count; ++t) {
        const int slot = outer > 1 ? omp_thread() : 0;
        Running& r = running[slot];
        const int64_t* order = orders + (order_count > 1 ? t * steps : 0);
        const int64_t pattern = targets.pattern_of(t);
        const double weight = targets.total(pattern);
        r.begin(job, t);
        for (int64_t start = 0, length = widest; start < steps; start += length, length = std::min(2 * length, longest_chunk)) {
            length = std::min(length, steps - start);
#pragma omp parallel num_threads(inner) if (inner > 1)
            {
#pragma omp for schedule(static)
                for (int64_t from = 0; from < job.stride; from += widest)
                    if (!context.stop(inner > 1 ? omp_thread() : slot)) prepare(&job, &r, order + start, length, pattern, from);
#pragma omp for schedule(dynamic)
                for (int64_t g = 0; g < groups; ++g)
                    if (!context.stop(inner > 1 ? omp_thread() : slot)) advance(&job, &r, length, g);
            }
            r.seen += length;
            double mean = 0;
            for (int64_t s = 0; s < length; ++s) {
                Moments m{0, 0, 0};
                for (int64_t g = 0; g < groups; ++g) {
                    m.sum += r.sums[g * longest_chunk + s];
                    m.squares += r.squares[g * longest_chunk + s];
                    m.product += r.products[g * longest_chunk + s];
                }
                bool trusted;
                double alignment = orientation(job.metric) * alignment_of(m, weight, targets.centred, trusted);
                if (!trusted && !context.stop(slot)) alignment = exact[slot](job, t, {order, start + s + 1});
                out[t * steps + start + s] = alignment;
                mean = m.sum / weight;
            }
            if (targets.centred) r.shift = std::isnan(mean) ? 0 : r.shift + mean;
        }
    }
}

// Any comparator: the similarities of every prefix, then the comparison.
template <class Rule>
void by_similarities(const Job& job, const int64_t* orders, int64_t order_count, int64_t steps, const Context& context, double* out) {
    struct Scratch {
        Space space;
        Buffer similarities;
        CompareScratch look;
        Scratch(int64_t n, int64_t pairs) : space(n), similarities(pairs), look(pairs) {}
    };
    const int64_t n = job.x.stimuli, pairs = job.x.pairs();
    std::vector<Scratch> scratch;
    for (int t = 0; t < context.threads; ++t) scratch.emplace_back(n, pairs);
    // One order for all targets is one run; else a run a target.
    const int64_t runs = order_count == 1 ? 1 : job.targets->count;
#pragma omp parallel for schedule(dynamic) num_threads(context.threads) if (context.threads > 1)
    for (int64_t t = 0; t < runs; ++t) {
        Scratch& own = scratch[omp_thread()];
        Space& space = own.space;
        std::fill_n(space.pair.get(), pairs, 0.0);
        std::fill_n(space.own.get(), n, 0.0);
        std::fill_n(space.mean.get(), n, 0.0);
        for (int64_t s = 0; s < steps && !context.stop(omp_thread()); ++s) {
            const double* x = &job.columns[orders[t * steps + s] * job.stride];
            double* z = space.inverse.get();
            for (int64_t i = 0; i < n; ++i) {
                const double gap = x[i] - space.mean[i], before = static_cast<double>(s);
                z[i] = job.metric == Metric::correlation ? gap * std::sqrt(centring_weight(before, 1)) : x[i];
                if (job.metric == Metric::correlation) space.mean[i] += gap / (before + 1);
                if (is_angular(job.metric)) space.own[i] += z[i] * z[i];
            }
            for (int64_t i = 0, p = 0; i < n; ++i)
                for (int64_t j = i + 1; j < n; ++j, ++p) space.pair[p] = Rule::template moved<1>(space.pair[p], z[i], z[j]);
            finish(space, n, job.metric, own.similarities.get());
            if (order_count == 1) {
                compare_all(*job.targets, own.similarities.get(), own.look, out + s, steps);
            } else {
                job.targets->look_at(job.targets->pattern_of(t), own.similarities.get(), own.look);
                out[t * steps + s] = job.targets->alignment(t, own.similarities.get(), own.look);
            }
        }
    }
}

}  // namespace

void insertion_curve(const Features& x, const Targets& source, Metric metric, Comparator comparator, const int64_t* orders,
                     int64_t order_count, int64_t steps, const Context& context, double* out) {
    const StandardTargets targets(source, x.stimuli, comparator, context.threads);
    Job job{x, metric, &targets, {}, Buffer(widest), padded(x.stimuli), row_groups(x.stimuli)};
    transpose(job, context.threads);
    const int64_t lanes = simd_lanes(), end = x.stimuli / lanes * lanes;
    for (int64_t l = 0; l < lanes; ++l) job.at_end[l] = end + l < x.stimuli ? 1 : 0;
    with_rule(metric, [&](auto rule) {
        using Rule = decltype(rule);
        if (is_rank(comparator))
            by_similarities<Rule>(job, orders, order_count, steps, context, out);
        else
            by_moments<Rule>(job, orders, order_count, steps, context, out);
    });
    context.throw_if_stopped();
}

}  // namespace secateur::cpu
