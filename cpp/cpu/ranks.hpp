// Rank statistics over pairs.
#pragma once

#include <cstdint>
#include <vector>

namespace secateur::cpu {

// ranks (count): 1-based average ranks, ties sharing theirs.
void average_ranks(const double* values, int64_t count, std::vector<int64_t>& order, double* ranks);

// Pearson correlation of two rank vectors; NaN where one is constant.
double spearman(const double* a, const double* b, int64_t count);

// Spearman's rho with ties broken at random, in expectation (Schütt et al. 2023).
double rho_a(const double* ranks_a, const double* ranks_b, int64_t count);

// Kendall's tau-a in O(count log count) (Knight 1966).
double tau_a(const double* a, const double* b, int64_t count, std::vector<int64_t>& order, std::vector<int64_t>& merge);

}  // namespace secateur::cpu
