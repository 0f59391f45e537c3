#include "core/targets.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/verbs.hpp"

namespace secateur {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// Doubly centred: out_ij = v_ij - m_i - m_j + m, with m_i the sum of row i over n, and m that of all over n^2. The whitened
// product of u and v (Diedrichsen et al. 2021, for independent patterns; also linear CKA) is the sum of u * out.
void whiten(const double* v, int64_t n, double* means, double* out) {
    std::fill_n(means, n, 0.0);
    for (int64_t i = 0, p = 0; i < n; ++i)
        for (int64_t j = i + 1; j < n; ++j, ++p) {
            means[i] += v[p] / static_cast<double>(n);
            means[j] += v[p] / static_cast<double>(n);
        }
    const double mean = std::accumulate(means, means + n, 0.0) / static_cast<double>(n);
    for (int64_t i = 0, p = 0; i < n; ++i)
        for (int64_t j = i + 1; j < n; ++j, ++p) out[p] = v[p] - means[i] - means[j] + mean;
}

// Whether no value is NaN and, where that is asked for, the largest absolute one.
struct Examine {
    template <int L>
    ALWAYS_INLINE static void run(const double* values, int64_t count, double* largest, bool* defined) {
        int64_t missing = 0;
#pragma omp simd reduction(+ : missing)
        for (int64_t p = 0; p < count; ++p) missing += values[p] != values[p];
        *defined = missing == 0;
        if (!largest) return;
        static constexpr int lanes = 8;
        double found[lanes] = {};
        const auto take = [&](int l, double v) INLINE_LAMBDA { found[l] = v > found[l] ? v : found[l]; };
        int64_t p = 0;
        for (; p + lanes <= count; p += lanes)
            for (int l = 0; l < lanes; ++l) take(l, std::fabs(values[p + l]));
        for (; p < count; ++p) take(0, std::fabs(values[p]));
        *largest = *std::max_element(found, found + lanes);
    }
};

// Sum of (weighted) products; of one factor alone, b is nullptr.
struct Product {
    template <int L>
    ALWAYS_INLINE static void run(const double* a, const double* b, const double* w, int64_t count, double* out) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        const auto of = [&](int64_t p) INLINE_LAMBDA {
            Vec v = S::load(a + p);
            if (b) v *= S::load(b + p);
            if (w) v *= S::load(w + p);
            return v;
        };
        Vec sums[4] = {};
        int64_t p = 0;
        for (; p + 4 * L <= count; p += 4 * L) UNROLL(4)
        for (int v = 0; v < 4; ++v) sums[v] += of(p + v * L);
        double sum = S::sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
        for (; p < count; ++p) sum += a[p] * (b ? b[p] : 1) * (w ? w[p] : 1);
        *out = sum;
    }
};

// A row that holds its weights is taken so many times from values.
struct TakeAway {
    template <int L>
    ALWAYS_INLINE static void run(double times, const double* row, const double* w, int64_t count, double* values) {
#pragma omp simd
        for (int64_t p = 0; p < count; ++p) values[p] -= times * (w ? (w[p] > 0 ? row[p] / w[p] : 0) : row[p]);
    }
};

double product(const double* a, const double* b, const double* w, int64_t count) {
    static const auto sum = choose<Product, const double*, const double*, const double*, int64_t, double*>();
    double out;
    sum(a, b, w, count, &out);
    return out;
}

bool any_other_than_one(const Targets& t, int64_t pairs) {
    return t.weights && std::any_of(t.weights, t.weights + t.patterns * pairs, [](double w) { return w != 1; });
}

bool only_zero_and_one(const Targets& t, int64_t pairs) {
    return !t.weights || std::all_of(t.weights, t.weights + t.patterns * pairs, [](double w) { return w == 0 || w == 1; });
}

}  // namespace

