#include "cpu/best_prefix.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "core/shared_out.hpp"
#include "cpu/prefixes.hpp"

// Every prefix gets an interval that holds its alignment; only those whose upper end reaches the highest lower end are ranked.
//
// Let v be the m values that count, in buckets b of c_b values each, such that all values of a bucket lie more than the tie
// tolerance above all values of the buckets before. Then no tie leaves its bucket, and the ranks of a bucket's values are, but
// for their order and ties, those from the number of values before on. In centred doubled ranks (2 R - m - 1: r of the
// values, h of the target, both of sum 0), with r~ a bucket's mean of r, which is 2 before_b + c_b - m whatever the order:
//   sum of r h = sum of r~ h + sum of (r - r~) h,  where
//   |sum of (r - r~) h| <= |r - r~| |h|            (Cauchy-Schwarz)
//   |r - r~|^2 <= sum over b of (c_b^3 - c_b) / 3  (that of c_b ranks in a row about their mean; ties lessen it)
//   (m^3 - m) / 3 - sum over b of (c_b^3 - c_b) / 3 <= |r|^2 <= (m^3 - m) / 3  (ties of c lessen it by (c^3 - c) / 3, and lie in
//   buckets: the sum of c^3 - c over parts is at most that of the whole).
// That bounds rho = sum of r h / (|r| |h|), and rho-a, where |r| |h| is replaced by (m^3 - m) / 3, from both sides.
//
// Buckets are found from values that may be some roundings off the ones that are ranked. A step counts only where no value lies
// so near the edge of its bucket that a tie, or such roundings, could reach over it; else it is ranked.
namespace secateur::cpu {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr int64_t longest_chunk = 16;
constexpr int count_from = 43;  // a word holds a count in the bits from here on, and a sum of ranks in those below
constexpr int64_t most_counted = int64_t{1} << 20;
// Of a target's time, about, as progress is told; the rest ranks what is left.
constexpr double screening = 0.6;
constexpr double smallest_own = 1e-290, largest_value = 1e290;  // between these, nothing over- or underflows

// Two steps' tables at once: words of what falls into each bucket are added up.
struct Tabulate {
    template <int L>
    ALWAYS_INLINE static void run(const uint16_t* a, const uint16_t* b, const uint64_t* words, int64_t count, uint64_t* in_a,
                                  uint64_t* in_b) {
        for (int64_t p = 0; p < count; p += 4) {
            uint64_t four_a, four_b;
            std::memcpy(&four_a, a + p, sizeof four_a);
            std::memcpy(&four_b, b + p, sizeof four_b);
            UNROLL(4)
            for (int q = 0; q < 4; ++q) {
                const uint64_t word = words[p + q];
                in_a[four_a >> 16 * q & 0xffff] += word;
                in_b[four_b >> 16 * q & 0xffff] += word;
            }
        }
    }
};

// Sums over a table's buckets, which is left empty.
struct Tabulated {
    double product, cubes;  // of mean centred ranks and the target; of c^3 - c
};
struct Reduce {
    template <int L>
    ALWAYS_INLINE static void run(uint64_t* table, int64_t stretch, double m, Tabulated* out) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        using Word = typename Lanes<L>::Mask;
        constexpr int parts = 8 / L;
        // A whole number below 2^52 as a double: its bits below those of 2^52.
        constexpr int64_t big = int64_t{0x433} << 52;
        constexpr double bias = 4503599627370496.0;
        Vec before[parts], sum[parts], product[parts], cubes[parts];
        for (int q = 0; q < parts; ++q) before[q] = sum[q] = product[q] = cubes[q] = Vec{};
        for (int64_t b = 0; b < stretch; ++b) UNROLL(4)
        for (int q = 0; q < parts; ++q) {
            Word word;
            uint64_t* at = table + b * 8 + q * L;
            std::memcpy(&word, at, sizeof word);
            std::memset(at, 0, sizeof word);
            const Vec count = (Vec)((word >> count_from & ((int64_t{1} << (64 - count_from)) - 1)) | big) - bias;
            const Vec ranks = (Vec)((word & ((int64_t{1} << count_from) - 1)) | big) - bias - count * m;
            product[q] += (before[q] + count) * ranks;
            before[q] += count + count;
            sum[q] += ranks;
            cubes[q] += (count * count - 1.0) * count;
        }
        double before_all = 0;
        *out = {0, 0};
        for (int q = 0; q < parts; ++q)
            for (int l = 0; l < L; ++l) {
                out->product += product[q][l] + before_all * sum[q][l];
                out->cubes += cubes[q][l];
                before_all += before[q][l];
            }
    }
};

