#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "core/space.hpp"
#include "core/targets.hpp"
#include "cpu/cpu.hpp"
#include "cpu/prefixes.hpp"

// The pair sums of one target run through its order; every step adds one feature and takes the three moments.
// Steps: windows (threads that share a target meet in between) of chunks (factors stay in the second-level cache) of tiles
// (moments stay in registers while a row of pair sums is loaded and stored once).
// Stimuli: row groups, a split that depends on their number alone. Each group shifts its values by a mean of its own, and
// moments are put together group by group: threads share out groups and never change a sum's order. Each makes its own
// factors: that is less work than fetching them from another core.
namespace secateur::cpu {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t chunk = 128, longest_window = 4096, widest = 8;

int64_t padded(int64_t n) {
    return (n + widest - 1) / widest * widest;
}

// Where row groups of about equal work begin; depends on the number of stimuli alone.
std::vector<int64_t> row_groups(int64_t n) {
    const int64_t groups = std::clamp<int64_t>(n * (n - 1) / 2048, 1, 32);
    std::vector<double> work{0};  // vectors up to each row, and something for its beginning
    for (int64_t i = 0; i < n; ++i) work.push_back(work.back() + 0.5 + static_cast<double>((n - i - 1 + widest - 1) / widest));
    std::vector<int64_t> starts;
    for (int64_t i = 0; i < n; ++i)
        if (work[i] * static_cast<double>(groups) >= static_cast<double>(starts.size()) * work[n]) starts.push_back(i);
    starts.push_back(n);
    return starts;
}

// What all targets of a call share.
struct Job {
    Features x;
    Metric metric;
    Traits traits;
    const StandardTargets* targets;
    Buffer in_front;  // (stimuli, widest): mask that blanks what is no pair in the first vector of a row
    Buffer at_end;    // (widest): mask that blanks the lanes behind the last stimulus
    int64_t stride, window;
    std::vector<int64_t> groups;
    int64_t group_count() const { return static_cast<int64_t>(groups.size()) - 1; }
    // Where factors lie: blocks of 8 steps x 8 stimuli, so that a tile reads them from one pointer on.
    int64_t at(int64_t step, int64_t stimulus) const {
        return (step / widest * stride + stimulus / widest * widest + step % widest) * widest + stimulus % widest;
    }
};

// Moments of one row group at one step, its values shifted by its own `shift`.
struct GroupMoments {
    Moments moments;
    double shift;
};

// One thread's factors of a chunk's steps, and the sums over features that they come from.
struct Factors {
    Buffer own, mean;   // (stride)
    Buffer centre;      // (stride): where centred: the first feature's values, taken from all, for their digits
    Buffer z, inverse;  // Job::at(step in chunk, stimulus)
    explicit Factors(const Job& job)
        : own(job.stride), mean(job.stride), centre(job.stride), z(chunk * job.stride), inverse(chunk * job.stride) {}

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
    Buffer pair, target, weight;              // (stimuli, stride), upper triangle
    std::unique_ptr<GroupMoments[]> moments;  // (group, window); first touched by the thread that fills it
    std::vector<double> shift, share, tilt;   // (group): shift in use, sum of weights, sum of the target
    Running(const Job& job)
        : pair(job.x.stimuli * job.stride),
          target(job.x.stimuli * job.stride),
          weight(job.targets->weighted ? job.x.stimuli * job.stride : 0),
          moments(new GroupMoments[job.window * job.group_count()]),
          shift(job.group_count()),
          share(job.group_count()),
          tilt(job.group_count()) {}

