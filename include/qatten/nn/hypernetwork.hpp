#pragma once
// Hypernetwork (Ha, Dai, Le 2017, as in QMIX): several small nets of one input, whose outputs serve as weights, biases
// and values of another computation. Net k is one of
//
//   y_k = A_k x + a_k                     linear
//   y_k = relu(A_k x + a_k)               rectified
//   y_k = B_k relu(A_k x + a_k) + b_k     two layers
//
// All first layers read x, so they are one product: the stacked matrix [A_1; A_2; …] times x. The input is data (a
// state): it receives no gradient.

#include <string>
#include <vector>

#include "qatten/core/math.hpp"
#include "qatten/nn/linear.hpp"

namespace qatten::inline QATTEN_ABI {

/// Shapes: x (inputs, B), y_k (outputs, B). Parameters under PyTorch's names: name.weight of a one-layer net, name.0
/// and name.2 of two layers.
template <class Scalar>
class Hypernetwork {
 public:
  struct Net {
    std::string name;
    Index outputs;
    Index hidden = 0;        ///< width of the hidden layer; 0: one layer
    bool rectified = false;  ///< ReLU on a one-layer net's output
  };

  /// The outputs of all layers, and likewise their gradients.
  struct Activations {
    Matrix<Scalar> first;                ///< all first layers, band by band
    std::vector<Matrix<Scalar>> second;  ///< the second layers' outputs
  };

  Hypernetwork(ParameterLayout& layout, Index inputs, const std::vector<Net>& nets) : inputs_(inputs) {
    std::vector<ParameterLayout::Band> weights, biases;
    bands_.resize(nets.size());
    for (const bool relu : {true, false}) {  // rectified bands on top: one pass over one block
      for (std::size_t k = 0; k < nets.size(); ++k) {
        const Net& net = nets[k];
        if ((net.hidden > 0 || net.rectified) != relu) continue;
        const std::string name = net.hidden > 0 ? net.name + ".0" : net.name;
        bands_[k] = {rows_, net.hidden > 0 ? net.hidden : net.outputs, -1};
        weights.push_back({name + ".weight", bands_[k].rows});
        biases.push_back({name + ".bias", bands_[k].rows});
        rows_ += bands_[k].rows;
        if (relu) rectified_ = rows_;
      }
    }
    weight_ = layout.add_stacked(weights, inputs);
    bias_ = layout.add_stacked(biases);
    for (std::size_t k = 0; k < nets.size(); ++k) {
      if (nets[k].hidden == 0) continue;
      bands_[k].second = static_cast<int>(second_.size());
      second_.emplace_back(layout, nets[k].name + ".2", nets[k].hidden, nets[k].outputs);
    }
  }

  Index inputs() const { return inputs_; }

  /// PyTorch's default for each linear layer.
  void initialise(Vector<Scalar>& p, Random& random) const {
    const double bound = default_bound(inputs_);
    for (const Band& band : bands_) {
      initialise_uniform<Scalar>(block(p, weight_).middleRows(band.row, band.rows), bound, random);
      initialise_uniform<Scalar>(block(p, bias_).middleRows(band.row, band.rows), bound, random);
      if (band.second >= 0) second_[static_cast<std::size_t>(band.second)].initialise(p, random);
    }
  }

  void prepare(Activations& activations, Index batch) const {
    activations.first.resize(rows_, batch);
    activations.second.resize(second_.size());
    for (std::size_t k = 0; k < second_.size(); ++k) activations.second[k].resize(second_[k].outputs(), batch);
  }

  /// Net k's output, or where its gradient goes: (outputs, batch).
  View<Scalar> output(Activations& activations, std::size_t k, Index batch) const {
    const Band& band = bands_[k];
    if (band.second < 0) return activations.first.block(band.row, 0, band.rows, batch);
    return activations.second[static_cast<std::size_t>(band.second)].leftCols(batch);
  }
  ConstView<Scalar> output(const Activations& activations, std::size_t k, Index batch) const {
    return output(const_cast<Activations&>(activations), k, batch);
  }

  /// The outputs of `count` one-layer nets of one kind from net k on, stacked: neighbours in the nets' order are
  /// neighbours in memory.
  View<Scalar> outputs(Activations& activations, std::size_t k, std::size_t count, Index batch) const {
    Index rows = 0;
    for (std::size_t i = k; i < k + count; ++i) rows += bands_[i].rows;
    return activations.first.block(bands_[k].row, 0, rows, batch);
  }

  /// Fills `activations`; `evaluate` is the same with memory that nobody keeps.
  void forward(const Vector<Scalar>& p, ConstView<Scalar> x, Activations& activations) const {
    const Index batch = x.cols();
    detail::check_shape("Hypernetwork", "x", x, inputs_, -1);
    detail::check_prepared("Hypernetwork", activations.first, batch);
    View<Scalar> first = activations.first.leftCols(batch);
    const auto a = block(p, weight_), bias = block(p, bias_);
    const Index linear = rows_ - rectified_;
    product<Scalar>(first.topRows(rectified_), a.topRows(rectified_), x, {.bias = bias.data(), .relu = true});
    product<Scalar>(first.bottomRows(linear), a.bottomRows(linear), x, {.bias = bias.data() + rectified_});
    for (std::size_t k = 0; k < bands_.size(); ++k)
      if (bands_[k].second >= 0) second(k).forward(p, hidden(activations, k, batch), output(activations, k, batch));
  }

  /// From the outputs' gradients in `d` (written through `output`), which it uses up. Adds to `gradients`.
  void backward(const Vector<Scalar>& p, const Activations& activations, ConstView<Scalar> x, Vector<Scalar>& gradients,
                Activations& d) const {
    const Index batch = x.cols();
    for (std::size_t k = 0; k < bands_.size(); ++k)
      if (bands_[k].second >= 0)
        second(k).backward(p, hidden(activations, k, batch), output(d, k, batch), gradients, hidden(d, k, batch));
    View<Scalar> d_first = d.first.leftCols(batch), d_bias = block(gradients, bias_);
    rectify_backward<Scalar>(activations.first.topLeftCorner(rectified_, batch), d_first.topRows(rectified_),
                             d_bias.topRows(rectified_));
    add_columns<Scalar>(d_bias.bottomRows(rows_ - rectified_), d_first.bottomRows(rows_ - rectified_));
    product<Scalar>(block(gradients, weight_), d_first, transposed(x), {.add = true});
  }

 private:
  /// Where a net's first layer lies in the stack, and which second layer it has (-1: none).
  struct Band {
    Index row = 0, rows = 0;
    int second = -1;
  };

  const Linear<Scalar>& second(std::size_t k) const { return second_[static_cast<std::size_t>(bands_[k].second)]; }
  View<Scalar> hidden(Activations& activations, std::size_t k, Index batch) const {
    return activations.first.block(bands_[k].row, 0, bands_[k].rows, batch);
  }
  ConstView<Scalar> hidden(const Activations& activations, std::size_t k, Index batch) const {
    return activations.first.block(bands_[k].row, 0, bands_[k].rows, batch);
  }

  Index inputs_, rows_ = 0, rectified_ = 0;
  std::vector<Band> bands_;
  std::vector<Linear<Scalar>> second_;
  Block weight_, bias_;
};

}  // namespace qatten::inline QATTEN_ABI
