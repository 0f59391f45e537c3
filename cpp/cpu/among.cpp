#include "among.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "space.hpp"

namespace secateur::cpu {

namespace {

void expect_weights(const Targets& targets, Indices at, int64_t all_pairs, Comparator comparator) {
    if (!targets.weights || !(is_whitened(comparator) || is_rank(comparator))) return;
    for (int64_t u = 0; u < targets.patterns; ++u)
        for (int64_t p = 0; p < at.count; ++p) {
            const int64_t pair = at.values ? at.values[p] : p;
            const double w = targets.weights[u * all_pairs + pair];
            if (w == 1 || (w == 0 && is_rank(comparator))) continue;
            throw std::invalid_argument(std::string("weights must be ") +
                                        (is_rank(comparator) ? "0 or 1 for a rank comparator"
                                                             : "1, and no pair missing, for a whitened comparator") +
                                        ", got " + std::to_string(w) + " at pair " + std::to_string(pair));
        }
}

}  // namespace

std::vector<int64_t> pair_positions(Indices stimuli, int64_t all) {
    std::vector<int64_t> at;
    at.reserve(stimuli.count * (stimuli.count - 1) / 2);
    for (int64_t a = 0; a < stimuli.count; ++a)
        for (int64_t b = a + 1; b < stimuli.count; ++b) {
            const auto [i, j] = std::minmax(stimuli.values[a], stimuli.values[b]);
            at.push_back(row_start(i, all) + j - i - 1);
        }
    return at;
}

Buffer columns_among(const double* values, int64_t rows, int64_t all, const std::vector<int64_t>& at, int threads) {
    const auto count = static_cast<int64_t>(at.size());
    Buffer out(rows * count);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t p = 0; p < count; ++p) out[row * count + p] = values[row * all + at[p]];
    return out;
}

Among::Among(const Features& x, const Targets& source, Indices stimuli, Comparator comparator, const Context& context,
             bool values_too)
    : features(x), targets(source) {
    if (!values_too) targets.values = nullptr;
    features.stimuli = stimuli.count;
    if (stimuli.values) positions_ = pair_positions(stimuli, x.stimuli);
    expect_weights(source, positions(), x.pairs(), comparator);
    if (!stimuli.values) return;
    if (x.values) {
        x_ = Buffer(stimuli.count * x.count);
        for (int64_t i = 0; i < stimuli.count; ++i) std::copy_n(x.values + stimuli.values[i] * x.count, x.count, x_.get() + i * x.count);
        features.values = x_.get();
    }
    if (source.weights) {
        weights_ = columns_among(source.weights, source.patterns, x.pairs(), positions_, context.threads);
        targets.weights = weights_.get();
    }
    if (values_too) {
        values_ = columns_among(source.values, source.count, x.pairs(), positions_, context.threads);
        targets.values = values_.get();
    }
}

}  // namespace secateur::cpu
