#pragma once
// Parameters under their names and in PyTorch's shapes: a block (out, in) is a tensor [out, in], a vector is [n].

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "qatten/core/parameters.hpp"
#include "qatten/io/safetensors.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

inline Shape shape_of(const Block& b) { return b.rank == 1 ? Shape{b.rows} : Shape{b.rows, b.cols}; }

inline void check_size(std::string_view function, Index got, const ParameterLayout& layout) {
  require(got == layout.size(), function,
          "given " + std::to_string(got) + " parameters, the layout has " + std::to_string(layout.size()));
}

}  // namespace detail

/// Adds every block of the flat vector (layout.size()) to the file, named `prefix` + its name. Throws when the vector
/// has another size and when a name is taken.
template <StorableFloat Scalar>
void add_parameters(SafeTensors& file, const ParameterLayout& layout, const Vector<Scalar>& parameters,
                    const std::string& prefix = "") {
  detail::check_size("add_parameters", parameters.size(), layout);
  for (const NamedBlock& b : layout.blocks()) {
    const Matrix<Scalar> row_major = block(parameters, b).transpose();
    file.add(prefix + b.name, detail::shape_of(b),
             std::span<const Scalar>(row_major.data(), static_cast<std::size_t>(row_major.size())));
  }
}

/// What becomes of tensors whose names begin with the prefix but name no block.
enum class Others { reject, ignore };

/// The flat vector (layout.size()) whose blocks the file holds under `prefix` + their names; other floating-point types
/// are converted. Throws when a block is missing or of another shape, and with `Others::reject` when the file holds
/// more.
template <StorableFloat Scalar>
Vector<Scalar> read_parameters(const SafeTensors& file, const ParameterLayout& layout, const std::string& prefix,
                               Others others) {
  constexpr std::string_view function = "read_parameters";
  Vector<Scalar> parameters(layout.size());
  for (const NamedBlock& b : layout.blocks()) {
    const StoredTensor& tensor = file.tensor(prefix + b.name);
    detail::require(tensor.shape == detail::shape_of(b), function,
                    tensor.name + " has the shape " + detail::to_string(tensor.shape) + ", expected " +
                        detail::to_string(detail::shape_of(b)));
    block(parameters, b) = tensor.weight<Scalar>();
  }
  if (others == Others::ignore) return parameters;
  std::set<std::string> known;
  for (const NamedBlock& b : layout.blocks()) known.insert(prefix + b.name);
  std::string unknown;
  for (const auto& [name, tensor] : file.tensors())
    if (name.starts_with(prefix) && !known.contains(name)) unknown += " " + detail::quote(name);
  detail::require(unknown.empty(), function, "the layout has no place for" + unknown);
  return parameters;
}

}  // namespace qatten::inline QATTEN_ABI