    void begin(const Job& job, int64_t t) {
        const int64_t n = job.x.stimuli;
        const StandardTargets& targets = *job.targets;
        std::fill_n(pair.get(), n * job.stride, 0.0);
        std::fill_n(target.get(), n * job.stride, 0.0);
        if (targets.weighted) std::fill_n(weight.get(), n * job.stride, 0.0);
        for (int64_t i = 0; i < n; ++i) {
            const int64_t length = n - i - 1;
            std::copy_n(targets.row(t) + row_start(i, n), length, &target[i * job.stride + i + 1]);
            if (targets.weighted)
                std::copy_n(targets.weights(targets.pattern_of(t)) + row_start(i, n), length, &weight[i * job.stride + i + 1]);
        }
        for (int64_t g = 0; g < job.group_count(); ++g) {
            const int64_t from = row_start(job.groups[g], n), to = row_start(job.groups[g + 1], n);
            const double* w = targets.weighted ? targets.weights(targets.pattern_of(t)) : nullptr;
            share[g] = w ? std::accumulate(w + from, w + to, 0.0) : static_cast<double>(to - from);
            tilt[g] = std::accumulate(targets.row(t) + from, targets.row(t) + to, 0.0);
            shift[g] = 0;
        }
    }
};

// Factors of a chunk's steps, `before` which others came, for the stimuli [from, from + widest): gathered, centred
// and normed as the rule asks.
template <class Rule>
struct Prepare {
    template <int L>
    ALWAYS_INLINE static void run(const Job* job, Factors* f, const int64_t* order, int64_t steps, int64_t before,
                                  int64_t pattern, int64_t from) {
        double own[widest], mean[widest], undefined[widest];
        const StandardTargets& targets = *job->targets;
        for (int l = 0; l < widest; ++l) {
            own[l] = f->own[from + l];
            mean[l] = f->mean[from + l];
            undefined[l] =
                from + l < job->x.stimuli && targets.active(pattern, from + l) ? nan : 0.0;  // lanes behind the last: masked
        }
        const double* rows[widest];
        double centre[widest];
        for (int l = 0; l < widest; ++l) {
            rows[l] = job->x.values + std::min(from + l, job->x.stimuli - 1) * job->x.count;
            centre[l] = f->centre[from + l];
        }
        for (int64_t s = 0; s < steps; ++s) {
            double x[widest];
            for (int l = 0; l < widest; ++l) x[l] = rows[l][order[s]] - centre[l];
            double* z = &f->z[job->at(s, from)];
            double* inverse = &f->inverse[job->at(s, from)];
            if constexpr (Rule::centred) {
                const double seen = static_cast<double>(before + s);
                const double weight = std::sqrt(centring_weight(seen, 1)), share = 1 / (seen + 1);
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
            f->own[from + l] = own[l];
            f->mean[from + l] = mean[l];
        }
    }
};

// One row group through the steps of a chunk, which begins at `start` in its window.
template <class Rule, bool weighted>
struct Advance {
    template <int L, int steps>
    ALWAYS_INLINE static void tile(const Job& job, Running& r, const Factors& f, int64_t group, int64_t start, int64_t first) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        const int64_t n = job.x.stimuli, stride = job.stride;
        Vec a[steps], b[steps], c[steps];
        UNROLL(8)
        for (int s = 0; s < steps; ++s) a[s] = b[s] = c[s] = Vec{};
        const double shift = r.shift[group];
        for (int64_t i = job.groups[group]; i < job.groups[group + 1]; ++i) {
            const double *zi = &f.z[job.at(first, i)], *ri = &f.inverse[job.at(first, i)];
            const auto vector = [&](int64_t j, auto masked, const double* mask) INLINE_LAMBDA {
                const double *zj = &f.z[job.at(first, j)], *rj = &f.inverse[job.at(first, j)];
                double* at = &r.pair[i * stride + j];
                Vec pair = S::load(at);
                const Vec h = S::load(&r.target[i * stride + j]);
                Vec w{}, keep{};
                if constexpr (weighted) w = S::load(&r.weight[i * stride + j]);
                if constexpr (masked()) keep = S::load(mask);
                UNROLL(8)
                for (int s = 0; s < steps; ++s) {
                    pair = Rule::template moved<1>(pair, zi[s * widest], S::load(zj + s * widest));
                    Vec value;
                    if constexpr (Rule::normalised)
                        value = (pair * S::load(rj + s * widest)) * ri[s * widest] - shift;
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
                    c[s] += h * value;
                }
                S::store(at, pair);
            };
            const int64_t front = (i + 1) / L * L, end = n / L * L;
            if (front >= n) continue;
            vector(front, std::true_type{}, &job.in_front[i * widest]);
            for (int64_t j = front + L; j < end; j += L) vector(j, std::false_type{}, nullptr);
            if (front < end && end < n) vector(end, std::true_type{}, job.at_end.get());
        }
        for (int s = 0; s < steps; ++s)
            r.moments[group * job.window + start + first + s] = {{S::sum(a[s]), S::sum(b[s]), S::sum(c[s])}, r.shift[group]};
    }

