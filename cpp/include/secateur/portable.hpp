// The only compiler-dependent lines of the project: host/device marks, inlining, SIMD lanes and their run-time choice.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(_OPENMP)
#include <omp.h>
#endif

#if defined(__CUDACC__)
#define HOST_DEVICE __host__ __device__
#else
#define HOST_DEVICE
#endif

#if defined(__GNUC__) || defined(__clang__)
#define ALWAYS_INLINE __attribute__((always_inline)) inline
#define INLINE_LAMBDA __attribute__((always_inline))
#else
#error "Secateur's vector kernels need GCC or Clang."
#endif

#if defined(__CUDACC__)
#define UNROLL(times)  // a GCC pragma that nvcc's reader of host code warns of
#else
#define UNROLL(times) UNROLL_AS_SAID(GCC unroll times)
#define UNROLL_AS_SAID(words) _Pragma(#words)
#endif

#if defined(SECATEUR_MULTIVERSION)
#define TARGET_V4 __attribute__((target("arch=x86-64-v4")))
#define TARGET_V3 __attribute__((target("arch=x86-64-v3")))
#endif

namespace secateur {

// The number of the thread inside a parallel region (0 is the caller's own), and how many there are.
inline int omp_thread() {
#if defined(_OPENMP)
    return omp_get_thread_num();
#else
    return 0;
#endif
}

inline int omp_team() {
#if defined(_OPENMP)
    return omp_get_num_threads();
#else
    return 1;
#endif
}

template <int L>
struct Lanes;
template <>
struct Lanes<2> {
    typedef double Vec __attribute__((vector_size(16)));
    typedef float Half __attribute__((vector_size(8)));
    typedef float Floats __attribute__((vector_size(16)));
};
template <>
struct Lanes<4> {
    typedef double Vec __attribute__((vector_size(32)));
    typedef float Half __attribute__((vector_size(16)));
    typedef float Floats __attribute__((vector_size(32)));
};
template <>
struct Lanes<8> {
    typedef double Vec __attribute__((vector_size(64)));
    typedef float Half __attribute__((vector_size(32)));
    typedef float Floats __attribute__((vector_size(64)));
};

// L doubles that move together. Loads and stores need no alignment.
template <int L>
struct Simd {
    using Vec = typename Lanes<L>::Vec;
    ALWAYS_INLINE static Vec load(const double* p) {
        Vec v;
        std::memcpy(&v, p, sizeof v);
        return v;
    }
    ALWAYS_INLINE static void store(double* p, Vec v) { std::memcpy(p, &v, sizeof v); }
    // Through memory, which the compiler removes; a vector built from a scalar is put together lane by lane instead.
    ALWAYS_INLINE static Vec splat(double x) {
        double lanes[L];
        for (int l = 0; l < L; ++l) lanes[l] = x;
        return load(lanes);
    }
    ALWAYS_INLINE static Vec sqrt(Vec v) {
        Vec out;
        for (int l = 0; l < L; ++l) out[l] = __builtin_sqrt(v[l]);
        return out;
    }
    // L floats, as doubles.
    ALWAYS_INLINE static Vec load(const float* p) {
        typename Lanes<L>::Half v;
        std::memcpy(&v, p, sizeof v);
        return __builtin_convertvector(v, Vec);
    }
    // L vectors as the rows of a matrix: rows and columns change places.
    ALWAYS_INLINE static void transpose(Vec (&v)[L]) {
        using Mask = decltype(Vec{} < Vec{});
UNROLL(3)
        for (int step = 1; step < L; step *= 2) {
            Mask low, high;
UNROLL(8)
            for (int l = 0; l < L; ++l) {
                low[l] = l & step ? L + l - step : l;
                high[l] = l & step ? L + l : l + step;
            }
UNROLL(8)
            for (int i = 0; i < L; ++i)
                if (!(i & step)) {
                    const Vec a = v[i], b = v[i + step];
                    v[i] = __builtin_shuffle(a, b, low);
                    v[i + step] = __builtin_shuffle(a, b, high);
                }
        }
    }
    ALWAYS_INLINE static double sum(Vec v) {
        double total = v[0];
        for (int l = 1; l < L; ++l) total += v[l];
        return total;
    }
};

// The floats that fill the same vector.
template <int L>
struct SimdFloat {
    static constexpr int lanes = 2 * L;
    using Vec = typename Lanes<L>::Floats;
    ALWAYS_INLINE static Vec load(const float* p) {
        Vec v;
        std::memcpy(&v, p, sizeof v);
        return v;
    }
    ALWAYS_INLINE static void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
    ALWAYS_INLINE static Vec splat(float x) {
        float all[lanes];
        for (int l = 0; l < lanes; ++l) all[l] = x;
        return load(all);
    }
};

#if defined(__AVX512F__)
inline constexpr int native_lanes = 8;
#elif defined(__AVX__)
inline constexpr int native_lanes = 4;
#else
inline constexpr int native_lanes = 2;
#endif

// Kernel::run<L>(args...) compiled for several instruction sets; choose<Kernel, Args...>() returns the widest that
// this machine runs. Everything that run<L> calls must be ALWAYS_INLINE, or it is compiled for the baseline.
template <class Kernel, class... Args>
void run_native(Args... args) {
    Kernel::template run<native_lanes>(args...);
}
#if defined(SECATEUR_MULTIVERSION)
template <class Kernel, class... Args>
TARGET_V4 void run_v4(Args... args) {
    Kernel::template run<8>(args...);
}
template <class Kernel, class... Args>
TARGET_V3 void run_v3(Args... args) {
    Kernel::template run<4>(args...);
}
#endif

inline int simd_lanes() {
#if defined(SECATEUR_MULTIVERSION)
    static const int lanes = __builtin_cpu_supports("x86-64-v4") ? 8 : __builtin_cpu_supports("x86-64-v3") ? 4 : native_lanes;
    return lanes;
#else
    return native_lanes;
#endif
}

template <class Kernel, class... Args>
auto choose() -> void (*)(Args...) {
#if defined(SECATEUR_MULTIVERSION)
    if (simd_lanes() == 8) return &run_v4<Kernel, Args...>;
    if (simd_lanes() == 4) return &run_v3<Kernel, Args...>;
#endif
    return &run_native<Kernel, Args...>;
}

}  // namespace secateur
