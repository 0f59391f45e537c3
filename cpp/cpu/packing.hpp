// X turned round by strips of stimuli, so that what a kernel loads at once are one feature's values of several stimuli.
#pragma once

#include "secateur/data.hpp"

namespace secateur::cpu {

// to [feature][stimulus in strip]: the stimuli from `first` on, less their means (where given), zeros behind the last. Features
// that follow one another from `at` on, or those that are `listed`.
template <int L, int strip>
ALWAYS_INLINE void pack_strip(const Features& x, const double* mean, const int64_t* listed, int64_t at, int64_t count,
                              int64_t first, double* to) {
    using S = Simd<L>;
    static_assert(strip % L == 0);
    for (int c = 0; c < strip; c += L) {
        const double* row[L];
        double less[L];
        for (int l = 0; l < L; ++l) {
            const int64_t i = first + c + l;
            row[l] = i < x.stimuli ? x.values + i * x.count : nullptr;
            less[l] = mean && row[l] ? mean[i] : 0;
        }
        int64_t k = 0;
        for (; !listed && k + L <= count; k += L) {
            typename S::Vec v[L];
            UNROLL(8)
            for (int l = 0; l < L; ++l) v[l] = row[l] ? S::load(row[l] + at + k) - less[l] : typename S::Vec{};
            S::transpose(v);
            UNROLL(8)
            for (int l = 0; l < L; ++l) S::store(to + (k + l) * strip + c, v[l]);
        }
        for (; k < count; ++k)
            for (int l = 0; l < L; ++l) to[k * strip + c + l] = row[l] ? row[l][listed ? listed[k] : at + k] - less[l] : 0.0;
    }
}

}  // namespace secateur::cpu
