// Products of similarities with a target and its controls, a few at a time.
#pragma once

#include <cstdint>
#include <type_traits>

namespace secateur::cpu {

// What has registers, beside the sums of values and of squares. More are taken in passes.
inline constexpr int64_t most_products = 4;

// Calls body with how many of the `left` ones the next pass takes, as a constant.
template <class Body>
void with_products(int64_t left, Body&& body) {
    if (left == 1) return body(std::integral_constant<int, 1>{});
    if (left == 2) return body(std::integral_constant<int, 2>{});
    if (left == 3) return body(std::integral_constant<int, 3>{});
    body(std::integral_constant<int, most_products>{});
}

}  // namespace secateur::cpu
