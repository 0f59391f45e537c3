#include "targets.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace secateur::cpu {

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

bool any_other_than_one(const Targets& t, int64_t pairs) {
    return t.weights && std::any_of(t.weights, t.weights + t.patterns * pairs, [](double w) { return w != 1; });
}

bool only_zero_and_one(const Targets& t, int64_t pairs) {
    return !t.weights || std::all_of(t.weights, t.weights + t.patterns * pairs, [](double w) { return w == 0 || w == 1; });
}

}  // namespace

StandardTargets::StandardTargets(const Targets& source, int64_t n, int64_t pairs, TieScale ties, Comparator comparator, int threads)
    : StandardTargets(source, n, pairs, ties, comparator) {
    bring(source.values, threads);
}

StandardTargets::StandardTargets(const Targets& source, int64_t n, TieScale ties, Comparator comparator, AcceleratedTargets* elsewhere)
    : StandardTargets(source, n, n * (n - 1) / 2, ties, comparator) {
    elsewhere_ = elsewhere;
}

StandardTargets::StandardTargets(const Targets& source, int64_t n, int64_t pairs, TieScale ties, Comparator comparator)
    : stimuli(n),
      pairs(pairs),
      count(source.count),
      patterns(source.weights ? source.patterns : 1),
      comparator(comparator),
      centred(is_centred(comparator)),
      weighted(any_other_than_one(source, pairs)),
      binary(only_zero_and_one(source, pairs)),
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
            for (int64_t i = 0, p = 0; i < n; ++i)
                for (int64_t j = i + 1; j < n; ++j, ++p)
                    if (w[p] > 0) active[i] = active[j] = 1;
        }
        for (int64_t i = 0; i < n; ++i) {
            somewhere_[i] |= active[i];
            everywhere_[i] &= active[i];
        }
    }
}

void StandardTargets::bring(const double* values, int threads) {
    const int64_t n = stimuli;
    source_.values = values;
    rows_ = Buffer(count * pairs);
    std::vector<CompareScratch> scratch;
    for (int t = 0; t < threads; ++t)
        scratch.emplace_back(by_moments(comparator) ? 0 : n,
                             by_moments(comparator) ? 0 : pairs);  // copies would lose what is reserved
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1 && count > 1)
    for (int64_t t = 0; t < count; ++t) {
        const double* h = source_.values + t * pairs;
        const double* w = weighted ? weights(pattern_of(t)) : nullptr;
        double* row = rows_.get() + t * pairs;
        if (is_rank(comparator)) {
            auto& s = scratch[omp_thread()];
            s.values.clear();
            for (int64_t p = 0; p < pairs; ++p)
                if (!w || w[p] > 0) s.values.push_back(h[p]);
            if (by_order(comparator))
                std::copy(s.values.begin(), s.values.end(), row);
            else {
                s.sorter.sort(s.values.data(), static_cast<int64_t>(s.values.size()));
                s.sorter.average_ranks(row);
            }
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
            std::copy_n(row, pairs, s.ranks.data());
            whiten(s.ranks.data(), n, s.means.data(), row);
            deviation = std::inner_product(row, row + pairs, s.ranks.data(), 0.0);
        }
        const double scale = constant ? nan : 1 / std::sqrt(deviation);
        for (int64_t p = 0; p < pairs; ++p) row[p] *= scale;
    }
}

CompareScratch::CompareScratch(int64_t stimuli, int64_t pairs) : ranks(pairs), means(stimuli), sorter(pairs) {
    values.reserve(pairs);
}