StandardTargets::StandardTargets(const Targets& source, int64_t n, int64_t pairs, TieScale ties, Comparator comparator,
                                 int threads, const Context& context)
    : stimuli(n),
      pairs(pairs),
      count(source.count),
      patterns(source.weights ? source.patterns : 1),
      comparator(comparator),
      centred(is_centred(comparator)),
      weighted(any_other_than_one(source, pairs)),
      binary(only_zero_and_one(source, pairs)),
      controls(source.control_count),
      ties_(ties),
      source_(source),
      totals_(patterns),
      active_(patterns * n),
      somewhere_(n),
      everywhere_(n, 1) {
    for (int64_t u = 0; u < patterns; ++u) {
        totals_[u] = static_cast<double>(pairs);
        char* active = active_.data() + u * n;
        if (!weighted) {
            std::fill_n(active, n, 1);
        } else {
            const double* w = weights(u);
            totals_[u] = std::accumulate(w, w + pairs, 0.0);
            counted_.push_back(std::count_if(w, w + pairs, [](double one) { return one > 0; }));
            for (int64_t i = 0, p = 0; i < n; ++i)
                for (int64_t j = i + 1; j < n; ++j, ++p)
                    if (w[p] > 0) active[i] = active[j] = 1;
        }
        for (int64_t i = 0; i < n; ++i) {
            somewhere_[i] |= active[i];
            everywhere_[i] &= active[i];
        }
    }
    for (int64_t t = 0; t < count; ++t) {
        if (t == 0 || pattern_of(t) != alike_.back().pattern) alike_.push_back({pattern_of(t), t, t});
        ++alike_.back().to;
    }
    std::stable_sort(alike_.begin(), alike_.end(), [](const Alike& a, const Alike& b) { return a.pattern < b.pattern; });
    if (source.values) standardise(source.values, threads, context);
}

void StandardTargets::standardise(const double* values, int threads, const Context& context) {
    const int64_t n = stimuli;
    rows_ = Buffer(count * pairs);
    rank_squares_.resize(by_ranks(comparator) ? count : 0);
    tied_.resize(by_order(comparator) ? count : 0);
    ranks_.resize(by_ranks(comparator) && pairs <= most_placed ? count * pairs : 0);
    places_.resize(by_order(comparator) && pairs <= most_placed ? count * pairs : 0);
    std::vector<CompareScratch> scratch;
    for (int t = 0; t < threads; ++t)
        scratch.emplace_back(by_moments(comparator) ? 0 : n, by_moments(comparator) ? 0 : pairs, 1,
                             &context);  // copies would lose what is reserved
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1 && count > 1)
    for (int64_t t = 0; t < count; ++t) {
        if (context.stop()) continue;
        const double* h = values + t * pairs;
        const double* w = weighted ? weights(pattern_of(t)) : nullptr;
        double* row = rows_.get() + t * pairs;
        if (is_rank(comparator)) {
            auto& s = scratch[omp_thread()];
            s.values.clear();
            for (int64_t p = 0; p < pairs; ++p)
                if (!w || w[p] > 0) s.values.push_back(h[p]);
            s.sorter.sort(s.values.data(), static_cast<int64_t>(s.values.size()));
            if (by_order(comparator)) {
                std::copy(s.values.begin(), s.values.end(), row);
                if (!places_.empty()) s.sorter.places(&places_[t * pairs]);
                tied_[t] = s.sorter.tied_pairs();
                continue;
            }
            s.sorter.centred_ranks(row);
            rank_squares_[t] = s.sorter.squares();
            if (!ranks_.empty()) std::copy_n(row, s.values.size(), &ranks_[t * pairs]);
            continue;
        }
        double mean = 0;
        if (centred) {
            for (int64_t p = 0; p < pairs; ++p) mean += w ? (w[p] > 0 ? w[p] * h[p] : 0) : h[p];
            mean /= totals_[pattern_of(t)];
        }
        double deviation = 0, squares = 0;
        for (int64_t p = 0; p < pairs; ++p) {
            const double weight = w ? w[p] : 1, gap = weight > 0 ? h[p] - mean : 0;
            deviation += weight * gap * gap;
            squares += weight > 0 ? weight * h[p] * h[p] : 0;
            row[p] = weight * gap;
        }
        const bool constant = is_constant(deviation, squares);
        if (is_whitened(comparator)) {
            auto& s = scratch[omp_thread()];
            std::copy_n(row, pairs, s.ranks.get());
            whiten(s.ranks.get(), n, s.means.data(), row);
            deviation = std::inner_product(row, row + pairs, s.ranks.get(), 0.0);
        }
        const double scale = constant ? nan : 1 / std::sqrt(deviation);
        for (int64_t p = 0; p < pairs; ++p) row[p] *= scale;
    }
}

int64_t StandardTargets::together() const {
    static constexpr int64_t most = 16, most_values = 1 << 18;  // two megabytes
    return by_ranks(comparator) && count > 1 ? std::clamp<int64_t>(most_values / std::max<int64_t>(pairs, 1), 1, most) : 1;
}