    template <int L>
    ALWAYS_INLINE static void run(const Job* job, Running* r, const Factors* f, int64_t group, int64_t start, int64_t steps) {
        constexpr int together = L == 8 ? 8 : 4;
        int64_t s = 0;
        for (; s + together <= steps; s += together) tile<L, together>(*job, *r, *f, group, start, s);
        for (; s < steps; ++s) tile<L, 1>(*job, *r, *f, group, start, s);
        if (!job->targets->centred) return;
        const double mean = r->moments[group * job->window + start + steps - 1].moments.sum / r->share[group];
        r->shift[group] = std::isfinite(mean) ? r->shift[group] + mean : 0;
    }
};

// The groups' moments of one step, all shifted to the common mean; `raw`, `scale`: their squares before that, and unshifted.
Moments put_together(const Job& job, const Running& r, int64_t step, double weight, double& raw, double& scale) {
    double total = 0;
    Moments all{0, 0, 0};
    for (int64_t g = 0; g < job.group_count(); ++g) {
        const GroupMoments& m = r.moments[g * job.window + step];
        total += m.moments.sum + m.shift * r.share[g];
    }
    const double mean = job.targets->centred ? total / weight : 0;
    for (int64_t g = 0; g < job.group_count(); ++g) {
        const auto& [m, shift] = r.moments[g * job.window + step];
        const double gap = shift - mean;
        all.sum += m.sum + gap * r.share[g];
        all.squares += m.squares + gap * (2 * m.sum + gap * r.share[g]);
        all.product += m.product + gap * r.tilt[g];
        raw += m.squares;
        scale += unshifted(m.sum, m.squares, shift, r.share[g]);
    }
    return all;
}

// Where the chunk that begins at `first` in its window ends: short ones at the very start, where means move fast.
int64_t next_chunk(int64_t window_start, int64_t first, int64_t length) {
    const int64_t step = window_start + first;
    return std::min(first + (step < chunk ? std::max(step, widest) : chunk), length);
}

template <class Rule>
void by_moments(const Job& job, const Orders& orders, const Context& context, double* out, char* needs_recompute) {
    const StandardTargets& targets = *job.targets;
    const int64_t steps = orders.steps;
    const auto prepare = choose<Prepare<Rule>, const Job*, Factors*, const int64_t*, int64_t, int64_t, int64_t, int64_t>();
    const auto advance = targets.weighted
                             ? choose<Advance<Rule, true>, const Job*, Running*, const Factors*, int64_t, int64_t, int64_t>()
                             : choose<Advance<Rule, false>, const Job*, Running*, const Factors*, int64_t, int64_t, int64_t>();
    // Threads share one target's stimuli where there are fewer targets than threads, else each takes targets.
    const int inner = targets.count < context.threads ? context.threads : 1;
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
                const int64_t begin = rank * job.group_count() / width, end = (rank + 1) * job.group_count() / width;
                const int64_t nearest = job.groups[begin] / widest * widest;  // the pairs of a row lie behind it
                Factors& f = factors[thread];
                if (start == 0) f.begin(job, order[0]);
                for (int64_t c = 0, next; c < length && begin < end && !context.stop(thread); c = next) {
                    next = next_chunk(start, c, length);
                    for (int64_t from = nearest; from < job.stride; from += widest)
                        prepare(&job, &f, order + start + c, next - c, start + c, pattern, from);
                    for (int64_t g = begin; g < end; ++g) advance(&job, &r, &f, g, c, next - c);
                }
#pragma omp barrier
#pragma omp for schedule(static)
                for (int64_t s = 0; s < length; ++s) {
                    bool trusted;
                    double raw = 0, scale = 0;
                    const Moments m = put_together(job, r, s, weight, raw, scale);
                    out[t * steps + start + s] =
                        job.traits.orientation * alignment_of(m, raw, scale, weight, targets.centred, trusted);
                    needs_recompute[t * steps + start + s] = !trusted;
                }
            }
        }
    };
    if (inner > 1) {  // no team around it: threads of a nested one are started anew each time
        for (int64_t t = 0; t < targets.count; ++t) run_target(t, 0);
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(outer) if (outer > 1)
    for (int64_t t = 0; t < targets.count; ++t) run_target(t, outer > 1 ? omp_thread() : 0);
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
    for (int t = 0; t < context.threads; ++t) compare_scratch.emplace_back(n, pairs, together);
    const Columns columns{job.x.values, job.x.count, 1};
    const std::vector<int64_t> rows = row_shares(n, inner > 1 ? std::min<int64_t>(n, 16 * inner) : 1);
    const auto shares = static_cast<int64_t>(rows.size()) - 1;
    const auto run_order = [&](int64_t t, int slot) {
        if (context.stop(slot)) return;
        Prefixes& prefixes = scratch[slot]->prefixes;
        const Buffer& similar = scratch[slot]->similarities;
        bool ended = false;  // asked by one for all, so that all leave the loop together
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
                ended = context.stop(thread);
                if (ended) break;
#pragma omp for schedule(dynamic)
                for (int64_t g = 0; g < shares; ++g)
                    if (!context.stop(thread)) prefixes.values(rows[g], rows[g + 1], 0, length, similar.get(), pairs);
#pragma omp for schedule(dynamic)
                for (int64_t s = 0; s < length; s += together) {
                    if (context.stop(thread)) continue;
                    const double* similarities = &similar[s * pairs];
                    if (order_count == 1) {
                        compare_all(*job.targets, similarities, std::min(together, length - s), compare_scratch[thread],
                                    out + start + s, 1, steps);
                    } else {
                        job.targets->prepare(job.targets->pattern_of(t), similarities, compare_scratch[thread]);
                        out[t * steps + start + s] = job.targets->alignment(t, similarities, compare_scratch[thread]);
                    }
                }
            }
        }
    };
    if (inner > 1) {  // no team around it: threads of a nested one are started anew each time
        for (int64_t t = 0; t < runs; ++t) run_order(t, 0);
        return;
    }
    std::atomic<int64_t> left{runs};
