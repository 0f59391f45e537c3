#include <chrono>
#include <cstddef>
#include <cstring>
#include <vector>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
typedef double Vec __attribute__((vector_size(BYTES)));

// How many double-precision multiply-adds one core does in a second: sixteen independent chains of vectors.
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

// How many bytes a second one core reads, of more than caches hold.
extern "C" double bytes_per_second() {
    static const std::vector<double> all(std::size_t(1) << 25, 1.0);
    constexpr int chains = 8, width = BYTES / 8;
    Vec sums[chains] = {};
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t at = 0; at < all.size(); at += chains * width) {
#pragma GCC unroll 8
        for (int c = 0; c < chains; ++c) {
            Vec x;
            std::memcpy(&x, &all[at + c * width], BYTES);
            sums[c] += x;
        }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    volatile double sink = 0;
    for (int c = 0; c < chains; ++c) sink = sink + sums[c][0];
    return double(all.size()) * sizeof(double) / took.count();
}