void StandardTargets::prepare(int64_t pattern, const double* s, CompareScratch& scratch, int64_t place, bool whole) const {
    const double* w = weighted ? weights(pattern) : nullptr;
    SimilarityStats& stats = scratch.stats[place];
    double* ranks = scratch.ranks.get() + place * pairs;
    if (is_rank(comparator)) {
        const double* values = s;
        stats.count = pairs;
        if (w || ties_.rooted) {
            scratch.values.resize(pairs);
            stats.count = 0;
            for (int64_t p = 0; p < pairs; ++p) {
                scratch.values[stats.count] = ranked_by(s[p], ties_.rooted);
                stats.count += !w || w[p] > 0;
            }
            values = scratch.values.data();
        }
        static const auto examine = choose<Examine, const double*, int64_t, double*, bool*>();
        double largest = 1;
        examine(values, stats.count, ties_.normalised ? nullptr : &largest, &stats.defined);
        if (!stats.defined) return;
        scratch.sorter.sort(values, stats.count, tie_share * largest);
        stats.constant = scratch.sorter.constant();
        if (!by_ranks(comparator)) return;
        stats.deviation = scratch.sorter.squares();
        if (whole || ranks_.empty()) scratch.sorter.centred_ranks(ranks);
        return;
    }
    if (controls > 0) {
        scratch.values.resize(pairs);
        double* values = scratch.values.data();
        for (int64_t p = 0; p < pairs; ++p) values[p] = !w || w[p] > 0 ? s[p] : 0;
        const double before = product(values, values, w, pairs), mean = product(values, nullptr, w, pairs) / totals_[pattern];
        for (int64_t p = 0; p < pairs; ++p) values[p] -= !w || w[p] > 0 ? mean : 0;
        const double deviation = product(values, values, w, pairs);
        stats.defined = !std::isnan(deviation);
        stats.deviation = left_by_controls(pattern, values);
        stats.constant = is_constant(deviation, before) || stats.deviation <= explained_share * deviation;
        return;
    }
    stats.defined = true;
    double mean = 0, squares = 0;
    for (int64_t p = 0; p < pairs; ++p) {
        if (w && !(w[p] > 0)) continue;
        const double weight = w ? w[p] : 1;
        stats.defined &= !std::isnan(s[p]);
        mean += weight * s[p];
        squares += weight * s[p] * s[p];
    }
    if (!stats.defined) return;
    mean /= totals_[pattern];
    stats.mean = centred ? mean : 0;
    double deviation = 0;
    for (int64_t p = 0; p < pairs; ++p) {
        if (w && !(w[p] > 0)) continue;
        deviation += (w ? w[p] : 1) * (s[p] - stats.mean) * (s[p] - stats.mean);
    }
    stats.deviation = deviation;
    stats.constant = is_constant(deviation, squares);
    if (is_whitened(comparator)) {
        scratch.values.resize(pairs);
        for (int64_t p = 0; p < pairs; ++p) scratch.values[p] = s[p] - stats.mean;
        whiten(scratch.values.data(), stimuli, scratch.means.data(), ranks);
        stats.deviation = std::inner_product(scratch.values.begin(), scratch.values.end(), ranks, 0.0);
    }
}

// The (weighted) squares of centred values, once what the controls say is taken from them.
double StandardTargets::left_by_controls(int64_t pattern, double* values) const {
    static const auto take_away = choose<TakeAway, double, const double*, const double*, int64_t, double*>();
    const double* w = weighted ? weights(pattern) : nullptr;
    for (int64_t k = 0; k < controls; ++k) {
        const double* row = control(pattern, k);
        take_away(product(row, values, nullptr, pairs), row, w, pairs, values);
    }
    return product(values, values, w, pairs);
}

double StandardTargets::alignment_of_ranks(int64_t t, const SimilarityStats& stats, double product) const {
    if (!stats.defined || totals_[pattern_of(t)] <= 0) return nan;
    if (stats.constant) return traits_of(comparator).zero_where_constant ? 0 : nan;
    return alignment_by(comparator, {product, stats.deviation, rank_squares_[t], stats.count});
}

