// What runs on the processor alone, and its engine.
#pragma once

#include "secateur/engine.hpp"

namespace secateur::cpu {

// X as it lies in host memory, for as long as it lies there. If it is not `checked` to be finite, the sums over all features
// say whether it is: `space` of them throws then, as expect_finite does.
std::unique_ptr<Engine> load(const Features&, bool checked = true);
// The same in single precision: some stimuli's features, or those of all where that is asked for, become double.
std::unique_ptr<Engine> load(const float* values, int64_t stimuli, int64_t features, bool checked = true);

// Of double or of float: the largest magnitude, NaN where some value is not finite, and the smallest other than zero, infinity
// where there is none.
struct Magnitudes {
    double largest, smallest;
};
template <class Value>
Magnitudes magnitudes(const Value*, int64_t count);
// Throws std::invalid_argument that names the first value of X that is NaN or infinite.
template <class Value>
void expect_finite(const Value* x, int64_t stimuli, int64_t features);

// The engine's two larger ways, each in its own file (engine.hpp).
void one_feature(const Features& x, const OneFeaturePlan&, const Context&, double* out, char* needs_recompute);
void insertion_curve(const Features& x, const InsertionPlan&, const Context&, double* out, char* needs_recompute);

// out (times, pairs): dissimilarities of the patterns at each of these times. whitening (sensors, rank), or nullptr, comes
// before distances. False, and nothing of use in out, where a pattern is not finite.
bool rdm_movie(const Recording&, Dissimilarity, const double* whitening, int64_t rank, Indices times, const Context&,
               double* out);
// Choices of odd ones out: the share of triplets whose kept pair is the most similar of the three. A tie with one other pair
// counts a half, with both a third; similarities within tie_share of the scale are tied: of 1 where they are normalised, else of
// the largest of the three (distances that are roots by their squares). NaN where a stimulus of a triplet has no direction.
// out (features): with each feature of the subset removed, and the subset's own share elsewhere.
void choices_leave_one_out(const Features& x, const Triplets&, Metric, Indices subset, const Context&, double* out);
// out (order): of each prefix of the order.
void choices_insertion_curve(const Features& x, const Triplets&, Metric, Indices order, const Context&, double* out);
// Embeddings behind two rectified layers, when something is taken from the first. before (images, inputs) and after (images,
// outputs): what the layers compute with nothing taken, before they are rectified. removed (rows, images, inputs): taken from
// `before`. out (rows, images, outputs). In single precision, as the weights are; a change is summed up by itself before it
// meets `after`, so that few of its digits are lost.
void masked_embeddings(const float* before, const float* removed, int64_t rows, int64_t images, const Layer&, const float* after,
                       const Context&, float* out);

}  // namespace secateur::cpu
