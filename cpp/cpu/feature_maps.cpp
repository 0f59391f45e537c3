// Feature maps masked one by one: the embeddings behind two rectified layers.
#include <algorithm>
#include <vector>

#include "core/buffer.hpp"
#include "cpu/cpu.hpp"

namespace secateur::cpu {

namespace {

constexpr int64_t tall = 12, wide = 32;  // a tile of the product: changed rows x units of the second layer

int64_t rounded(int64_t count, int64_t to) {
    return (count + to - 1) / to * to;
}

// How far `tall` rows move behind the rectifier: max(before - removed, 0) - max(before, 0). Only the units where one of them
// moves are kept, ascending: `moved` (kept, tall) and `unit` (kept). `scratch` holds (tall, pitch) floats.
struct Rectify {
    template <int L>
    ALWAYS_INLINE static void run(const float* before, const float* removed, int64_t stride, int64_t rows, int64_t units,
                                  int64_t pitch, float* scratch, int32_t* unit, float* moved, int64_t* kept) {
        using S = SimdFloat<L>;
        using Vec = typename S::Vec;
        const Vec zero = S::splat(0);
        *kept = 0;
        for (int64_t r = rows; r < tall; ++r) std::fill_n(scratch + r * pitch, pitch, 0.0F);
        for (int64_t u = 0; u < units; u += S::lanes) {
            const int64_t count = std::min<int64_t>(S::lanes, units - u);
            float own[S::lanes] = {}, gone[S::lanes] = {};
            if (count < S::lanes) std::copy_n(before + u, count, own);
            const Vec base = count < S::lanes ? S::load(own) : S::load(before + u);
            Vec any = zero;
            for (int64_t r = 0; r < rows; ++r) {
                if (count < S::lanes) std::copy_n(removed + r * stride + u, count, gone);
                const Vec after = base - (count < S::lanes ? S::load(gone) : S::load(removed + r * stride + u));
                const Vec gap = (after > zero ? after : zero) - (base > zero ? base : zero);
                S::store(scratch + r * pitch + u, gap);
                any += gap * gap;
            }
            float moves[S::lanes];
            S::store(moves, any);
            for (int64_t l = 0; l < count; ++l) {
                unit[*kept] = static_cast<int32_t>(u + l);
                *kept += moves[l] > 0;
            }
        }
        for (int64_t s = 0; s < *kept; ++s) UNROLL(12)
        for (int64_t r = 0; r < tall; ++r) moved[s * tall + r] = scratch[r * pitch + unit[s]];
    }
};

// out (tall, wide): the sum over the kept units of what moved times the unit's weights, which lie `wide` to a line.
struct TileProduct {
    template <int L>
    ALWAYS_INLINE static void run(const float* moved, const int32_t* unit, int64_t kept, const float* lines, float* out) {
        using S = SimdFloat<L>;
        using Vec = typename S::Vec;
        constexpr int rows = L >= 8 ? 12 : 6;  // what the registers hold
        for (int64_t r0 = 0; r0 < tall; r0 += rows)
            for (int64_t c0 = 0; c0 < wide; c0 += 2 * S::lanes) {
                Vec left[rows], right[rows];
                UNROLL(12)
                for (int r = 0; r < rows; ++r) left[r] = right[r] = Vec{};
                for (int64_t s = 0; s < kept; ++s) {
                    const float* line = lines + unit[s] * wide + c0;
                    const Vec a = S::load(line), b = S::load(line + S::lanes);
                    UNROLL(12)
                    for (int r = 0; r < rows; ++r) {
                        const Vec factor = S::splat(moved[s * tall + r0 + r]);
                        left[r] += factor * a;
                        right[r] += factor * b;
                    }
                }
                for (int r = 0; r < rows; ++r) {
                    S::store(out + (r0 + r) * wide + c0, left[r]);
                    S::store(out + (r0 + r) * wide + c0 + S::lanes, right[r]);
                }
            }
    }
};

// The weights of `wide` outputs after `wide` outputs, by input unit: what a tile reads lies together.
std::vector<float> panels_of(const Layer& layer, int threads) {
    const int64_t count = rounded(layer.outputs, wide) / wide;
    std::vector<float> panels(count * layer.inputs * wide);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int64_t p = 0; p < count; ++p)
        for (int64_t u = 0; u < layer.inputs; ++u) {
            float* line = panels.data() + (p * layer.inputs + u) * wide;
            for (int64_t c = 0; c < std::min(wide, layer.outputs - p * wide); ++c)
                line[c] = layer.weights[(p * wide + c) * layer.inputs + u];
        }
    return panels;
}

}  // namespace

void masked_embeddings(const float* before, const float* removed, int64_t rows, int64_t images, const Layer& layer,
                       const float* after, const Context& context, float* out) {
    const int64_t units = layer.inputs, outputs = layer.outputs, tiles = rounded(rows, tall) / tall;
    const int64_t pitch = rounded(units, wide) + 16;  // not a power of two: rows of one must not share cache sets
    const auto rectify =
        choose<Rectify, const float*, const float*, int64_t, int64_t, int64_t, int64_t, float*, int32_t*, float*, int64_t*>();
    const auto multiply = choose<TileProduct, const float*, const int32_t*, int64_t, const float*, float*>();
    const std::vector<float> panels = panels_of(layer, context.threads);

    struct Scratch {
        std::vector<float> rows, moved;
        std::vector<int32_t> unit;
        std::vector<int64_t> kept;
    };
    const int team = static_cast<int>(std::clamp<int64_t>(images, 1, context.threads));
    std::vector<Scratch> scratch(team);
    for (Scratch& s : scratch) {
        s.rows.resize(tall * pitch);
        s.moved.resize(tiles * units * tall);
        s.unit.resize(tiles * (units + 1));
        s.kept.resize(tiles);
    }
#pragma omp parallel for schedule(dynamic) num_threads(team) if (team > 1)
    for (int64_t i = 0; i < images; ++i) {
        Scratch& s = scratch[team > 1 ? omp_thread() : 0];
        for (int64_t t = 0; t < tiles; ++t)
            rectify(before + i * units, removed + (t * tall * images + i) * units, images * units,
                    std::min(tall, rows - t * tall), units, pitch, s.rows.data(), s.unit.data() + t * (units + 1),
                    s.moved.data() + t * units * tall, s.kept.data() + t);
        for (int64_t p = 0; p * wide < outputs && !context.stop(team > 1 ? omp_thread() : 0); ++p) {
            const float *lines = panels.data() + p * units * wide, *own = after + i * outputs + p * wide;
            const int64_t count = std::min(wide, outputs - p * wide);
            for (int64_t t = 0; t < tiles; ++t) {
                float product[tall * wide];
                multiply(s.moved.data() + t * units * tall, s.unit.data() + t * (units + 1), s.kept[t], lines, product);
                for (int64_t r = 0; r < std::min(tall, rows - t * tall); ++r) {
                    float* to = out + ((t * tall + r) * images + i) * outputs + p * wide;
                    for (int64_t c = 0; c < count; ++c) to[c] = std::max(own[c] + product[r * wide + c], 0.0F);
                }
            }
        }
    }
    context.throw_if_stopped();
}

}  // namespace secateur::cpu