double StandardTargets::alignment(int64_t t, const double* s, CompareScratch& scratch) const {
    const SimilarityStats& stats = scratch.stats[0];
    const double* h = row(t);
    double product = 0;
    if (by_ranks(comparator)) {
        if (stats.defined && !ranks_.empty())
            product = scratch.sorter.product(&ranks_[t * pairs]);
        else if (stats.defined)
            rank_products(scratch.ranks.get(), 1, h, 1, pairs, stats.count, &product);
        return alignment_of_ranks(t, stats, product);
    }
    if (!stats.defined || totals_[pattern_of(t)] <= 0) return nan;
    if (stats.constant) return traits_of(comparator).zero_where_constant ? 0 : nan;
    if (by_order(comparator)) {
        const OrderedValues ordered{h, places_.empty() ? nullptr : &places_[t * pairs], tied_[t]};
        return alignment_by(comparator, {0, 0, 0, stats.count, scratch.sorter.count_pairs(ordered)});
    }
    if (controls > 0) return secateur::product(h, scratch.values.data(), nullptr, pairs) / std::sqrt(stats.deviation);
    for (int64_t p = 0; p < pairs; ++p)
        if (!weighted || h[p] != 0) product += h[p] * (s[p] - stats.mean);
    return product / std::sqrt(stats.deviation);
}

void StandardTargets::alignments(const double* similarities, double* out, int64_t stride) const {
    if (!rows_.get()) {
        std::vector<double> all(count);
        source_.loaded->compare(similarities, comparator, ties_, all.data());
        for (int64_t t = 0; t < count; ++t) out[t * stride] = all[t];
        return;
    }
    CompareScratch scratch(stimuli, pairs);
    compare_all(*this, similarities, 1, scratch, out, 0, stride);
}

void compare_all(const StandardTargets& targets, const double* similarities, int64_t count, CompareScratch& scratch, double* out,
                 int64_t vector_stride, int64_t target_stride, const Context* context) {
    static constexpr int64_t most_targets = 256;
    const int64_t pairs = targets.pairs, together = static_cast<int64_t>(scratch.stats.size());
    const bool ranked = by_ranks(targets.comparator) && targets.count > 1;
    for (int64_t first = 0; first < count; first += together) {
        const int64_t some = std::min(together, count - first);
        int64_t seen = -1;
        for (const auto& [pattern, from, to] : targets.alike()) {
            if (pattern != seen)
                for (int64_t v = 0; v < some; ++v)
                    targets.prepare(seen = pattern, similarities + (first + v) * pairs, scratch, v, ranked);
            for (int64_t start = from, end; start < to && !(context && context->stop(0)); start = end) {
                end = std::min(to, start + (ranked ? most_targets : 1));
                const int64_t columns = end - start;
                double* at = out + first * vector_stride + start * target_stride;
                if (!ranked) {  // one vector, one target
                    *at = targets.alignment(start, similarities + first * pairs, scratch);
                    continue;
                }
                scratch.products.resize(some * columns);
                rank_products(scratch.ranks.get(), some, targets.row(start), columns, pairs, scratch.stats[0].count,
                              scratch.products.data());
                for (int64_t v = 0; v < some; ++v)
                    for (int64_t t = 0; t < columns; ++t)
                        at[v * vector_stride + t * target_stride] =
                            targets.alignment_of_ranks(start + t, scratch.stats[v], scratch.products[v * columns + t]);
            }
        }
    }
}

void compare(const double* similarities, int64_t count, int64_t pairs, int64_t stimuli, const Targets& targets, TieScale ties,
             Comparator comparator, const Context& context, double* out) {
    const StandardTargets standard(targets, stimuli, pairs, ties, comparator, context.threads, context);
    const int team = static_cast<int>(std::clamp<int64_t>(count, 1, context.threads));
    const int64_t together = std::min(standard.together(), std::max<int64_t>(1, count / team));
    std::vector<CompareScratch> scratch;
    for (int t = 0; t < team; ++t) scratch.emplace_back(stimuli, pairs, together, &context);
#pragma omp parallel for schedule(static) num_threads(team) if (team > 1)
    for (int64_t s = 0; s < count; s += together) {
        const int thread = team > 1 ? omp_thread() : 0;
        if (!context.stop(thread))
            compare_all(standard, similarities + s * pairs, std::min(together, count - s), scratch[thread],
                        out + s * targets.count, targets.count, 1);
    }
    context.throw_if_stopped();
}

}  // namespace secateur
