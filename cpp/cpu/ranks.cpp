#include "core/ranks.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace secateur {

namespace {

// Pairs in the runs of equal neighbours among order[from .. to).
int64_t tied_neighbours(const double* value, const std::vector<int64_t>& order, int64_t from, int64_t to) {
    int64_t tied = 0;
    for (int64_t i = from; i < to;) {
        int64_t end = i + 1;
        while (end < to && value[order[end]] == value[order[i]]) ++end;
        tied += pairs_among(end - i);
        i = end;
    }
    return tied;
}

// Sorts `order` by value with a bottom-up merge and counts the pairs that were out of order.
template <class Ended>
int64_t sort_counting_swaps(const double* value, std::vector<int64_t>& order, std::vector<int64_t>& merge, const Ended& ended) {
    static constexpr int64_t often = 1 << 13;  // values from one question whether to end to the next
    const auto count = static_cast<int64_t>(order.size());
    merge.resize(count);
    int64_t swaps = 0;
    for (int64_t width = 1; width < count; width *= 2) {
        for (int64_t low = 0; low < count; low += 2 * width) {
            if (low % often == 0 && ended()) return 0;
            const int64_t middle = std::min(low + width, count), high = std::min(low + 2 * width, count);
            int64_t a = low, b = middle;
            for (int64_t k = low; k < high; ++k) {
                if (b >= high || (a < middle && value[order[a]] <= value[order[b]])) {
                    merge[k] = order[a++];
                } else {
                    swaps += middle - a;
                    merge[k] = order[b++];
                }
            }
        }
        order.swap(merge);
    }
    return swaps;
}

}  // namespace

// Why the order is exact, whatever the map. A key's place y is a whole number, of the map's value Y rounded down; Y rises no
// faster than `steepest` but for rounding, which is far below a hundredth. So a value no more than the tolerance above another
// (and any value below it) has a place at most `close` = 1 + floor(steepest * tolerance + 1/100) higher. Turned about: where
// neighbours along the sorted keys are more than `close` places apart, everything behind lies more than the tolerance above
// everything before. What lies between two such gaps is a run, and is sorted by the values themselves; ties by the tolerance
// never leave a run. The map a sorter has from other values makes runs longer and sorting slower, and that is all.
namespace {

// Of a map that vectors of eight lanes hold; 0 where vectors are shorter.
int cells_of_vectors() {
    return simd_lanes() == 8 ? 16 : 0;
}

}  // namespace

template <class Sorted>
void SortingMap::build(int64_t count, int bits, int cells, const Sorted& sorted) {
    const double top = std::ldexp(1.0, bits) - 1;
    // Tails that reach far beyond their neighbours fall into the first and the last place.
    const double from = sorted(count / 256), to = sorted(count - 1 - count / 256), reach = to - from;
    const double lowest = std::max(sorted(0), from - reach), highest = std::min(sorted(count - 1), to + reach);
    const double width = (highest - lowest) / (cells - 2);
    low = lowest - width;
    scale = 1 / width;
    start.assign(cells, 0.0);
    slope.assign(cells, 0.0);
    steepest = 0;
    if (!(width > 0 && highest - lowest < 1e300 && std::isfinite(scale) && std::isfinite(low))) {
        low = scale = 0;
        return;
    }
    constexpr double uniform = 1.0 / 16;
    int64_t below = 0;
    for (int cell = 0; cell < cells; ++cell) {
        while (below < count && (sorted(below) - low) * scale < cell) ++below;
        start[cell] = top * ((1 - uniform) * static_cast<double>(below) / static_cast<double>(count) + uniform * cell / cells);
    }
    for (int cell = 0; cell < cells; ++cell) {
        slope[cell] = (cell + 1 < cells ? start[cell + 1] : top) - start[cell];
        steepest = std::max(steepest, slope[cell] * scale);
    }
}