struct Interval {
    double low, high;
};
constexpr Interval anywhere{-infinity, infinity}, nowhere{-infinity, -infinity};

// What all targets of a call share.
struct Job {
    Features x;
    Columns columns;
    Metric metric;
    Traits traits;
    const StandardTargets* targets;
    const int64_t* orders;
    int64_t steps;
    PrefixRule rule;
    double* out;
    int64_t chunk, piece;             // steps at a time: screened, ranked
    std::vector<int64_t> row_groups;  // that threads share out
    int64_t groups() const { return static_cast<int64_t>(row_groups.size()) - 1; }
    // Chunks from one that is kept to the next: 32 megabytes in all.
    int64_t every(const Prefixes& prefixes) const {
        static constexpr int64_t most_kept = 4 << 20;
        const int64_t chunks = rule.most / chunk + 8;
        return (chunks * prefixes.kept() + most_kept - 1) / most_kept;
    }
};

// How many steps go together from `first` on: few at the start, where values move fast and buckets go by those before.
int64_t next_chunk(const Job& job, int64_t first) {
    int64_t length = 1;
    while (2 * length <= std::min(first, job.chunk)) length *= 2;
    return std::min(length, job.rule.most - first);
}

// A target's ranks as words, by padded pair, and what bounds need of them.
struct Ranks {
    std::vector<uint64_t> words;
    double count = 0, norm = 0;  // of the pairs that count; the root of the sum of squares
};

struct Run {
    Prefixes prefixes;
    Ranks ranks;
    BucketMap map{};
    std::vector<double> sampled;
    std::vector<uint16_t> places;
    Buffer similarities;
    std::vector<Interval> within;                 // (steps)
    std::vector<double> largest;                  // (steps): value
    std::vector<Nearest> nearest;                 // (threads, chunk)
    std::vector<int64_t> kept_at;                 // steps to come back to,
    std::vector<std::unique_ptr<double[]>> kept;  // and what it takes
    std::vector<int64_t> alive;
    double highest = -infinity;  // that some alignment is known to reach
    Run(const Job& job, int threads)
        : prefixes(job.x.stimuli, job.metric, std::max(job.chunk, job.piece)),
          places(job.chunk * prefixes.padded_pairs()),
          similarities(job.piece * job.x.pairs()),
          within(job.steps),
          largest(job.steps),
          nearest(threads * job.chunk) {
        ranks.words.resize(prefixes.padded_pairs());
        alive.reserve(job.steps);
        int64_t chunk = 0;
        for (int64_t first = 0; first < job.rule.most; first += next_chunk(job, first), ++chunk)
            if (chunk % job.every(prefixes) == 0) {
                kept_at.push_back(first);
                kept.emplace_back(new double[prefixes.kept()]);
            }
    }
};

int bits_for(int64_t count) {
    int bits = 1;
    while ((int64_t{1} << bits) < count) ++bits;
    return bits;
}

void begin_ranks(const Job& job, Run& run, int64_t t) {
    const StandardTargets& targets = *job.targets;
    const int64_t n = job.x.stimuli;
    const double *row = targets.row(t), *w = targets.weighted ? targets.weights(targets.pattern_of(t)) : nullptr;
    int64_t counted = job.x.pairs();
    if (w) counted = std::count_if(w, w + job.x.pairs(), [](double one) { return one > 0; });
    double squares = 0;
    for (int64_t i = 0, p = 0, at = 0; i < n; ++i) {
        uint64_t* words = run.ranks.words.data() + run.prefixes.row_at(i);
        const int64_t padded = run.prefixes.row_at(i + 1) - run.prefixes.row_at(i);
        for (int64_t q = 0; q < padded; ++q) words[q] = 0;
        for (int64_t q = 0; q < n - i - 1; ++q, ++p) {
            if (w && !(w[p] > 0)) continue;
            words[q] = (uint64_t{1} << count_from) + static_cast<uint64_t>(static_cast<int64_t>(row[at]) + counted);
            squares += row[at] * row[at];
            ++at;
        }
    }
    run.ranks.count = static_cast<double>(counted);
    run.ranks.norm = std::sqrt(squares);
    run.map.bits = std::clamp(bits_for(counted) - 2, 5, BucketMap::most_bits);
    run.highest = -infinity;
}

