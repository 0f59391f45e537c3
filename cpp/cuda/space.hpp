// Spaces of many lists of features at once.
#pragma once

#include "device.hpp"

namespace secateur::cuda {

// Lists of features on the device: (count, stride), each of its own length.
struct Lists {
    const int64_t* features;
    const int64_t* lengths;
    int64_t count, stride;
};

// One space on the device: sums over features as the rule has them, means where the rule is centred (else null).
struct SpaceThere {
    const double *pair, *own, *mean, *similarities;
};

// sums (slices, size) on the device: the first of them := all of them, in order.
void add_slices(Device&, double* sums, int64_t size, int64_t slices);

// Similarities over lists of features, from the features alone.
class Spaces {
  public:
    // Of up to so many lists; `beside`: the bytes that a list takes its maker. A single one may be summed up in slices, side by
    // side.
    Spaces(Device&, const Features& x, Metric, int64_t lists, int64_t beside, bool in_slices = false);
    int64_t at_once() const { return at_once_; }
    // (lists, pairs), until the next call; NaN where undefined.
    const double* of(Lists);
    // Of one list, until the next call.
    SpaceThere whole(Lists);
    // Of one list: pair (pairs), own (stimuli), mean (stimuli), on the host.
    void sums_of(Lists, double* pair, double* own, double* mean);

  private:
    Device& device_;
    const Features x_;
    const Metric metric_;
    int64_t at_once_, slices_;
    DeviceBuffer<double> sums_, means_, similarities_;
    void add_up(Lists);
};

}  // namespace secateur::cuda