// How unevenly a map spreads values (in their order): 1 where evenly; as many times more comparisons of neighbours else.
template <class Sorted>
double SortingMap::unevenness(int64_t count, int bits, const Sorted& sorted) const {
    static constexpr int shares = 256;
    int64_t found[shares] = {};
    const double last = static_cast<double>(start.size()) - 0.5, share = std::ldexp(shares, -bits);
    for (int64_t i = 0; i < count; ++i) {
        double u = (sorted(i) - low) * scale;
        u = u > 0 ? std::min(u, last) : 0;  // NaN: infinite on a flat map
        const auto cell = static_cast<std::size_t>(u);
        ++found[static_cast<int>((start[cell] + (u - static_cast<double>(cell)) * slope[cell]) * share)];
    }
    double squares = 0;
    for (const int64_t some : found) squares += static_cast<double>(some) * static_cast<double>(some);
    return squares * shares / (static_cast<double>(count) * static_cast<double>(count));
}

// Few cells are faster, and enough for most values.
template <class Sorted>
void SortingMap::build_for(int64_t count, int bits, bool narrow, const Sorted& sorted) {
    const int few = cells_of_vectors(), many = narrow ? 512 : 2048;
    if (few == 0) return build(count, bits, many, sorted);
    build(count, bits, few, sorted);
    const double uneven = unevenness(count, bits, sorted);
    if (uneven < (narrow ? 1.5 : 1.1)) return;  // where values are many, parts of them are sorted by themselves
    build(count, bits, many, sorted);
    if (unevenness(count, bits, sorted) * 1.25 > uneven) build(count, bits, few, sorted);
}