// Buckets for values like those there are; all in one where they have no finite spread.
void choose_map(const Job& job, Run& run, int64_t first) {
    run.prefixes.sample(256, run.sampled);
    double low = infinity, high = -infinity;
    for (const double value : run.sampled) {
        low = std::min(low, value);
        high = std::max(high, value);
    }
    if (first == 0) low = -1, high = 1;
    const double inside = static_cast<double>(run.map.count()) / 1.04, scale = inside / (high - low);
    const bool usable = high > low && scale < largest_value;
    run.map.scale = usable ? job.traits.orientation * scale : 0;
    run.map.offset = usable ? 0.02 * inside - (job.traits.orientation > 0 ? low : high) * run.map.scale : 0;
}

// Where the alignment of a step lies, from its table.
Interval interval_of(const Job& job, const Run& run, const Nearest& nearest, const Tabulated& table, double largest) {
    const double grid = std::ldexp(1.0, run.map.grid_bits());
    // A tie and roundings, in places; and one for each that was rounded down.
    const double reach = 2 * tie_share * largest * std::fabs(run.map.scale) * grid + 2;
    if (!(nearest.low > reach && grid - 1 - nearest.high > reach)) return anywhere;
    const double m = run.ranks.count, full = (m * m * m - m) / 3, apart = table.cubes / 3, least = full - apart;
    if (!(least > 0)) return anywhere;
    const double error = std::sqrt(apart) * run.ranks.norm, slack = 1e-11 + m * std::numeric_limits<double>::epsilon();
    const double low = table.product - error, high = table.product + error;
    if (job.targets->comparator == Comparator::rho_a) return {low / full - slack, high / full + slack};
    if (job.targets->comparator == Comparator::spearman)
        return {low / (run.ranks.norm * std::sqrt(low > 0 ? full : least)) - slack,
                high / (run.ranks.norm * std::sqrt(high > 0 ? least : full)) + slack};
    return anywhere;  // of others nothing is known: each prefix is ranked
}

// Of the stimuli that count at a step: whether all have a direction, and none one that is nearly lost.
Interval by_norms(const Job& job, const Prefixes& prefixes, int64_t at, int64_t pattern, bool& decided) {
    decided = false;
    bool trusted = true;
    for (int64_t i = 0; i < job.x.stimuli; ++i) {
        if (!job.targets->active(pattern, i)) continue;
        const double own = prefixes.own(at, i);
        if (!(own > 0)) {
            decided = true;
            return nowhere;
        }
        trusted &= own > smallest_own && own < largest_value;
    }
    decided = !trusted;
    return anywhere;
}

void find_intervals(const Job& job, Run& run, int64_t first, int64_t begin, int64_t end, int64_t pattern, int team,
                    std::vector<uint64_t>& tables) {
    static const auto tabulate =
        choose<Tabulate, const uint16_t*, const uint16_t*, const uint64_t*, int64_t, uint64_t*, uint64_t*>();
    static const auto reduce = choose<Reduce, uint64_t*, int64_t, double, Tabulated*>();
    const int64_t padded = run.prefixes.padded_pairs(), other = std::min(begin + 1, end - 1);
    uint64_t* table[] = {tables.data(), tables.data() + (1 << BucketMap::most_bits)};
    tabulate(run.places.data() + begin * padded, run.places.data() + other * padded, run.ranks.words.data(), padded, table[0],
             table[1]);
    for (int64_t s = begin; s < begin + 2; ++s) {
        Tabulated found;
        reduce(table[s - begin], run.map.stretch(), run.ranks.count, &found);
        if (s >= end) continue;
        Nearest nearest;
        for (int t = 0; t < team; ++t) nearest.take(run.nearest[t * job.chunk + s]);
        run.largest[first + s] = nearest.largest;
        Interval& within = run.within[first + s];
        bool decided = false;
        if (job.traits.normalised) within = by_norms(job, run.prefixes, s, pattern, decided);
        if (!decided) within = interval_of(job, run, nearest, found, job.traits.normalised ? 1 : nearest.largest);
    }
}

