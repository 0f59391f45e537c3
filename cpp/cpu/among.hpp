// What is left of features and targets among some of the stimuli.
#pragma once

#include <vector>

#include "buffer.hpp"
#include "secateur/plan.hpp"

namespace secateur::cpu {

// Where the pairs among these stimuli (in this order) lie among the pairs of `all` stimuli.
std::vector<int64_t> pair_positions(Indices stimuli, int64_t all);

// Rows, columns at these positions: (rows, count) of (rows, all).
Buffer columns_among(const double* values, int64_t rows, int64_t all, const std::vector<int64_t>& at, int threads);

// Copies among some stimuli; where stimuli.values is null all are asked for, and nothing is copied.
class Among {
  public:
    // Throws where the comparator doesn't take the weights of the pairs that are asked for.
    Among(const Features&, const Targets&, Indices stimuli, Comparator, const Context&, bool values_too = true);
    Features features;  // values are null where they were
    Targets targets;    // values are null without `values_too`
    // Of the pairs among all pairs; values are null where all are asked for.
    Indices positions() const {
        return {positions_.empty() ? nullptr : positions_.data(), features.pairs()};
    }

  private:
    Buffer x_, values_, weights_;
    std::vector<int64_t> positions_;
};

}  // namespace secateur::cpu