namespace {

constexpr int wide_bits = 31, wide_index_bits = 32;
constexpr int64_t padding = 64;

// The smallest number of bits that tell `count` things apart.
int bits_for(int64_t count) {
    int bits = 1;
    while ((int64_t{1} << bits) < count) ++bits;
    return bits;
}

template <class Key>
struct MakeKeys {
    template <int L>
    ALWAYS_INLINE static void run(const double* values, int64_t count, const SortingMap* map, int index_bits, Key* keys) {
        if (count == 0) return;  // there may be no map
        const double low = map->low, scale = map->scale, top = static_cast<double>(map->start.size()) - 0.5;
        const double *start = map->start.data(), *slope = map->slope.data();
        int64_t done = 0;
        if constexpr (L == 8) {  // cells in registers, no loads from tables
            using S = Simd<L>;
            using Ints = typename Lanes<L>::Ints;
            using Mask = typename Lanes<L>::Mask;
            constexpr double whole = 6755399441055744.0;  // a number added to it is rounded, and in its lowest bits
            const auto start_low = S::load(start), start_high = S::load(start + L);  // a map has no fewer cells
            const auto slope_low = S::load(slope), slope_high = S::load(slope + L);
            Mask at = {0, 1, 2, 3, 4, 5, 6, 7};
            const int64_t here = map->start.size() == 2 * L ? count : 0;
            for (; done + L <= here; done += L, at += L) {
                auto u = (S::load(values + done) - low) * scale;
                u = u > 0 ? u : typename S::Vec{};
                u = u < top ? u : S::splat(top);
                const auto rounded = (u - 0.5) + whole;
                const auto y = S::pick(start_low, start_high, (Mask)rounded) +
                               (u - (rounded - whole)) * S::pick(slope_low, slope_high, (Mask)rounded);
                const Ints place = __builtin_convertvector(y, Ints);
                if constexpr (sizeof(Key) == 4) {
                    const Ints made = place << index_bits | __builtin_convertvector(at, Ints);
                    std::memcpy(keys + done, &made, sizeof made);
                } else {
                    const Mask made = __builtin_convertvector(place, Mask) << index_bits | at;
                    std::memcpy(keys + done, &made, sizeof made);
                }
            }
        }
        for (int64_t p = done; p < count; ++p) {
            double u = (values[p] - low) * scale;
            u = u > 0 ? u : 0;
            u = u < top ? u : top;
            const auto cell = static_cast<int32_t>(u);
            const double y = start[cell] + (u - cell) * slope[cell];
            keys[p] = static_cast<Key>(static_cast<int32_t>(y)) << index_bits | static_cast<Key>(p);
        }
    }
};

// One round of exchanges between neighbours, of pairs from the first on; not 0 where something changed place.
template <class Key>
struct Exchange {
    template <int L>
    ALWAYS_INLINE static void run(Key* keys, int64_t count, Key* changed) {
        Key any = 0;
#pragma omp simd reduction(| : any)
        for (int64_t p = 0; p < count; p += 2) {
            const Key a = keys[p], b = keys[p + 1], less = a < b ? a : b, more = a < b ? b : a;
            keys[p] = less;
            keys[p + 1] = more;
            any |= less ^ a;
        }
        *changed = any;
    }
};

// By key, whether the next one is close.
template <class Key>
struct MarkClose {
    template <int L>
    ALWAYS_INLINE static void run(const Key* keys, int64_t count, int index_bits, Key close, char* marks) {
#pragma omp simd
        for (int64_t p = 0; p < count; ++p) marks[p] = (keys[p + 1] >> index_bits) - (keys[p] >> index_bits) <= close;
    }
};

// Counting sort by the bits below `shift + bits`, then exchanges until none is left; keys behind the last are to be free.
// Returns how many rounds it took.
template <class Key, class Count>
int sort_part(const Key* keys, int64_t count, int shift, int bits, std::vector<Count>& buckets, Key* sorted) {
    static constexpr int most_rounds = 16;
    const int64_t size = int64_t{1} << bits;
    buckets.assign(size, 0);
    Count* to = buckets.data();
    const Key mask = static_cast<Key>(size - 1);
    for (int64_t p = 0; p < count; ++p) ++to[keys[p] >> shift & mask];
    if constexpr (little_endian && sizeof(Count) == 2) {  // four counts a word, none so large that it meets its neighbour
        static constexpr uint64_t each = 0x0001000100010001;
        uint64_t before = 0;
        for (int64_t b = 0; b < size; b += 4) {
            uint64_t own;
            std::memcpy(&own, to + b, sizeof own);
            own *= each;
            const uint64_t starts = (own << 16) + before * each;
            std::memcpy(to + b, &starts, sizeof starts);
            before += own >> 48;
        }
    } else {
        Count before = 0;
        for (int64_t b = 0; b < size; ++b) before = static_cast<Count>(before + std::exchange(to[b], before));
    }
    for (int64_t p = 0; p < count; ++p) {
        const Key key = keys[p];
        sorted[to[key >> shift & mask]++] = key;
    }
    std::fill_n(sorted + count, padding, ~Key{0});
    static const auto exchange = choose<Exchange<Key>, Key*, int64_t, Key*>();
    for (int round = 0; round < most_rounds; ++round) {
        Key changed;
        exchange(sorted + round % 2, count, &changed);
        if (!changed && round > 0) return round;
    }
    std::sort(sorted, sorted + count);
    return most_rounds;
}

}  // namespace

Sorter::Sorter(int64_t capacity, const Context* context) : context_(context) {
    const auto room = static_cast<std::size_t>(capacity + padding);
    if (capacity <= most_narrow) {
        narrow_.made.reserve(room);
        narrow_.sorted.reserve(room);
    } else {
        wide_.made.reserve(room);
        wide_.sorted.reserve(room);
    }
}

template <class Iterator, class Less>
bool Sorter::sort_asking(Iterator from, Iterator to, const Less& less) const {
    static constexpr int64_t often = 1 << 15;
    if (to - from < often) {
        std::sort(from, to, less);
        return true;
    }
    int64_t compared = 0;
    try {  // no other way out of a sort
        std::sort(from, to, [&](const auto& a, const auto& b) {
            if (++compared % often == 0 && ended()) throw Interrupted();
            return less(a, b);
        });
    } catch (const Interrupted&) {
        return false;
    }
    return true;
}