// Once all intervals are there: what some alignment is known to reach.
void find_highest(const Job& job, Run& run) {
    bool lost = false;  // a value that overflowed stays
    for (int64_t s = 0; s < job.rule.most; ++s) {
        lost |= !job.traits.normalised && !(run.largest[s] < largest_value);
        if (lost) run.within[s] = anywhere;
        if (s >= job.rule.least - 1) run.highest = std::max(run.highest, run.within[s].low);
    }
}

bool may_be_best(const Job& job, const Run& run, int64_t step) {
    return step >= job.rule.least - 1 && run.within[step].high > -infinity && run.within[step].high >= run.highest - job.rule.tie;
}

// Steps from one that is kept to the next.
struct Span {
    int64_t from, to, kept;
    double high;
};

std::vector<Span> spans_of(const Job& job, const Run& run) {
    std::vector<Span> spans;
    for (std::size_t k = 0; k < run.kept_at.size(); ++k) {
        Span span{run.kept_at[k], k + 1 < run.kept_at.size() ? run.kept_at[k + 1] : job.rule.most, static_cast<int64_t>(k),
                  -infinity};
        for (int64_t s = span.from; s < span.to; ++s)
            if (may_be_best(job, run, s)) span.high = std::max(span.high, run.within[s].high);
        if (span.high > -infinity) spans.push_back(span);
    }
    std::stable_sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.high > b.high; });
    return spans;
}

}  // namespace

bool is_screened(const StandardTargets& targets) {
    return by_ranks(targets.comparator) && targets.pairs >= 256 && targets.pairs < most_counted;
}

