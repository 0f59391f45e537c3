// Rank statistics over pairs.
#pragma once

#include <cstdint>
#include <vector>

#include "secateur/kernels.hpp"

namespace secateur::cpu {

// How pairs of values lie in two vectors.
struct PairCounts {
    int64_t pairs, tied, tied_in_other, tied_in_both, discordant;
    int64_t concordant_minus_discordant() const { return pairs - tied - tied_in_other + tied_in_both - 2 * discordant; }
};

// Sorts values again and again, each time from the order of the time before: neighbours in a search differ little.
class Sorter {
  public:
    explicit Sorter(int64_t capacity);
    // What is asked below is asked of these values. Tied are equal ones, and neighbours along the sorted order that are no further
    // apart than the tolerance.
    void sort(const double* values, int64_t count, double tolerance = 0);
    // Whether all are tied.
    bool constant() const { return ends_.size() <= 1; }
    // ranks (count): 1-based average ranks, ties sharing theirs.
    void average_ranks(double* ranks) const;
    // Against another vector (count), whose equal values are tied; in O(count log count) (Knight 1966).
    PairCounts count_pairs(const double* other);

  private:
    struct Keyed {
        double value;
        int64_t at;
    };
    std::vector<Keyed> keyed_;
    std::vector<int64_t> ends_;  // of ties, along the sorted order
    std::vector<int64_t> order_, merge_;
    void order(const double* values, int64_t count);
};

// Pearson correlation of two rank vectors; NaN where one is constant.
double spearman(const double* a, const double* b, int64_t count);

// Spearman's rho with ties broken at random, in expectation (Schütt et al. 2023).
double rho_a(const double* ranks_a, const double* ranks_b, int64_t count);

// Kendall's tau: of all pairs; and of those tied in neither, by geometric means, NaN where a vector is constant.
double tau_a(const PairCounts&);
double tau_b(const PairCounts&);

}  // namespace secateur::cpu