int Sorter::index_bits() const {
    return count_ <= most_narrow ? bits_for(count_) : wide_index_bits;
}

void Sorter::sort(const double* values, int64_t count, double tolerance) {
    mapped_ &= count == count_;
    count_ = count;
    ties_.clear();
    count <= most_narrow ? sort_keys(narrow_, values, tolerance) : sort_keys(wide_, values, tolerance);
}

template <class Key>
void Sorter::sort_keys(Keys<Key>& keys, const double* values, double tolerance) {
    static constexpr bool narrow = sizeof(Key) == 4;
    const int index = index_bits(), bits = narrow ? 32 - index : wide_bits;
    const bool mapped = mapped_;
    if (!mapped) {
        run_.clear();
        const int64_t step = std::max<int64_t>(1, count_ / 2048);
        for (int64_t p = 0; p < count_; p += step) run_.push_back({values[p], p});
        std::sort(run_.begin(), run_.end(), [](const Valued& a, const Valued& b) { return a.value < b.value; });
        if (count_ > 0) map_.build_for(static_cast<int64_t>(run_.size()), bits, narrow, [&](int64_t i) { return run_[i].value; });
    }
    keys.made.resize(count_ + padding);
    keys.sorted.resize(count_ + padding);
    static const auto make = choose<MakeKeys<Key>, const double*, int64_t, const SortingMap*, int, Key*>();
    int rounds = 0;
    if constexpr (narrow) {
        make(values, count_, &map_, index, keys.made.data());
        const int places = std::max(index - 1, 2);  // four buckets at least, as they are counted up by fours
        rounds = sort_part(keys.made.data(), count_, 32 - places, places, few_, keys.sorted.data());
    } else {  // by parts that stay in the second-level cache
        static constexpr int64_t part = 4096;
        const int places = bits_for(count_ / part);
        const int shift = index + bits - places;
        make(values, count_, &map_, index, keys.sorted.data());
        parts_.assign((int64_t{1} << places) + 1, 0);
        mapped_ = false;  // until they are sorted; where that ends early, whoever asks finds every key, in some order
        const bool counted = in_blocks(count_, [&](int64_t from, int64_t to) {
            for (int64_t p = from; p < to; ++p) ++parts_[(keys.sorted[p] >> shift) + 1];
        });
        if (!counted) return;
        for (std::size_t q = 1; q < parts_.size(); ++q) parts_[q] += parts_[q - 1];
        const bool parted = in_blocks(count_, [&](int64_t from, int64_t to) {
            for (int64_t p = from; p < to; ++p) keys.made[parts_[keys.sorted[p] >> shift]++] = keys.sorted[p];
        });
        if (!parted) return;
        int64_t from = 0;
        for (int64_t q = 0; q < int64_t{1} << places; ++q) {
            if (ended()) {
                std::copy(keys.made.begin() + from, keys.made.begin() + count_, keys.sorted.begin() + from);
                return;
            }
            const int64_t to = parts_[q], own = bits_for(part);
            const auto sort = [&](auto& buckets) {
                return sort_part(keys.made.data() + from, to - from, shift - static_cast<int>(own), static_cast<int>(own),
                                 buckets, keys.sorted.data() + from);
            };
            rounds += to - from <= UINT16_MAX ? sort(few_) : sort(many_);
            from = to;
        }
        rounds >>= places;
    }
    const double reach = map_.steepest * tolerance + 0.01, most = std::ldexp(1.0, bits);
    const auto close = static_cast<Key>(reach < most ? 1 + std::floor(reach) : most);
    const int64_t again = settle(keys.sorted.data(), values, close, tolerance);
    mapped_ = true;
    const bool poor = rounds > 9 || again > count_ / 16;
    if (!poor) poorly_ = 0;
    // What ties a lot is sorted poorly by any map: a new one comes less and less often, where it takes long.
    if (!mapped || (poor && wait_-- <= 0)) {
        wait_ = narrow ? std::min(poorly_++, 8) : 0;
        const Key mask = (Key{1} << index) - 1;
        const int64_t of = std::min<int64_t>(count_, narrow ? 4096 : 16384);
        if (count_ > 0) map_.build_for(of, bits, narrow, [&](int64_t i) { return values[keys.sorted[i * count_ / of] & mask]; });
    }
}

