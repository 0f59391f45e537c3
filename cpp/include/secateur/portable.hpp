// The only compiler-dependent lines of the project: host/device marks, inlining, SIMD lanes and their run-time choice.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(_OPENMP)
#include <omp.h>
#endif

#if defined(__CUDACC__)
#define HOST_DEVICE __host__ __device__
#define EITHER_SIDE _Pragma("nv_exec_check_disable")  // the template below calls what it is given on the side that gave it
#else
#define HOST_DEVICE
#define EITHER_SIDE
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

// Lanes picked from two vectors laid end to end.
#if defined(__clang__)
#define SHUFFLE(Lanes, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else  // GCC has that one from 12 on
#define SHUFFLE(Lanes, a, b, ...) __builtin_shuffle(a, b, typename Lanes::Mask{__VA_ARGS__})
#endif

// Of the bytes of a number, the lowest come first.
inline constexpr bool little_endian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

template <int L>
struct Lanes;
template <>
struct Lanes<2> {
    typedef double Vec __attribute__((vector_size(16)));
    typedef int64_t Mask __attribute__((vector_size(16)));
    typedef float Half __attribute__((vector_size(8)));
    typedef int32_t Ints __attribute__((vector_size(8)));
    typedef uint16_t Shorts __attribute__((vector_size(4)));
    typedef float Floats __attribute__((vector_size(16)));
};
template <>
struct Lanes<4> {
    typedef double Vec __attribute__((vector_size(32)));
    typedef int64_t Mask __attribute__((vector_size(32)));
    typedef float Half __attribute__((vector_size(16)));
    typedef int32_t Ints __attribute__((vector_size(16)));
    typedef uint16_t Shorts __attribute__((vector_size(8)));
    typedef float Floats __attribute__((vector_size(32)));
};
template <>
struct Lanes<8> {
    typedef double Vec __attribute__((vector_size(64)));
    typedef int64_t Mask __attribute__((vector_size(64)));
    typedef float Half __attribute__((vector_size(32)));
    typedef int32_t Ints __attribute__((vector_size(32)));
    typedef uint16_t Shorts __attribute__((vector_size(16)));
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
        exchange<1>(v);
        if constexpr (L > 2) exchange<2>(v);
        if constexpr (L > 4) exchange<4>(v);
    }
    // Rows and columns whose numbers differ by `step` alone change places.
    template <int step>
    ALWAYS_INLINE static void exchange(Vec (&v)[L]) {
        UNROLL(8)
        for (int i = 0; i < L; ++i)
            if (!(i & step)) {
                const Vec a = v[i], b = v[i + step];
                v[i] = low<step>(a, b, std::make_integer_sequence<int, L>{});
                v[i + step] = high<step>(a, b, std::make_integer_sequence<int, L>{});
            }
    }
    template <int step, int... lane>
    ALWAYS_INLINE static Vec low(Vec a, Vec b, std::integer_sequence<int, lane...>) {
        return SHUFFLE(Lanes<L>, a, b, (lane & step ? L + lane - step : lane)...);
    }
    template <int step, int... lane>
    ALWAYS_INLINE static Vec high(Vec a, Vec b, std::integer_sequence<int, lane...>) {
        return SHUFFLE(Lanes<L>, a, b, (lane & step ? L + lane : lane + step)...);
    }
    // The bits of each lane as an integer, and back.
    ALWAYS_INLINE static typename Lanes<L>::Mask bits(Vec v) {
        typename Lanes<L>::Mask b;
        std::memcpy(&b, &v, sizeof b);
        return b;
    }
    ALWAYS_INLINE static Vec of_bits(typename Lanes<L>::Mask b) {
        Vec v;
        std::memcpy(&v, &b, sizeof v);
        return v;
    }
    // Out of two vectors laid end to end, by lane: index modulo 2 L.
    ALWAYS_INLINE static Vec pick(Vec a, Vec b, typename Lanes<L>::Mask index) {
#if defined(__clang__)
        Vec out;
        for (int l = 0; l < L; ++l) out[l] = index[l] & L ? b[index[l] & (L - 1)] : a[index[l] & (L - 1)];
        return out;
#else
        return __builtin_shuffle(a, b, index);
#endif
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

// Whether there are 32 vector registers, not 16.
#if defined(__aarch64__)
template <int>
inline constexpr bool many_registers = true;
#else
template <int L>
inline constexpr bool many_registers = L == 8;
#endif

// The instruction levels that kernels are compiled for, narrowest first: that of the compiler's flags, and two of x86-64's.
enum class Level { baseline, v3, v4 };

inline const char* name_of(Level level) {
    constexpr const char* names[] = {"baseline", "x86-64-v3", "x86-64-v4"};
    return names[static_cast<int>(level)];
}

// Those of this build that this machine runs.
inline std::vector<Level> simd_levels() {
    std::vector<Level> levels{Level::baseline};
#if defined(SECATEUR_MULTIVERSION)
    if (__builtin_cpu_supports("x86-64-v3")) levels.push_back(Level::v3);
    if (__builtin_cpu_supports("x86-64-v4")) levels.push_back(Level::v4);
#endif
    return levels;
}

// The level in use: the one that the environment variable SECATEUR_SIMD names when this is first asked, else the widest.
inline Level simd_level() {
    static const Level chosen = [] {
        const std::vector<Level> levels = simd_levels();
        const char* asked = std::getenv("SECATEUR_SIMD");
        if (!asked || !*asked) return levels.back();
        std::string message = "SECATEUR_SIMD must name an instruction level that this build has and this processor runs (";
        for (const Level level : levels) {
            if (std::string(asked) == name_of(level)) return level;
            message += std::string(level == levels.front() ? "'" : ", '") + name_of(level) + "'";
        }
        throw std::invalid_argument(message + "), got '" + asked + "'");
    }();
    return chosen;
}

inline int simd_lanes() {
    return simd_level() == Level::v4 ? 8 : simd_level() == Level::v3 ? 4 : native_lanes;
}

// Calls body with the lanes in use as a constant, to ask a kernel what its sizes are.
template <class Body>
void at_level(Body&& body) {
    if (simd_level() == Level::v4) return body(std::integral_constant<int, 8>{});
    if (simd_level() == Level::v3) return body(std::integral_constant<int, 4>{});
    body(std::integral_constant<int, native_lanes>{});
}

// Kernel::run<L>(args...) compiled for every level; choose<Kernel, Args...>() returns the one in use. Everything that run<L>
// calls must be ALWAYS_INLINE, or it is compiled for the baseline.
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

template <class Kernel, class... Args>
auto choose() -> void (*)(Args...) {
#if defined(SECATEUR_MULTIVERSION)
    if (simd_level() == Level::v4) return &run_v4<Kernel, Args...>;
    if (simd_level() == Level::v3) return &run_v3<Kernel, Args...>;
#endif
    return &run_native<Kernel, Args...>;
}

}  // namespace secateur
