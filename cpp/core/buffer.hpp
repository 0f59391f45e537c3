// Cache-line aligned doubles: a vector load that straddles two lines costs twice.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

namespace secateur {

class Buffer {
  public:
    Buffer() = default;
    explicit Buffer(int64_t count) : data_(allocate(count)) {}
    Buffer(int64_t count, double value) : Buffer(count) {
        for (int64_t i = 0; i < count; ++i) data_[i] = value;
    }
    double* get() const { return data_.get(); }
    double& operator[](int64_t i) const { return data_[i]; }

  private:
    static constexpr std::align_val_t line{64};
    struct Free {
        void operator()(double* p) const { ::operator delete(p, line); }
    };
    static double* allocate(int64_t count) {
        const auto bytes = (static_cast<std::size_t>(count) * sizeof(double) + 127) / 64 * 64;
        return static_cast<double*>(::operator new(bytes, line));
    }
    std::unique_ptr<double[], Free> data_;
};

}  // namespace secateur