// Puts runs in the order of their values, and finds the ties. Returns how many were sorted anew.
template <class Key>
int64_t Sorter::settle(Key* sorted, const double* values, Key close, double tolerance) {
    static const auto mark = choose<MarkClose<Key>, const Key*, int64_t, int, Key, char*>();
    static constexpr int64_t together = 4096, word = 8;
    alignas(64) char marks[together + word];
    int64_t from = -1, again = 0;  // of the run that is open: keys behind it are as they were
    const auto end_run = [&](int64_t last) {
        if (from >= 0) again += settle_run(sorted, values, from, last + 1, tolerance);
        from = -1;
    };
    for (int64_t start = 0; start + 1 < count_ && !ended(); start += together) {
        const int64_t some = std::min(together, count_ - 1 - start);
        mark(sorted + start, some, index_bits(), close, marks);
        std::fill_n(marks + some, word, 0);
        for (int64_t p = 0; p < some; p += word) {
            uint64_t eight;
            std::memcpy(&eight, marks + p, sizeof eight);
            if (eight == 0 && from < 0) continue;
            for (int64_t q = p; q < std::min(p + word, some); ++q) {
                if (!marks[q])
                    end_run(start + q);
                else if (from < 0)
                    from = start + q;
            }
        }
    }
    end_run(count_ - 1);
    return again;
}

template <class Key>
int64_t Sorter::settle_run(Key* sorted, const double* values, int64_t from, int64_t to, double tolerance) {
    const Key mask = (Key{1} << index_bits()) - 1;
    const auto value = [&](int64_t p) { return values[sorted[p] & mask]; };
    double low = value(from), high = low;
    if (to - from == 2) {  // most are
        high = value(from + 1);
        if (high < low) {
            std::swap(low, high);
            std::swap(sorted[from], sorted[from + 1]);
        }
        if (tied(low, high, tolerance)) ties_.push_back({from, to});
        return 2;
    }
    for (int64_t p = from + 1; p < to; ++p) {
        low = std::min(low, value(p));
        high = std::max(high, value(p));
    }
    if (tied(low, high, tolerance)) {
        ties_.push_back({from, to});
        return 0;
    }
    run_.clear();
    for (int64_t p = from; p < to; ++p) run_.push_back({value(p), static_cast<int64_t>(sorted[p])});
    if (!sort_asking(run_.begin(), run_.end(), [](const Valued& a, const Valued& b) { return a.value < b.value; })) return 0;
    for (int64_t i = 0; i < to - from;) {
        int64_t end = i;
        do sorted[from + end] = static_cast<Key>(run_[end].at);
        while (++end < to - from && tied(run_[end - 1].value, run_[end].value, tolerance));
        if (end - i > 1) ties_.push_back({from + i, from + end});
        i = end;
    }
    return to - from;
}

void Sorter::centred_ranks(double* out) const {
    with_sorted([&](const auto* sorted) {
        const auto mask = (int64_t{1} << index_bits()) - 1;
        in_blocks(count_, [&](int64_t from, int64_t to) {
            for (int64_t i = from; i < to; ++i)
                out[static_cast<int64_t>(sorted[i]) & mask] = static_cast<double>(2 * i + 1 - count_);
        });
        for (const Tie& tie : ties_)
            for (int64_t i = tie.from; i < tie.to; ++i)
                out[static_cast<int64_t>(sorted[i]) & mask] = static_cast<double>(tie.from + tie.to - count_);
    });
}

