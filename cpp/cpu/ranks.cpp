#include "ranks.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace secateur::cpu {

namespace {

// Sum over groups of equal neighbours of size * (size - 1) / 2.
template <class Same>
int64_t tied_pairs(int64_t count, Same same) {
    int64_t tied = 0, run = 1;
    for (int64_t i = 1; i <= count; ++i) {
        if (i < count && same(i - 1, i)) {
            ++run;
        } else {
            tied += run * (run - 1) / 2;
            run = 1;
        }
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
}

void Sorter::sort(const double* values, int64_t count) {
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

void Sorter::average_ranks(const double* values, int64_t count, double* ranks) {
    sort(values, count);
    for (int64_t i = 0; i < count;) {
        int64_t end = i + 1;
        while (end < count && keyed_[end].value == keyed_[i].value) ++end;
        const double rank = 0.5 * static_cast<double>(i + 1 + end);
        for (; i < end; ++i) ranks[keyed_[i].at] = rank;
    }
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

double Sorter::tau_a(const double* a, const double* b, int64_t count) {
    sort(a, count);
    auto& order = order_;
    order.resize(count);
    for (int64_t i = 0; i < count; ++i) order[i] = keyed_[i].at;
    for (int64_t i = 0; i < count;) {  // ties of a by b
        int64_t end = i + 1;
        while (end < count && a[order[end]] == a[order[i]]) ++end;
        if (end - i > 1) std::sort(order.begin() + i, order.begin() + end, [&](int64_t p, int64_t q) { return b[p] < b[q]; });
        i = end;
    }
    const int64_t pairs = count * (count - 1) / 2;
    const int64_t tied_a = tied_pairs(count, [&](int64_t i, int64_t j) { return a[order[i]] == a[order[j]]; });
    const int64_t tied_both =
        tied_pairs(count, [&](int64_t i, int64_t j) { return a[order[i]] == a[order[j]] && b[order[i]] == b[order[j]]; });
    const int64_t discordant = sort_counting_swaps(b, order, merge_);
    const int64_t tied_b = tied_pairs(count, [&](int64_t i, int64_t j) { return b[order[i]] == b[order[j]]; });
    const int64_t concordant = pairs - tied_a - tied_b + tied_both - discordant;
    return static_cast<double>(concordant - discordant) / static_cast<double>(pairs);
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
