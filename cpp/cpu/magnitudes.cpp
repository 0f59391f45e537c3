#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "cpu/cpu.hpp"

namespace secateur::cpu {

namespace {

template <class Value>
struct Extremes {
    template <int L>
    ALWAYS_INLINE static void run(const Value* values, int64_t count, Magnitudes* found) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        constexpr int V = 4;
        constexpr double infinity = std::numeric_limits<double>::infinity();
        Vec high[V] = {}, low[V], zero[V] = {};  // zero times a finite number is zero
        UNROLL(4)
        for (int v = 0; v < V; ++v) low[v] = S::splat(infinity);
        const auto take = [&](int v, Vec value) INLINE_LAMBDA {
            const Vec size = magnitude(value), some = size > 0 ? size : S::splat(infinity);
            high[v] = size > high[v] ? size : high[v];
            low[v] = some < low[v] ? some : low[v];
            zero[v] += value * 0.0;
        };
        int64_t at = 0;
        for (; at + V * L <= count; at += V * L) UNROLL(4)
        for (int v = 0; v < V; ++v) take(v, S::load(values + at + v * L));
        for (; at < count; ++at) take(0, S::splat(values[at]));
        double largest = 0, smallest = infinity;
        bool finite = true;
        for (int v = 0; v < V; ++v)
            for (int l = 0; l < L; ++l) {
                largest = high[v][l] > largest ? high[v][l] : largest;
                smallest = low[v][l] < smallest ? low[v][l] : smallest;
                finite = finite && zero[v][l] == 0;
            }
        *found = {finite ? largest : std::numeric_limits<double>::quiet_NaN(), smallest};
    }
};

}  // namespace

template <class Value>
Magnitudes magnitudes(const Value* values, int64_t count) {
    Magnitudes found;
    choose<Extremes<Value>, const Value*, int64_t, Magnitudes*>()(values, count, &found);
    return found;
}

template <class Value>
void expect_finite(const Value* x, int64_t stimuli, int64_t features) {
    if (!std::isnan(magnitudes(x, stimuli * features).largest)) return;
    for (int64_t at = 0; at < stimuli * features; ++at)
        if (!std::isfinite(x[at])) {
            std::ostringstream message;
            message << "X must be finite, got " << x[at] << " at stimulus " << at / features << ", feature " << at % features;
            throw std::invalid_argument(message.str());
        }
}

template Magnitudes magnitudes(const double*, int64_t);
template Magnitudes magnitudes(const float*, int64_t);
template void expect_finite(const double*, int64_t, int64_t);
template void expect_finite(const float*, int64_t, int64_t);

}  // namespace secateur::cpu
