// The names that Python knows enums by.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cuda/cuda.hpp"

namespace secateur::bindings {

// A Device: streams and memory, for as long as something runs there.
struct Opened {
    std::shared_ptr<cuda::Device> device;
};

template <class Choice>
constexpr const char* name_of(Choice choice) {
    return traits_of(choice).name;
}
constexpr const char* name_of(cuda::Precision precision) {
    switch (precision) {
        case cuda::Precision::full:
            return "double";
        case cuda::Precision::single:
            return "single";
    }
    return nullptr;
}

// All of them, in the order of the enum.
template <class Choice>
std::vector<std::string> names() {
    std::vector<std::string> all;
    for (int at = 0; const char* name = name_of(static_cast<Choice>(at)); ++at) all.emplace_back(name);
    return all;
}

// What a device does of the comparators.
inline std::vector<std::string> cuda_comparators() {
    std::vector<std::string> taken;
    for (int at = 0; const char* name = name_of(static_cast<Comparator>(at)); ++at)
        if (cuda::takes(static_cast<Comparator>(at))) taken.emplace_back(name);
    return taken;
}

inline int64_t place_among(const std::vector<std::string>& all, const std::string& value, const char* argument) {
    const auto found = std::find(all.begin(), all.end(), value);
    if (found != all.end()) return found - all.begin();
    std::string message = std::string(argument) + " must be one of";
    for (const auto& name : all) message += " '" + name + "',";
    message.back() = ';';
    throw pybind11::value_error(message + " got '" + value + "'");
}

template <class Choice>
Choice named(const std::string& value, const char* argument) {
    return static_cast<Choice>(place_among(names<Choice>(), value, argument));
}

}  // namespace secateur::bindings
