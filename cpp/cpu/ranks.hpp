// Rank statistics over pairs.
#pragma once

#include <cstdint>
#include <vector>

#include "secateur/kernels.hpp"

namespace secateur::cpu {

// Sorts values again and again, each time from the order of the time before: neighbours in a search differ little.
class Sorter {
  public:
    explicit Sorter(int64_t capacity);
    // ranks (count): 1-based average ranks, ties sharing theirs.
    void average_ranks(const double* values, int64_t count, double* ranks);
    // Kendall's tau-a in O(count log count) (Knight 1966).
    double tau_a(const double* a, const double* b, int64_t count);

  private:
    struct Keyed {
        double value;
        int64_t at;
    };
    std::vector<Keyed> keyed_;
    std::vector<int64_t> order_, merge_;
    void sort(const double* values, int64_t count);
};

// Pearson correlation of two rank vectors; NaN where one is constant.
double spearman(const double* a, const double* b, int64_t count);

// Spearman's rho with ties broken at random, in expectation (Schütt et al. 2023).
double rho_a(const double* ranks_a, const double* ranks_b, int64_t count);

}  // namespace secateur::cpu