void StandardTargets::look_at(int64_t pattern, const double* s, CompareScratch& look) const {
    const double* w = weighted ? weights(pattern) : nullptr;
    look.defined = true;
    if (is_rank(comparator)) {
        double largest = 0;
        look.values.clear();
        for (int64_t p = 0; p < pairs; ++p) {
            if (w && !(w[p] > 0)) continue;
            look.defined &= !std::isnan(s[p]);
            look.values.push_back(ties_.rooted ? s[p] * std::abs(s[p]) : s[p]);
            largest = std::max(largest, std::abs(look.values.back()));
        }
        if (!look.defined) return;
        look.sorter.sort(look.values.data(), static_cast<int64_t>(look.values.size()), tie_share * (ties_.normalised ? 1 : largest));
        look.constant = look.sorter.constant();
        if (by_ranks(comparator)) look.sorter.average_ranks(look.ranks.data());
        return;
    }
    double mean = 0, squares = 0;
    for (int64_t p = 0; p < pairs; ++p) {
        if (w && !(w[p] > 0)) continue;
        const double weight = w ? w[p] : 1;
        look.defined &= !std::isnan(s[p]);
        mean += weight * s[p];
        squares += weight * s[p] * s[p];
    }
    if (!look.defined) return;
    mean /= totals_[pattern];
    look.mean = centred ? mean : 0;
    double deviation = 0;
    for (int64_t p = 0; p < pairs; ++p) {
        if (w && !(w[p] > 0)) continue;
        deviation += (w ? w[p] : 1) * (s[p] - look.mean) * (s[p] - look.mean);
    }
    look.deviation = deviation;
    look.constant = is_constant(deviation, squares);
    if (is_whitened(comparator)) {
        look.values.resize(pairs);
        for (int64_t p = 0; p < pairs; ++p) look.values[p] = s[p] - look.mean;
        whiten(look.values.data(), stimuli, look.means.data(), look.ranks.data());
        look.deviation = std::inner_product(look.values.begin(), look.values.end(), look.ranks.begin(), 0.0);
    }
}

double StandardTargets::alignment(int64_t t, const double* s, CompareScratch& look) const {
    if (!look.defined || totals_[pattern_of(t)] <= 0) return nan;
    const double* h = row(t);
    const auto m = static_cast<int64_t>(look.values.size());
    if (look.constant) return traits_of(comparator).zero_where_constant ? 0 : nan;
    switch (comparator) {
        case Comparator::spearman:
            return spearman(look.ranks.data(), h, m);
        case Comparator::rho_a:
            return rho_a(look.ranks.data(), h, m);
        case Comparator::tau_a:
            return tau_a(look.sorter.count_pairs(h));
        case Comparator::tau_b:
            return tau_b(look.sorter.count_pairs(h));
        case Comparator::pearson:
        case Comparator::cosine:
        case Comparator::corr_cov:
        case Comparator::cosine_cov:
            break;
    }
    double product = 0;
    for (int64_t p = 0; p < pairs; ++p)
        if (!weighted || h[p] != 0) product += h[p] * (s[p] - look.mean);
    return product / std::sqrt(look.deviation);
}

void StandardTargets::alignments(const double* similarities, double* out, int64_t stride) const {
    if (elsewhere_ && !rows_.get()) {
        std::vector<double> all(count);
        elsewhere_->compare(similarities, centred, all.data());
        for (int64_t t = 0; t < count; ++t) out[t * stride] = all[t];
        return;
    }
    CompareScratch look(stimuli, pairs);
    compare_all(*this, similarities, look, out, stride);
}

void compare_all(const StandardTargets& targets, const double* s, CompareScratch& scratch, double* out, int64_t stride,
                 const Context* context) {
    int64_t seen = -1;
    for (int64_t t = 0; t < targets.count && !(context && context->stop(0)); ++t) {
        const int64_t pattern = targets.pattern_of(t);
        if (pattern != seen) targets.look_at(seen = pattern, s, scratch);
        out[t * stride] = targets.alignment(t, s, scratch);
    }
}

void compare(const double* similarities, int64_t count, int64_t pairs, int64_t stimuli, const Targets& targets,
             TieScale ties, Comparator comparator, const Context& context, double* out) {
    const StandardTargets standard(targets, stimuli, pairs, ties, comparator, context.threads);
    const int team = static_cast<int>(std::clamp<int64_t>(count, 1, context.threads));
    std::vector<CompareScratch> scratch;
    for (int t = 0; t < team; ++t) scratch.emplace_back(stimuli, pairs);  // copies would lose what is reserved
#pragma omp parallel for schedule(static) num_threads(team) if (team > 1)
    for (int64_t s = 0; s < count; ++s) {
        const int thread = team > 1 ? omp_thread() : 0;
        if (!context.stop(thread)) compare_all(standard, similarities + s * pairs, scratch[thread], out + s * targets.count, 1);
    }
    context.throw_if_stopped();
}

}  // namespace secateur::cpu
