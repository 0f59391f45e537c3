// The processor as an engine: X as it lies in host memory.
#include <algorithm>

#include "core/space.hpp"
#include "cpu/best_prefix.hpp"
#include "cpu/cpu.hpp"

namespace secateur::cpu {

namespace {

class Processor : public Engine {
  public:
    explicit Processor(const Features& x) : Engine(x.stimuli, x.count), x_(x) {}
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
};

}  // namespace

std::unique_ptr<Engine> load(const Features& x) {
    return std::make_unique<Processor>(x);
}

}  // namespace secateur::cpu