void insertion_near_best(const Features& x, const InsertionPlan& plan, const PrefixRule& rule, const Context& context,
                         double* out) {
    const StandardTargets& targets = *plan.targets.of;
    const int64_t *orders = plan.orders.values, steps = plan.orders.steps;
    const int64_t n = x.stimuli, d = x.count, pairs = x.pairs();
    // Threads share a target's rows and steps where there are fewer targets than threads, else each takes targets.
    const int inner = targets.count < context.threads ? context.threads : 1, outer = inner > 1 ? 1 : context.threads;
    Buffer columns(n * d);
#pragma omp parallel for schedule(static) num_threads(context.threads) if (context.threads > 1)
    for (int64_t k = 0; k < d; ++k)
        for (int64_t i = 0; i < n; ++i) columns[k * n + i] = x.values[i * d + k];
    Job job{x,
            {columns.get(), 1, n},
            plan.metric,
            traits_of(plan.metric),
            &targets,
            orders,
            steps,
            rule,
            out,
            std::clamp<int64_t>((1 << 22) / pairs, 8, longest_chunk),
            std::clamp<int64_t>((inner > 1 ? 1 << 20 : 1 << 16) / pairs, inner, longest_chunk),
            row_shares(n, inner > 1 ? std::min<int64_t>(n, 16 * inner) : 1)};
    std::vector<std::unique_ptr<Run>> runs;
    for (int r = 0; r < outer; ++r) runs.push_back(std::make_unique<Run>(job, inner));
    std::vector<CompareScratch> scratch;
    for (int t = 0; t < context.threads; ++t) scratch.emplace_back(n, pairs, 1, &context);
    std::vector<std::vector<uint64_t>> tables(context.threads, std::vector<uint64_t>(2 << BucketMap::most_bits));
    std::fill_n(out, targets.count * steps, std::numeric_limits<double>::quiet_NaN());

    const auto run_target = [&](int64_t t, int slot) {
        if (context.stop(slot)) return;
        Run& run = *runs[slot];
        Prefixes& prefixes = run.prefixes;
        const int64_t* order = orders + t * steps;
        const int64_t pattern = targets.pattern_of(t);
        begin_ranks(job, run, t);
        prefixes.begin(job.columns, order);
        std::vector<Span> spans;
        bool ended = false;  // asked by one for all, so that all leave a loop together
#pragma omp parallel num_threads(inner) if (inner > 1)
        {
            const int thread = inner > 1 ? omp_thread() : slot;
            const auto prepare = [&](int64_t first, int64_t length) {
#pragma omp for schedule(static)
                for (int64_t b = 0; b < prefixes.blocks(); ++b) prefixes.prepare(job.columns, order, first, length, b);
            };
            std::size_t seen = 0;
            for (int64_t first = 0, length; first < rule.most; first += length) {
                length = next_chunk(job, first);
                const bool wanted = first + length >= rule.least;
                if (seen < run.kept_at.size() && run.kept_at[seen] == first) {
#pragma omp single
                    prefixes.keep(run.kept[seen].get());
                    ++seen;
                }
                prepare(first, length);
#pragma omp single
                {
                    ended = context.stop(thread);
                    context.did(screening * static_cast<double>(length) / static_cast<double>(rule.most * targets.count));
                    std::fill(run.nearest.begin(), run.nearest.end(), Nearest{});
                    if (wanted) choose_map(job, run, first);
                }
                if (ended) break;
#pragma omp for schedule(dynamic)
                for (int64_t g = 0; g < job.groups(); ++g) {
                    if (context.stop(thread)) continue;
                    const int64_t from = job.row_groups[g], to = job.row_groups[g + 1];
                    if (wanted)
                        prefixes.buckets(from, to, 0, length, run.map, run.places.data(),
                                         &run.nearest[(inner > 1 ? thread : 0) * job.chunk]);
                    else
                        prefixes.sums(from, to, 0, length);
                }
                if (!wanted) continue;
#pragma omp for schedule(dynamic)
                for (int64_t s = 0; s < length; s += 2)
                    if (!context.stop(thread))
                        find_intervals(job, run, first, s, std::min(s + 2, length), pattern, inner, tables[thread]);
            }
#pragma omp single
            if (!ended) {
                find_highest(job, run);
                spans = spans_of(job, run);
                if (spans.empty()) context.did((1 - screening) / static_cast<double>(targets.count));
            }
            for (const Span& span : spans) {
#pragma omp single nowait
                context.did((1 - screening) / static_cast<double>(static_cast<int64_t>(spans.size()) * targets.count));
                if (span.high < run.highest - rule.tie) continue;
#pragma omp barrier
#pragma omp single
                prefixes.come_back(run.kept[span.kept].get());
                for (int64_t first = span.from, length; first < span.to; first += length) {
                    length = std::min(job.piece, span.to - first);
#pragma omp single
                    {
                        run.alive.clear();
                        for (int64_t s = first; s < span.to && !context.stop(thread); ++s)
                            if (may_be_best(job, run, s)) run.alive.push_back(s);
                    }
                    if (run.alive.empty()) break;
                    prepare(first, length);
                    const auto later = std::lower_bound(run.alive.begin(), run.alive.end(), first + length);
                    const auto here = later - run.alive.begin();
                    const int64_t begin = here ? run.alive.front() - first : length, end = here ? later[-1] + 1 - first : length;
#pragma omp for schedule(dynamic)
                    for (int64_t g = 0; g < job.groups(); ++g) {
                        if (context.stop(thread)) continue;
                        const int64_t from = job.row_groups[g], to = job.row_groups[g + 1];
                        prefixes.sums(from, to, 0, begin);
                        prefixes.values(from, to, begin, end, run.similarities.get(), pairs);
                        prefixes.sums(from, to, end, length);
                    }
#pragma omp for schedule(dynamic)
                    for (int64_t a = 0; a < here; ++a) {
                        if (context.stop(thread)) continue;
                        const double* similarities = &run.similarities[(run.alive[a] - first) * pairs];
                        targets.prepare(pattern, similarities, scratch[thread]);
                        out[t * steps + run.alive[a]] = targets.alignment(t, similarities, scratch[thread]);
                    }
#pragma omp single
                    for (int64_t a = 0; a < here; ++a) run.highest = std::fmax(run.highest, out[t * steps + run.alive[a]]);
                }
            }
        }
    };
    if (inner > 1) {  // no team around it: threads of a nested one are started anew each time
        for (int64_t t = 0; t < targets.count; ++t) run_target(t, 0);
    } else {
        share_out(targets.count, outer, context, run_target);
    }
    context.throw_if_stopped();
}

}  // namespace secateur::cpu
