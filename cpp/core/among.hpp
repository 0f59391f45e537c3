// What is left of targets among some of the stimuli.
#pragma once

#include <vector>

#include "core/buffer.hpp"
#include "secateur/engine.hpp"

namespace secateur {

// A copy among some of `all` stimuli; where stimuli.values is null all are asked for, and nothing is copied. What lies with an
// engine alone stays out.
class TargetsAmong {
  public:
    TargetsAmong(const Targets&, int64_t all, Indices stimuli, const Context&);
    Targets targets;
    // Of the pairs among all pairs; values are null where all are asked for.
    Indices positions() const { return {positions_.empty() ? nullptr : positions_.data(), pairs_}; }

  private:
    const int64_t pairs_;
    Buffer values_, weights_;
    std::vector<int64_t> positions_;
};

}  // namespace secateur
