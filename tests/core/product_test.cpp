// Products against their definition, in shapes that leave every kind of rest.

#include "qatten/core/product.hpp"

#include <cmath>
#include <limits>

#include "qatten/analysis/dual.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

const std::vector<Index> row_counts = {1, 2, 3, 4, 7, 8, 15, 16, 17, 24, 31, 33, 48, 49, 64, 97, 130, 200};
const std::vector<Index> col_counts = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 31, 257};
const std::vector<Index> depths = {1, 2, 15, 16, 17, 64, 255, 256, 257, 513};

enum class Form { plain, left, right };

template <class Scalar>
void multiply(Form form, View<Scalar> c, const Matrix<Scalar>& a, const Matrix<Scalar>& b, const Then<Scalar>& then) {
  if (form == Form::plain) product<Scalar>(c, a, b, then);
  if (form == Form::left) product<Scalar>(c, transposed(ConstView<Scalar>(a)), b, then);
  if (form == Form::right) product<Scalar>(c, a, transposed(ConstView<Scalar>(b)), then);
}

/// A (m, k) and B (k, n) as the form wants them, filled with random numbers, and their product in double.
template <class Scalar>
struct Case {
  Matrix<Scalar> a, b;
  Matrix<double> c, bound;

  Case(Form form, Index m, Index k, Index n, Random& random) {
    a = random_matrix<Scalar>(form == Form::left ? k : m, form == Form::left ? m : k, random);
    b = random_matrix<Scalar>(form == Form::right ? n : k, form == Form::right ? k : n, random);
    Matrix<double> x = a.template cast<double>(), y = b.template cast<double>();
    if (form == Form::left) x.transposeInPlace();
    if (form == Form::right) y.transposeInPlace();
    c.setZero(m, n);
    for (Index j = 0; j < n; ++j)
      for (Index i = 0; i < m; ++i)
        for (Index l = 0; l < k; ++l) c(i, j) += x(i, l) * y(l, j);
    // Higham 2002, section 3.1; what is added to the product is of order 1.
    const double epsilon = double(std::numeric_limits<Scalar>::epsilon());
    bound = (epsilon * double(k + 4) * ((x.cwiseAbs() * y.cwiseAbs()).array() + 4)).matrix();
  }

