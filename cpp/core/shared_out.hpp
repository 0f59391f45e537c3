// Pieces of work that take long, each one thread's.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "secateur/data.hpp"
#include "secateur/portable.hpp"

namespace secateur {

// The caller's thread asks whether to stop until no piece is left, whoever has the last ones: at OpenMP's own end of a loop it
// would wait and ask nothing.
inline void keep_asking(const std::atomic<int64_t>& left, int thread, const Context& context) {
    constexpr int short_wait = 1000;  // turns, some tenths of a millisecond
    for (int turn = 0; thread == 0 && left > 0 && !context.stop(0); ++turn) {
        if (turn < short_wait)
            std::this_thread::yield();
        else
            std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
}

// piece(p, thread) for each p below `count`.
template <class Piece>
void share_out(int64_t count, int threads, const Context& context, const Piece& piece) {
    std::atomic<int64_t> left{count};
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        const int thread = threads > 1 ? omp_thread() : 0;
#pragma omp for schedule(dynamic) nowait
        for (int64_t p = 0; p < count; ++p) {
            piece(p, thread);
            --left;
        }
        keep_asking(left, thread, context);
    }
}

}  // namespace secateur
