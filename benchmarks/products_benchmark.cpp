// What our matrix product is worth: the products of the GRU and of the mixers, bare, by ours, by Eigen and, where it is
// installed, by OpenBLAS, by turns, on one thread. GFLOP/s of each; time and spread are ours.

#include "measure.hpp"
#include "qatten/core/product.hpp"

#ifdef QATTEN_BENCHMARK_OPENBLAS
#include <cblas.h>
#endif

namespace qatten::benchmarks {
namespace {

/// c (m, n) = op(a) op(b) over k.
enum class Kind { plain, left, right };
struct Shape {
  std::string name;
  Kind kind;
  Index m, n, k;
};

/// Of a map: one step of the agents' GRU over 32 episodes and its gradients; QMIX's second layer; Qatten's first layers
/// stacked (4 queries of 64, 32 of c(s)), and the gradient of their weights.
std::vector<Shape> shapes(const Map& map) {
  const Index columns = episodes * map.agents, first = 4 * 64 + 32;
  return {{"fc1", Kind::plain, hidden_dim, columns, map.obs},
          {"gru", Kind::plain, 3 * hidden_dim, columns, hidden_dim},
          {"gru_dh", Kind::left, hidden_dim, columns, 3 * hidden_dim},
          {"gru_dw", Kind::right, 3 * hidden_dim, hidden_dim, columns},
          {"qmix_w1", Kind::plain, 32 * map.agents, rows, 64},
          {"qatten_first", Kind::plain, first, rows, map.state},
          {"qatten_first_dw", Kind::right, first, map.state, rows}};
}

class Case {
 public:
  explicit Case(const Shape& shape)
      : shape_(shape),
        a_(shape.kind == Kind::left ? random_matrix(shape.k, shape.m, random_)
                                    : random_matrix(shape.m, shape.k, random_)),
        b_(shape.kind == Kind::right ? random_matrix(shape.n, shape.k, random_)
                                     : random_matrix(shape.k, shape.n, random_)) {
    for (auto* c : {&ours_, &eigens_, &blas_}) c->setZero(shape.m, shape.n);
  }

  void run(benchmark::State& state) {
    const auto ours = [this] { by_us(); };
    const auto eigen = [this] { by_eigen(); };
    const double flops = 2.0 * double(shape_.m * shape_.n * shape_.k);
    ours();
    eigen();
    require_same(state, eigens_);
    std::vector<double> times[3];
    const Index calls = calls_per_turn(ours);
    const auto turn = [&] {
      times[0].push_back(seconds(ours, calls));
      times[1].push_back(seconds(eigen, calls));
#ifdef QATTEN_BENCHMARK_OPENBLAS
      times[2].push_back(seconds([this] { by_openblas(); }, calls));
#endif
    };
#ifdef QATTEN_BENCHMARK_OPENBLAS
    by_openblas();
    require_same(state, blas_);
#endif
    for (auto _ : state) {
      turn();
      state.SetIterationTime(times[0].back());
    }
    state.counters["spread"] = spread(times[0]);
    const char* const names[] = {"GFLOP/s", "Eigen", "OpenBLAS"};
    for (int k = 0; k < 3; ++k)
      if (!times[k].empty()) state.counters[names[k]] = flops / median(times[k]) * 1e-9;
  }

 private:
  void by_us() {
    const View<float> c(ours_);
    const ConstView<float> a(a_), b(b_);
    switch (shape_.kind) {
      case Kind::plain:
        return product<float>(c, a, b);
      case Kind::left:
        return product<float>(c, transposed(a), b);
      case Kind::right:
        return product<float>(c, a, transposed(b));
    }
  }

  void by_eigen() {
    switch (shape_.kind) {
      case Kind::plain:
        eigens_.noalias() = a_ * b_;
        return;
      case Kind::left:
        eigens_.noalias() = a_.transpose() * b_;
        return;
      case Kind::right:
        eigens_.noalias() = a_ * b_.transpose();
        return;
    }
  }

#ifdef QATTEN_BENCHMARK_OPENBLAS
  void by_openblas() {
    const auto transposition = [](bool yes) { return yes ? CblasTrans : CblasNoTrans; };
    const auto size = [](Index x) { return static_cast<blasint>(x); };
    cblas_sgemm(CblasColMajor, transposition(shape_.kind == Kind::left), transposition(shape_.kind == Kind::right),
                size(shape_.m), size(shape_.n), size(shape_.k), 1, a_.data(), size(a_.rows()), b_.data(),
                size(b_.rows()), 0, blas_.data(), size(shape_.m));
  }
#endif

  void require_same(benchmark::State& state, const Matrix<float>& other) const {
    if (!((ours_ - other).cwiseAbs().maxCoeff() < 1e-5f * float(shape_.k))) state.SkipWithError("the products differ");
  }

  Shape shape_;
  Random random_{1, "product"};
  Matrix<float> a_, b_, ours_, eigens_, blas_;
};

void add(const Map& map) {
  for (const Shape& shape : shapes(map)) {
    const auto body = [=](benchmark::State& state) { Case(shape).run(state); };
    const std::string name = "BM_Product/" + map.name + "/" + shape.name;
    benchmark::RegisterBenchmark(name.c_str(), body)->Unit(benchmark::kMicrosecond)->UseManualTime()->Iterations(21);
  }
}

}  // namespace
}  // namespace qatten::benchmarks

int main(int argc, char** argv) {
  using namespace qatten::benchmarks;
#ifdef QATTEN_BENCHMARK_OPENBLAS
  openblas_set_num_threads(1);
  benchmark::AddCustomContext("OpenBLAS kernel", openblas_get_corename());
#endif
  for (const Map& map : maps()) add(map);
  return run_all(argc, argv);
}
