// How many double-precision fused multiply-adds one core does in a second: sixteen independent chains of vectors.
#include <chrono>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
typedef double Vec __attribute__((vector_size(BYTES)));

extern "C" double fma_per_second() {
    constexpr int chains = 16, rounds = 2000000;
    Vec x[chains];
    for (int c = 0; c < chains; ++c) x[c] = 1e-3 * c - Vec{};
    Vec a = 0.999999 - Vec{}, b = 1e-9 - Vec{};
    const auto start = std::chrono::steady_clock::now();
    for (int r = 0; r < rounds; ++r) {
        asm volatile("" : "+v"(a), "+v"(b));
#pragma GCC unroll 16
        for (int c = 0; c < chains; ++c) x[c] = x[c] * a + b;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    volatile double sink = 0;
    for (int c = 0; c < chains; ++c) sink = sink + x[c][0];
    return double(chains) * rounds * (BYTES / 8) / took.count();
}
