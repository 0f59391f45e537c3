// The processor as an engine: X as it lies in host memory.
#include <algorithm>
#include <cmath>

#include "core/space.hpp"
#include "cpu/best_prefix.hpp"
#include "cpu/cpu.hpp"

namespace secateur::cpu {

namespace {

class Processor : public Engine {
  public:
    Processor(const Features& x, bool checked) : Engine(x.stimuli, x.count), x_(x), checked_(checked) {}
    Processor(const Features& all, Indices stimuli)
        : Engine(stimuli.count, all.count), copy_(stimuli.count * all.count), x_{copy_.get(), stimuli.count, all.count} {
        for (int64_t i = 0; i < stimuli.count; ++i)
            std::copy_n(all.values + stimuli.values[i] * all.count, all.count, copy_.get() + i * all.count);
    }
    bool takes(Comparator) const override { return true; }
    Features host_features() override { return x_; }
    std::unique_ptr<Engine> among(Indices stimuli) override { return std::make_unique<Processor>(x_, stimuli); }
    void space(Metric metric, Indices subset, const Context& context, Space& out) override {
        SpaceBuilder(stimuli, context.threads).build(x_, metric, subset, -1, out, &context);
        // Each metric's sum of a stimulus with itself is finite only where all its features are.
        bool finite = checked_ || subset.count < features;
        for (int64_t i = 0; i < stimuli && !checked_; ++i) finite = finite && std::isfinite(out.own[i]);
        if (!finite) expect_finite(x_.values, stimuli, features);  // or overflown
    }
    void one_feature(const OneFeaturePlan& plan, const Context& context, double* out, char* needs_recompute) override {
        cpu::one_feature(x_, plan, context, out, needs_recompute);
    }
    void insertion_curve(const InsertionPlan& plan, const Context& context, double* out, char* needs_recompute) override {
        cpu::insertion_curve(x_, plan, context, out, needs_recompute);
    }
    bool insertion_near_best(const InsertionPlan& plan, const PrefixRule& rule, const Context& context, double* out) override {
        const bool screened = is_screened(*plan.targets.of);
        if (screened) cpu::insertion_near_best(x_, plan, rule, context, out);
        return screened;
    }

  private:
    const Buffer copy_;
    const Features x_;
    const bool checked_ = true;
};

}  // namespace

std::unique_ptr<Engine> load(const Features& x, bool checked) {
    return std::make_unique<Processor>(x, checked);
}

}  // namespace secateur::cpu