namespace {

// In sorted order, as if nothing were tied.
struct Product {
    template <int L>
    ALWAYS_INLINE static void run(const uint32_t* sorted, int64_t count, uint32_t mask, const int16_t* other, int64_t* out) {
        int64_t sum = 0, rank = 1 - count;
        for (int64_t i = 0; i < count; ++i, rank += 2) sum += rank * other[sorted[i] & mask];
        *out = sum;
    }
};

}  // namespace

double Sorter::product(const int16_t* other) const {
    static const auto multiply = choose<Product, const uint32_t*, int64_t, uint32_t, const int16_t*, int64_t*>();
    const uint32_t mask = (uint32_t{1} << index_bits()) - 1;
    const uint32_t* sorted = narrow_.sorted.data();
    int64_t sum;
    multiply(sorted, count_, mask, other, &sum);
    for (const auto& [from, to] : ties_)
        for (int64_t i = from; i < to; ++i) sum += (from + to - 2 * i - 1) * other[sorted[i] & mask];
    return static_cast<double>(sum);
}

double Sorter::squares() const {
    double all = squares_of_ranks(static_cast<double>(count_));
    for (const Tie& tie : ties_) all -= squares_of_ranks(static_cast<double>(tie.to - tie.from));
    return all;
}

int64_t Sorter::tied_pairs() const {
    int64_t tied = 0;
    for (const auto& [from, to] : ties_) tied += pairs_among(to - from);
    return tied;
}

void Sorter::places(Place* out) const {
    const uint32_t mask = (uint32_t{1} << index_bits()) - 1;
    const uint32_t* sorted = narrow_.sorted.data();
    for (int64_t i = 0; i < count_; ++i) out[sorted[i] & mask] = {static_cast<uint16_t>(i), static_cast<uint16_t>(i)};
    for (const auto& [from, to] : ties_)
        for (int64_t i = from; i < to; ++i) out[sorted[i] & mask].last = static_cast<uint16_t>(to - 1);
}

namespace {

// Places that were entered, as bits, and how many there are beyond a word in its block and beyond a block.
struct Entered {
    static constexpr int words = most_placed / 64, in_block = 8, blocks = words / in_block;
    alignas(64) uint64_t bits[words] = {};
    alignas(64) uint16_t beyond_word[words] = {};
    alignas(64) uint16_t beyond_block[blocks] = {};
    // Row k: ones before the k-th.
    struct Steps {
        alignas(64) uint16_t row[blocks][blocks];
        Steps() {
            for (int k = 0; k < blocks; ++k)
                for (int l = 0; l < blocks; ++l) row[k][l] = l < k;
        }
    };
    ALWAYS_INLINE int64_t beyond(int place) const {
        const int word = place / 64;
        return beyond_block[word / in_block] + beyond_word[word] + __builtin_popcountll(bits[word] >> (place % 64) >> 1);
    }
    ALWAYS_INLINE void enter(int place, const Steps& steps) {
        const int word = place / 64, block = word / in_block;
        bits[word] |= uint64_t{1} << place % 64;
        const uint16_t* before_word = steps.row[word % in_block];
        uint16_t* of_words = beyond_word + block * in_block;
#pragma omp simd
        for (int l = 0; l < in_block; ++l) of_words[l] = static_cast<uint16_t>(of_words[l] + before_word[l]);
        const uint16_t* before_block = steps.row[block];
#pragma omp simd
        for (int l = 0; l < blocks; ++l) beyond_block[l] = static_cast<uint16_t>(beyond_block[l] + before_block[l]);
    }
};

// Pairs of which what comes later lies lower, among those of a stretch without ties.
struct CountBeyond {
    template <int L>
    ALWAYS_INLINE static void run(const uint32_t* sorted, int64_t count, uint32_t mask, const Place* places, Entered* entered,
                                  const Entered::Steps* steps, int64_t* found) {
        int64_t beyond = 0;
        for (int64_t i = 0; i < count; ++i) {
            const Place place = places[sorted[i] & mask];
            beyond += entered->beyond(place.last);
            entered->enter(place.own, *steps);
        }
        *found += beyond;
    }
};

}  // namespace

