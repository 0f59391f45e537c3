// Rank statistics over pairs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "secateur/data.hpp"

namespace secateur {

// Where a value lies in the order of all: a place of its own, and the last one of its ties.
struct Place {
    uint16_t own, last;
};
inline constexpr int64_t most_placed = 16384;

// Values, their equal ones tied; with places where there are few enough, else null.
struct OrderedValues {
    const double* values;
    const Place* places;
    int64_t tied;  // pairs
};

// A monotone, piecewise linear map of values to whole numbers 0 .. 2^bits, about uniform for values like those it was made from.
struct SortingMap {
    double low = 0, scale = 0;  // cells are uniform in the value
    double steepest = 0;        // of the map, by unit of the value
    std::vector<double> start, slope;
    // From values in their order, of which `sorted` gives the i-th; flat where they have no finite spread.
    template <class Sorted>
    void build_for(int64_t count, int bits, bool narrow, const Sorted& sorted);

  private:
    template <class Sorted>
    void build(int64_t count, int bits, int cells, const Sorted& sorted);
    template <class Sorted>
    double unevenness(int64_t count, int bits, const Sorted& sorted) const;
};

// Sorts values again and again. Values like those of the time before are sorted faster, and no otherwise.
class Sorter {
  public:
    // With a context, it ends early, of no use, where the call should end.
    explicit Sorter(int64_t capacity, const Context* = nullptr);
    // What is asked below is asked of these values, none NaN. Tied are equal ones, and neighbours along the sorted order that are
    // no further apart than the tolerance.
    void sort(const double* values, int64_t count, double tolerance = 0);
    // Whether all are tied.
    bool constant() const { return count_ < 2 || (ties_.size() == 1 && ties_[0].to - ties_[0].from == count_); }
    // out (count): 2 R - (count + 1) with R the 1-based average ranks, ties sharing theirs. Whole numbers, as are products of
    // them.
    void centred_ranks(double* out) const;
    // Their sum of products with another vector's, of at most most_placed values: the whole number that it is.
    double product(const int16_t* other) const;
    // Their sum of squares.
    double squares() const;
    // Pairs that are tied.
    int64_t tied_pairs() const;
    // out (count), of at most most_placed values: where each lies in the order.
    void places(Place* out) const;
    // Against another vector (count).
    PairCounts count_pairs(const OrderedValues& other);

  private:
    struct Tie {
        int64_t from, to;
    };
    struct Valued {
        double value;
        int64_t at;
    };
    // By sorted place: place by the map in the high bits, index in the low ones.
    template <class Key>
    struct Keys {
        std::vector<Key> made, sorted;
    };
    static constexpr int64_t most_narrow = most_placed;
    const Context* context_;
    int64_t count_ = 0;
    bool mapped_ = false;  // the map is of values like the last
    SortingMap map_;
    int poorly_ = 0, wait_ = 0;  // maps in a row that sorted poorly; sorts until there may be another
    Keys<uint32_t> narrow_;
    Keys<uint64_t> wide_;
    std::vector<uint16_t> few_;  // buckets, for counts that fit
    std::vector<uint32_t> many_, parts_;
    std::vector<Valued> run_;
    std::vector<Tie> ties_;  // of two and more, along the sorted order
    std::vector<int64_t> order_, merge_;
    std::vector<uint32_t> alike_;  // by last place: how many of a tie share it; else zeros
    PairCounts count_placed(const OrderedValues& other);
    bool ended() const { return context_ && context_->stop(); }
    // Asks between some and the next; false where it ended early.
    template <class Body>
    bool in_blocks(int64_t count, const Body& body) const {
        static constexpr int64_t block = 1 << 17;
        for (int64_t from = 0; from < count; from += block) {
            if (count > block && ended()) return false;
            body(from, std::min(from + block, count));
        }
        return true;
    }
    // std::sort, false where it ended early, in some order.
    template <class Iterator, class Less>
    bool sort_asking(Iterator from, Iterator to, const Less& less) const;
    int index_bits() const;
    template <class Key>
    void sort_keys(Keys<Key>&, const double* values, double tolerance);
    template <class Key>
    int64_t settle(Key* sorted, const double* values, Key close, double tolerance);
    template <class Key>
    int64_t settle_run(Key* sorted, const double* values, int64_t from, int64_t to, double tolerance);
    template <class Body>
    void with_sorted(const Body& body) const {
        count_ <= most_narrow ? body(narrow_.sorted.data()) : body(wide_.sorted.data());
    }
};

// out (rows, others): sums of products of rank vectors (`count` numbers, `pitch` apart). Each is summed up alike, whatever is
// beside it.
void rank_products(const double* rows, int64_t row_count, const double* others, int64_t other_count, int64_t pitch, int64_t count,
                   double* out);

// out (rows, count): the places of each row's values, largest first; NaN before all as if infinite, ties by place.
void order_by_importance(const double* values, int64_t rows, int64_t count, const Context&, int64_t* out);

}  // namespace secateur
