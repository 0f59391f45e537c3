#include "ranks.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace secateur::cpu {

namespace {

int64_t pairs_among(int64_t count) {
    return count * (count - 1) / 2;
}

// Pairs in the runs of equal neighbours among order[from .. to).
int64_t tied_pairs(const double* value, const std::vector<int64_t>& order, int64_t from, int64_t to) {
    int64_t tied = 0;
    for (int64_t i = from; i < to;) {
        int64_t end = i + 1;
        while (end < to && value[order[end]] == value[order[i]]) ++end;
        tied += pairs_among(end - i);
        i = end;
    }
    return tied;
}

// Sorts `order` by value with a bottom-up merge and counts the pairs that were out of order.
int64_t sort_counting_swaps(const double* value, std::vector<int64_t>& order, std::vector<int64_t>& merge) {
    const auto count = static_cast<int64_t>(order.size());
    merge.resize(count);
    int64_t swaps = 0;
    for (int64_t width = 1; width < count; width *= 2) {
        for (int64_t low = 0; low < count; low += 2 * width) {
            const int64_t middle = std::min(low + width, count), high = std::min(low + 2 * width, count);
            int64_t a = low, b = middle;
            for (int64_t k = low; k < high; ++k) {
                if (b >= high || (a < middle && value[order[a]] <= value[order[b]])) {
                    merge[k] = order[a++];
                } else {
                    swaps += middle - a;
                    merge[k] = order[b++];
                }
            }
        }
        order.swap(merge);
    }
    return swaps;
}

}  // namespace

Sorter::Sorter(int64_t capacity) {
    keyed_.reserve(capacity);
    order_.reserve(capacity);
    merge_.reserve(capacity);
    ends_.reserve(capacity);
}

void Sorter::sort(const double* values, int64_t count, double tolerance) {
    order(values, count);
    ends_.clear();
    for (int64_t i = 1; i <= count; ++i) {
        // Equal infinities have no difference.
        const bool tied = i < count && (keyed_[i].value == keyed_[i - 1].value || keyed_[i].value - keyed_[i - 1].value <= tolerance);
        if (!tied) ends_.push_back(i);
    }
}

void Sorter::order(const double* values, int64_t count) {
    const bool known = static_cast<int64_t>(keyed_.size()) == count;
    keyed_.resize(count);
    if (known) {
        for (Keyed& key : keyed_) key.value = values[key.at];
        // Insertion while that is cheap; what is far out of order is sorted from scratch.
        int64_t budget = 16 * count;
        int64_t i = 1;
        for (; i < count && budget > 0; ++i) {
            const Keyed key = keyed_[i];
            int64_t k = i;
            for (; k > 0 && keyed_[k - 1].value > key.value; --k) keyed_[k] = keyed_[k - 1];
            keyed_[k] = key;
            budget -= i - k;
        }
        if (i == count) return;
    } else {
        for (int64_t i = 0; i < count; ++i) keyed_[i] = {values[i], i};
    }
    std::sort(keyed_.begin(), keyed_.end(), [](const Keyed& a, const Keyed& b) { return a.value < b.value; });
}

void Sorter::average_ranks(double* ranks) const {
    int64_t i = 0;
    for (const int64_t end : ends_) {
        const double rank = 0.5 * static_cast<double>(i + 1 + end);
        for (; i < end; ++i) ranks[keyed_[i].at] = rank;
    }
}

PairCounts Sorter::count_pairs(const double* other) {
    const auto count = static_cast<int64_t>(keyed_.size());
    order_.resize(count);
    for (int64_t i = 0; i < count; ++i) order_[i] = keyed_[i].at;
    PairCounts found{pairs_among(count), 0, 0, 0, 0};
    int64_t i = 0;
    for (const int64_t end : ends_) {
        if (end - i > 1) {  // what is tied here goes by the other
            std::sort(order_.begin() + i, order_.begin() + end, [&](int64_t p, int64_t q) { return other[p] < other[q]; });
            found.tied += pairs_among(end - i);
            found.tied_in_both += tied_pairs(other, order_, i, end);
        }
        i = end;
    }
    found.discordant = sort_counting_swaps(other, order_, merge_);
    found.tied_in_other = tied_pairs(other, order_, 0, count);
    return found;
}

double spearman(const double* a, const double* b, int64_t count) {
    const double mean = 0.5 * static_cast<double>(count + 1);
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < count; ++i) {
        ab += (a[i] - mean) * (b[i] - mean);
        aa += (a[i] - mean) * (a[i] - mean);
        bb += (b[i] - mean) * (b[i] - mean);
    }
    return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : std::numeric_limits<double>::quiet_NaN();
}

double rho_a(const double* a, const double* b, int64_t count) {
    const auto m = static_cast<double>(count);
    const double mean = 0.5 * (m + 1);
    double ab = 0;
    for (int64_t i = 0; i < count; ++i) ab += (a[i] - mean) * (b[i] - mean);
    return 12 * ab / (m * m * m - m);
}

double tau_a(const PairCounts& counts) {
    return static_cast<double>(counts.concordant_minus_discordant()) / static_cast<double>(counts.pairs);
}

double tau_b(const PairCounts& counts) {
    const auto untied = static_cast<double>(counts.pairs - counts.tied);
    const auto untied_in_other = static_cast<double>(counts.pairs - counts.tied_in_other);
    return static_cast<double>(counts.concordant_minus_discordant()) / std::sqrt(untied * untied_in_other);
}

// Radix sort of the bits, flipped so that integers ascend where values descend.
void rank(const double* values, int64_t rows, int64_t count, const Context& context, int64_t* out) {
    constexpr int digit = 11, buckets = 1 << digit;
    struct Keyed {
        uint64_t key;
        int64_t at;
    };
    struct Scratch {
        std::vector<Keyed> keyed, sorted;
        std::vector<int64_t> start;
    };
    std::vector<Scratch> scratch(context.threads);
    for (auto& own : scratch) own = {std::vector<Keyed>(count), std::vector<Keyed>(count), std::vector<int64_t>(buckets)};
#pragma omp parallel for schedule(static) num_threads(context.threads) if (context.threads > 1)
    for (int64_t row = 0; row < rows; ++row) {
        auto& [keyed, sorted, start] = scratch[omp_thread()];
        for (int64_t k = 0; k < count; ++k) {
            const double given = values[row * count + k];
            const double value = std::isnan(given) ? std::numeric_limits<double>::infinity() : given == 0 ? 0.0 : given;
            uint64_t bits;
            std::memcpy(&bits, &value, sizeof bits);
            keyed[k] = {bits >> 63 ? bits : ~bits ^ (uint64_t{1} << 63), k};
        }
        for (int shift = 0; shift < 64; shift += digit) {
            std::fill(start.begin(), start.end(), 0);
            for (const Keyed& one : keyed) ++start[one.key >> shift & (buckets - 1)];
            if (start[keyed.empty() ? 0 : keyed[0].key >> shift & (buckets - 1)] == count) continue;
            int64_t before = 0;
            for (int64_t& bucket : start) before += std::exchange(bucket, before);
            for (const Keyed& one : keyed) sorted[start[one.key >> shift & (buckets - 1)]++] = one;
            keyed.swap(sorted);
        }
        for (int64_t k = 0; k < count; ++k) out[row * count + k] = keyed[k].at;
    }
}

}  // namespace secateur::cpu
