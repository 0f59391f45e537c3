#include "core/among.hpp"

#include <algorithm>

namespace secateur {

namespace {

// Where the pairs among these stimuli (in this order) lie among the pairs of `all` stimuli.
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

// Columns at these positions: (rows, count) of (rows, all).
Buffer columns_among(const double* values, int64_t rows, int64_t all, const std::vector<int64_t>& at, const Context& context) {
    const auto count = static_cast<int64_t>(at.size());
    Buffer out(rows * count);
#pragma omp parallel for schedule(static) num_threads(context.threads) if (context.threads > 1)
    for (int64_t row = 0; row < rows; ++row) {
        if (context.stop()) continue;
        for (int64_t p = 0; p < count; ++p) out[row * count + p] = values[row * all + at[p]];
    }
    return out;
}

}  // namespace

TargetsAmong::TargetsAmong(const Targets& source, int64_t all, Indices stimuli, const Context& context)
    : targets(source), pairs_(stimuli.count * (stimuli.count - 1) / 2) {
    targets.loaded = nullptr;
    if (!stimuli.values) return;
    positions_ = pair_positions(stimuli, all);
    const int64_t pairs = all * (all - 1) / 2;
    if (source.weights) {
        weights_ = columns_among(source.weights, source.patterns, pairs, positions_, context);
        targets.weights = weights_.get();
    }
    if (source.values) {
        values_ = columns_among(source.values, source.count, pairs, positions_, context);
        targets.values = values_.get();
    }
    context.throw_if_stopped();
}

}  // namespace secateur