// Discordant are those that entered before with a place beyond a later one's ties; what is tied here asks before it enters.
PairCounts Sorter::count_placed(const OrderedValues& other) {
    static const Entered::Steps steps;
    static const auto count_beyond =
        choose<CountBeyond, const uint32_t*, int64_t, uint32_t, const Place*, Entered*, const Entered::Steps*, int64_t*>();
    const uint32_t mask = (uint32_t{1} << index_bits()) - 1;
    const uint32_t* sorted = narrow_.sorted.data();
    PairCounts found{pairs_among(count_), tied_pairs(), other.tied, 0, 0};
    Entered entered;
    int64_t at = 0;
    for (const auto& [from, to] : ties_) {
        count_beyond(sorted + at, from - at, mask, other.places, &entered, &steps, &found.discordant);
        for (int64_t i = from; i < to; ++i) found.discordant += entered.beyond(other.places[sorted[i] & mask].last);
        for (int64_t i = from; i < to; ++i) entered.enter(other.places[sorted[i] & mask].own, steps);
        at = to;
        if (other.tied == 0) continue;
        alike_.resize(count_);
        for (int64_t i = from; i < to; ++i) found.tied_in_both += alike_[other.places[sorted[i] & mask].last]++;
        for (int64_t i = from; i < to; ++i) alike_[other.places[sorted[i] & mask].last] = 0;
    }
    count_beyond(sorted + at, count_ - at, mask, other.places, &entered, &steps, &found.discordant);
    return found;
}

// In O(count log count) (Knight 1966).
PairCounts Sorter::count_pairs(const OrderedValues& ordered) {
    if (ordered.places) return count_placed(ordered);
    const double* other = ordered.values;
    order_.resize(count_);
    with_sorted([&](const auto* sorted) {
        const auto mask = (int64_t{1} << index_bits()) - 1;
        in_blocks(count_, [&](int64_t from, int64_t to) {
            for (int64_t i = from; i < to; ++i) order_[i] = static_cast<int64_t>(sorted[i]) & mask;
        });
    });
    PairCounts found{pairs_among(count_), tied_pairs(), ordered.tied, 0, 0};
    for (const auto& [from, to] : ties_) {  // what is tied here goes by the other
        const auto less = [&](int64_t p, int64_t q) { return other[p] < other[q]; };
        if (!sort_asking(order_.begin() + from, order_.begin() + to, less)) return found;
        found.tied_in_both += tied_neighbours(other, order_, from, to);
    }
    found.discordant = sort_counting_swaps(other, order_, merge_, [&] { return ended(); });
    return found;
}

namespace {

// Sums of products of A x B vectors, lanes running along them.
template <int A, int B>
struct RankTile {
    template <int L>
    ALWAYS_INLINE static void run(const double* a, const double* b, int64_t pitch, int64_t count, double* out, int64_t stride) {
        using S = Simd<L>;
        using Vec = typename S::Vec;
        Vec sum[A][B];
        UNROLL(4)
        for (int p = 0; p < A; ++p)
            for (int q = 0; q < B; ++q) sum[p][q] = Vec{};
        int64_t k = 0;
        for (; k + L <= count; k += L) {
            Vec vb[B];
            UNROLL(4)
            for (int q = 0; q < B; ++q) vb[q] = S::load(b + q * pitch + k);
            UNROLL(4)
            for (int p = 0; p < A; ++p) {
                const Vec va = S::load(a + p * pitch + k);
                UNROLL(4)
                for (int q = 0; q < B; ++q) sum[p][q] += va * vb[q];
            }
        }
        for (int p = 0; p < A; ++p)
            for (int q = 0; q < B; ++q) {
                double rest = 0;
                for (int64_t l = k; l < count; ++l) rest += a[p * pitch + l] * b[q * pitch + l];
                out[p * stride + q] += S::sum(sum[p][q]) + rest;
            }
    }
};

}  // namespace

