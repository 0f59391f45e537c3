// What is left of features and targets among some of the stimuli.
#pragma once

#include <vector>

#include "core/buffer.hpp"
#include "secateur/engine.hpp"

namespace secateur::cpu {

// Copies among some stimuli; where stimuli.values is null all are asked for, and nothing is copied.
class Among {
  public:
    Among(const Features&, const Targets&, Indices stimuli, const Context&);
    Features features;  // values are null where they were,
    Targets targets;    // and so are these
    // Of the pairs among all pairs; values are null where all are asked for.
    Indices positions() const { return {positions_.empty() ? nullptr : positions_.data(), features.pairs()}; }

  private:
    Buffer x_, values_, weights_;
    std::vector<int64_t> positions_;
};

}  // namespace secateur::cpu