#pragma omp parallel num_threads(outer) if (outer > 1)
    {
#pragma omp for schedule(dynamic) nowait
        for (int64_t t = 0; t < runs; ++t) {
            run_order(t, outer > 1 ? omp_thread() : 0);
            --left;
        }
        // A run takes seconds: the caller's thread keeps asking until the last one is done.
        while (omp_thread() == 0 && left > 0 && !context.stop(0)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

}  // namespace

void insertion_curve(const Features& x, const InsertionPlan& plan, const Context& context, double* out, char* needs_recompute) {
    const StandardTargets& targets = *plan.targets.of;
    Job job{
        x, plan.metric,          traits_of(plan.metric), &targets, Buffer(x.stimuli * widest), Buffer(widest), padded(x.stimuli),
        0, row_groups(x.stimuli)};
    // Moments of a window: threads that share a target keep about four megabytes, others a chunk's.
    job.window = targets.count >= context.threads
                     ? chunk
                     : std::clamp<int64_t>((4 << 20) / (32 * job.group_count()) / chunk * chunk, chunk, longest_window);
    const int64_t lanes = simd_lanes(), end = x.stimuli / lanes * lanes;
    for (int64_t l = 0; l < lanes; ++l) {
        job.at_end[l] = end + l < x.stimuli ? 1 : 0;
        for (int64_t i = 0; i < x.stimuli; ++i) {
            const int64_t j = (i + 1) / lanes * lanes + l;
            job.in_front[i * widest + l] = j > i && j < x.stimuli ? 1 : 0;
        }
    }
    const Orders& orders = plan.orders;
    with_rule(plan.metric, [&](auto rule) {
        using Rule = decltype(rule);
        if (!secateur::by_moments(targets.comparator))
            by_similarities(job, orders.values, orders.count, orders.steps, context, out);
        else
            by_moments<Rule>(job, orders, context, out, needs_recompute);
    });
}

}  // namespace secateur::cpu
