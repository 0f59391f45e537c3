// Rows of values on the device, ranked each by itself: exactly, and with the ties of maths.hpp.
#pragma once

#include "device.hpp"

namespace secateur::cuda {

// What ties in a row: neighbours along its sorted order that are no further apart than this share of its scale.
struct Ties {
    TieScale scale;
    double share;
};
inline Ties near_ones(TieScale scale) {
    return {scale, tie_share};
}
inline Ties equal_ones() {
    return {{true, false}, 0};
}

// Of each row, what comes of ranking it; nothing of use where a value is NaN.
struct RankedRows {
    const int32_t* ranks;   // (rows, pitch): centred
    const double* squares;  // (rows): their sums of squares
    const int64_t* tied;    // (rows): pairs of values that tie
    const char* undefined;  // (rows): whether a value is NaN
};

// How a row's order lies to that of another row: PairCounts' last two.
struct OrderCounts {
    const int64_t* tied_in_both;           // (rows)
    const unsigned long long* discordant;  // (rows)
};

class Ranks {
  public:
    // Of up to so many rows of up to `pitch` values, which lie `pitch` apart; no more than `most_rows`.
    Ranks(Device&, int64_t rows, int64_t pitch);
    static constexpr int64_t most_rows = 32768;
    // What a row takes.
    static int64_t bytes(int64_t pitch) { return 20 * pitch + 48; }
    // Rows of `counts` values each or (nullptr) `count`; valid until the next call.
    RankedRows of(const double* values, int64_t rows, const int64_t* counts, int64_t count, const Ties&);
    // The rows last ranked against other centred ranks, none of a row that is undefined: row `which[row]` of them, or (nullptr)
    // the row itself; `stride` apart, 0: one for all.
    OrderCounts against(const int32_t* other, const int64_t* which, int64_t stride);

  private:
    Device& device_;
    const int64_t pitch_;
    int64_t rows_ = 0, count_ = 0;
    const int64_t* counts_ = nullptr;
    DeviceBuffer<uint64_t> keys_, merged_;
    DeviceBuffer<int32_t> ranks_;
    DeviceBuffer<double> squares_;
    DeviceBuffer<int64_t> tied_, tied_in_both_;
    DeviceBuffer<char> undefined_;
    DeviceBuffer<unsigned long long> discordant_;
};

}  // namespace secateur::cuda
