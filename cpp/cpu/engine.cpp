// The processor as an engine: X as it lies in host memory.
#include <algorithm>
#include <cmath>
#include <mutex>

#include "core/space.hpp"
#include "cpu/best_prefix.hpp"
#include "cpu/cpu.hpp"

namespace secateur::cpu {

namespace {

class Processor : public Engine {
  public:
    Processor(const Features& x, bool checked) : Engine(x.stimuli, x.count), x_(x), checked_(checked) {}
    // Some rows of (.., features).
    template <class Value>
    Processor(const Value* all, int64_t features, Indices stimuli)
        : Engine(stimuli.count, features), copy_(stimuli.count * features), x_{copy_.get(), stimuli.count, features} {
        for (int64_t i = 0; i < stimuli.count; ++i)
            std::copy_n(all + stimuli.values[i] * features, features, copy_.get() + i * features);
    }
    bool takes(Comparator) const override { return true; }
    Features host_features() override { return x(); }
    std::unique_ptr<Engine> among(Indices stimuli) override { return std::make_unique<Processor>(x_.values, features, stimuli); }
    void space(Metric metric, Indices subset, const Context& context, Space& out) override {
        SpaceBuilder(stimuli, context.threads).build(x(), metric, subset, -1, out, &context);
        // Each metric's sum of a stimulus with itself is finite only where all its features are.
        bool finite = checked_ || subset.count < features;
        for (int64_t i = 0; i < stimuli && !checked_; ++i) finite = finite && std::isfinite(out.own[i]);
        if (!finite) expect_finite(x().values, stimuli, features);  // or overflown
    }
    void one_feature(const OneFeaturePlan& plan, const Context& context, double* out, char* needs_recompute) override {
        cpu::one_feature(x(), plan, context, out, needs_recompute);
    }
    void insertion_curve(const InsertionPlan& plan, const Context& context, double* out, char* needs_recompute) override {
        cpu::insertion_curve(x(), plan, context, out, needs_recompute);
    }
    bool insertion_near_best(const InsertionPlan& plan, const PrefixRule& rule, const Context& context, double* out) override {
        const bool screened = is_screened(*plan.targets.of);
        if (screened) cpu::insertion_near_best(x(), plan, rule, context, out);
        return screened;
    }

  protected:
    virtual const Features& x() { return x_; }

  private:
    const Buffer copy_;
    const Features x_;
    const bool checked_ = true;
};

// X in single precision. All that is computed is computed of doubles, which these numbers are too.
class SingleProcessor : public Processor {
  public:
    SingleProcessor(const float* values, int64_t stimuli, int64_t features, bool checked)
        : Processor({nullptr, stimuli, features}, checked), values_(values) {}
    std::unique_ptr<Engine> among(Indices stimuli) override { return std::make_unique<Processor>(values_, features, stimuli); }

  protected:
    const Features& x() override {
        std::call_once(once_, [&] {
            copy_ = Buffer(stimuli * features);
            std::copy_n(values_, stimuli * features, copy_.get());
            whole_ = {copy_.get(), stimuli, features};
        });
        return whole_;
    }

  private:
    const float* values_;
    std::once_flag once_;
    Buffer copy_;
    Features whole_{};
};

}  // namespace

std::unique_ptr<Engine> load(const Features& x, bool checked) {
    return std::make_unique<Processor>(x, checked);
}

std::unique_ptr<Engine> load(const float* values, int64_t stimuli, int64_t features, bool checked) {
    return std::make_unique<SingleProcessor>(values, stimuli, features, checked);
}

}  // namespace secateur::cpu