void rank_products(const double* rows, int64_t row_count, const double* others, int64_t other_count, int64_t pitch, int64_t count,
                   double* out) {
    static constexpr int64_t panel = 512, side = 4;  // a panel of all stays in the second-level cache
    using Tile = void (*)(const double*, const double*, int64_t, int64_t, double*, int64_t);
    static const Tile tiles[2][2] = {
        {choose<RankTile<1, 1>, const double*, const double*, int64_t, int64_t, double*, int64_t>(),
         choose<RankTile<1, side>, const double*, const double*, int64_t, int64_t, double*, int64_t>()},
        {choose<RankTile<side, 1>, const double*, const double*, int64_t, int64_t, double*, int64_t>(),
         choose<RankTile<side, side>, const double*, const double*, int64_t, int64_t, double*, int64_t>()}};
    std::fill_n(out, row_count * other_count, 0.0);
    for (int64_t from = 0; from < count; from += panel) {
        const int64_t length = std::min(panel, count - from);
        for (int64_t q = 0; q < other_count;) {
            const bool wide = q + side <= other_count;
            for (int64_t p = 0; p < row_count;) {
                const bool high = p + side <= row_count;
                tiles[high][wide](rows + p * pitch + from, others + q * pitch + from, pitch, length, out + p * other_count + q,
                                  other_count);
                p += high ? side : 1;
            }
            q += wide ? side : 1;
        }
    }
}

// Radix sort of the bits, flipped so that integers ascend where values descend.
void order_by_importance(const double* values, int64_t rows, int64_t count, const Context& context, int64_t* out) {
    constexpr int digit = 11, buckets = 1 << digit;
    struct Keyed {
        uint64_t key;
        int64_t at;
    };
    struct Scratch {
        std::vector<Keyed> keyed, sorted;
        std::vector<int64_t> start;
    };
    std::vector<Scratch> scratch(context.threads);
    for (auto& own : scratch) own = {std::vector<Keyed>(count), std::vector<Keyed>(count), std::vector<int64_t>(buckets)};
#pragma omp parallel for schedule(static) num_threads(context.threads) if (context.threads > 1)
    for (int64_t row = 0; row < rows; ++row) {
        auto& [keyed, sorted, start] = scratch[omp_thread()];
        for (int64_t k = 0; k < count; ++k) {
            const double given = values[row * count + k];
            const double value = std::isnan(given) ? std::numeric_limits<double>::infinity() : given == 0 ? 0.0 : given;
            uint64_t bits;
            std::memcpy(&bits, &value, sizeof bits);
            keyed[k] = {bits >> 63 ? bits : ~bits ^ (uint64_t{1} << 63), k};
        }
        for (int shift = 0; shift < 64; shift += digit) {
            std::fill(start.begin(), start.end(), 0);
            for (const Keyed& one : keyed) ++start[one.key >> shift & (buckets - 1)];
            if (start[keyed.empty() ? 0 : keyed[0].key >> shift & (buckets - 1)] == count) continue;
            int64_t before = 0;
            for (int64_t& bucket : start) before += std::exchange(bucket, before);
            for (const Keyed& one : keyed) sorted[start[one.key >> shift & (buckets - 1)]++] = one;
            keyed.swap(sorted);
        }
        for (int64_t k = 0; k < count; ++k) out[row * count + k] = keyed[k].at;
    }
}

}  // namespace secateur
