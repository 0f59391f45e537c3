// No exception may leave an OpenMP region: the first of a team is kept for the caller.
#pragma once

#include <exception>

namespace secateur {

class FirstFailure {
  public:
    // Runs the body; nothing after a failure.
    template <class Body>
    void guard(Body&& body) noexcept {
        if (failed()) return;
        try {
            body();
        } catch (...) {
#pragma omp critical(secateur_first_failure)
            if (!first_) first_ = std::current_exception();
#pragma omp atomic write
            failed_ = true;
        }
    }
    void rethrow() const {
        if (first_) std::rethrow_exception(first_);
    }

  private:
    std::exception_ptr first_;
    bool failed_ = false;
    bool failed() const noexcept {
        bool now;
#pragma omp atomic read
        now = failed_;
        return now;
    }
};

}  // namespace secateur