  /// Whether every entry is within the bound of rounding errors of what it should be.
  bool close(ConstView<Scalar> got, const Matrix<double>& want) const {
    for (Index j = 0; j < want.cols(); ++j)
      for (Index i = 0; i < want.rows(); ++i)
        if (!(std::abs(double(got(i, j)) - want(i, j)) <= bound(i, j))) return false;
    return true;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("products of every shape and form are what their definition says", "", float, double) {
  Random random(1);
  for (const Form form : {Form::plain, Form::left, Form::right}) {
    for (const Index m : row_counts) {
      for (const Index n : col_counts) {
        const Index k = depths[static_cast<std::size_t>(random.integer(static_cast<Index>(depths.size())))];
        CAPTURE(int(form), m, k, n);
        const Case<TestType> x(form, m, k, n, random);
        Matrix<TestType> wide = Matrix<TestType>::Constant(m + 3, n, TestType(7));  // c is part of something larger
        const View<TestType> c = wide.middleRows(1, m);
        multiply<TestType>(form, c, x.a, x.b, {});
        CHECK(x.close(c, x.c));
        CHECK((wide.topRows(1).array() == TestType(7)).all());
        CHECK((wide.bottomRows(2).array() == TestType(7)).all());
      }
    }
    for (const Index k : depths) {
      CAPTURE(int(form), k);
      const Case<TestType> x(form, 50, k, 21, random);
      Matrix<TestType> c(50, 21);
      multiply<TestType>(form, c, x.a, x.b, {});
      CHECK(x.close(c, x.c));
    }
  }
}

TEMPLATE_TEST_CASE("what follows a product: a sum, a bias, ReLU", "", float, double) {
  Random random(2);
  for (const Form form : {Form::plain, Form::left, Form::right}) {
    for (const Index m : {1, 5, 16, 50, 64}) {
      for (const Index k : {3, 300}) {
        for (const bool add : {false, true}) {
          for (const bool with_bias : {false, true}) {
            for (const bool relu : {false, true}) {
              CAPTURE(int(form), m, k, add, with_bias, relu);
              const Case<TestType> x(form, m, k, 11, random);
              const Matrix<TestType> bias = random_matrix<TestType>(m, 1, random);
              const Matrix<TestType> before = random_matrix<TestType>(m, 11, random);
              Matrix<TestType> c = before;
              multiply<TestType>(form, c, x.a, x.b, {add, with_bias ? bias.data() : nullptr, relu});
              Matrix<double> want = x.c;
              if (add) want += before.template cast<double>();
              if (with_bias) want.colwise() += bias.template cast<double>().col(0);
              if (relu) want = want.cwiseMax(0.0);
              CHECK(x.close(c, want));
            }
          }
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("a column of a product depends on nothing but its own factors", "", float, double) {
  Random random(3);
  for (const Index m : {4, 30, 64}) {
    for (const Index k : {20, 300}) {
      for (const Index n : {1, 3, 40, 300}) {
        CAPTURE(m, k, n);
        const Matrix<TestType> a = random_matrix<TestType>(m, k, random), b = random_matrix<TestType>(k, n, random);
        Matrix<TestType> all(m, n), shifted(m + 1, n + 1);
        product<TestType>(all, a, b);
        product<TestType>(shifted.bottomRightCorner(m, n), a, b);
        CHECK(same(all, shifted.bottomRightCorner(m, n)));
        for (const Index j : {Index(0), n / 2, n - 1}) {
          Matrix<TestType> one(m, 1);
          product<TestType>(one, a, b.col(j));
          CHECK(same(one, all.col(j)));
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("products of columns, each by its own matrix, have the bits of one after the other", "", float,
                   double) {
  Random random(7);
  for (const Index m : {1, 2, 4, 5, 8, 16, 24, 32, 64})
    for (const Index k : {1, 3, 64, 256, 257})
      for (const Index n : {1, 2, 3, 4, 5, 8, 9}) {
        CAPTURE(m, k, n);
        const Matrix<TestType> all = random_matrix<TestType>(m + 3, k * n, random),
                               b = random_matrix<TestType>(k, n, random), bias = random_matrix<TestType>(m, n, random);
        const auto a = [&](Index s) -> ConstView<TestType> { return all.block(2, s * k, m, k); };
        const auto shift = [&](Index s) { return s == 1 ? nullptr : bias.col(s).data(); };
        Matrix<TestType> whole(m + 2, n), one(m, 1);
        whole.setConstant(5);
        products_of_columns<TestType>(whole.middleRows(1, m), a, b, shift);
        for (Index s = 0; s < n; ++s) {
          product<TestType>(one, a(s), b.col(s), {.bias = shift(s)});
          REQUIRE(whole.col(s).segment(1, m) == one);
          REQUIRE((whole(0, s) == 5 && whole(m + 1, s) == 5));
        }
        const Matrix<TestType> x = b.col(0);  // the same for all
        products_of_columns<TestType>(whole.middleRows(1, m), a, {x.data(), k, n, 0}, shift);
        for (Index s = 0; s < n; ++s) {
          product<TestType>(one, a(s), x, {.bias = shift(s)});
          REQUIRE(whole.col(s).segment(1, m) == one);
        }
      }
}

TEST_CASE("what is not a number stays one, also behind ReLU") {
  Matrix<float> a = Matrix<float>::Ones(20, 3), b = Matrix<float>::Ones(3, 9), c(20, 9);
  a(17, 1) = std::numeric_limits<float>::quiet_NaN();
  a(2, 1) = std::numeric_limits<float>::quiet_NaN();
  product<float>(c, a, b, {.relu = true});
  CHECK(std::isnan(c(17, 8)));
  CHECK(std::isnan(c(2, 0)));
  CHECK(c(3, 0) == 3);
}

TEST_CASE("nothing to sum leaves what follows") {
  const Matrix<double> a(5, 0), b(0, 4);
  const Matrix<double> bias = Matrix<double>::Constant(5, 1, -2);
  Matrix<double> c = Matrix<double>::Ones(5, 4);
  product<double>(c, a, b, {.add = true, .bias = bias.data()});
  CHECK((c.array() == -1).all());
  product<double>(c, a, b);
  CHECK((c.array() == 0).all());
}

TEST_CASE("products of dual numbers carry their derivatives") {
  using D = Dual<double>;
  Random random(4);
  const Matrix<double> a = random_matrix<double>(4, 5, random), b = random_matrix<double>(5, 3, random);
  Matrix<D> da = a.cast<D>(), db = b.cast<D>(), c(4, 3);
  da(2, 3).derivative = 1;
  product<D>(c, da, db);
  for (Index j = 0; j < 3; ++j) {
    CHECK(c(2, j).derivative == b(3, j));
    CHECK(c(1, j).derivative == 0);
  }
}
