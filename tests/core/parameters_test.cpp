#include "qatten/core/parameters.hpp"

#include <string>

#include "support/catch.hpp"

using namespace qatten;

TEST_CASE("blocks lie one after the other, column-major, without gaps") {
  ParameterLayout layout;
  const Block weight = layout.add("weight", 2, 3), bias = layout.add("bias", 2), last = layout.add("last", 1, 1);
  CHECK(weight.offset == 0);
  CHECK(bias.offset == 6);
  CHECK(last.offset == 8);
  CHECK(layout.size() == 9);
  CHECK(weight.rank == 2);
  CHECK(bias.rank == 1);
  CHECK(bias.cols == 1);

  Vector<double> p = Vector<double>::LinSpaced(9, 0, 8);
  const Vector<double>& constant = p;
  CHECK(block(constant, weight)(1, 2) == 5);
  CHECK(block(constant, bias)(1, 0) == 7);
  block(p, weight).col(1).setConstant(-1);
  CHECK(p(2) == -1);
  CHECK(p(3) == -1);
  CHECK(p(4) == 4);
}

TEST_CASE("stacked bands are row blocks of one matrix") {
  ParameterLayout layout;
  layout.add("before", 5);
  const Block whole = layout.add_stacked({{"a", 2}, {"b", 1}, {"c", 3}}, 4);
  const Block biases = layout.add_stacked({{"a.bias", 2}, {"b.bias", 1}});
  CHECK(whole.rows == 6);
  CHECK(whole.cols == 4);
  CHECK(whole.rank == 2);
  CHECK(biases.rank == 1);
  CHECK(biases.cols == 1);
  CHECK(layout.size() == 5 + 24 + 3);
  REQUIRE(layout.blocks().size() == 6);
  CHECK(layout.find("b.bias").rank == 1);

  const Vector<double> p = Vector<double>::LinSpaced(layout.size(), 0, double(layout.size() - 1));
  const auto all = block(p, whole);
  CHECK(block(p, layout.find("a")) == all.topRows(2));
  CHECK(block(p, layout.find("b")) == all.middleRows(2, 1));
  CHECK(block(p, layout.find("c")) == all.bottomRows(3));
  CHECK(block(p, layout.find("b.bias"))(0, 0) == block(p, biases)(2, 0));
}

TEST_CASE("every element of the vector belongs to exactly one block") {
  ParameterLayout layout;
  layout.add("x", 3, 2);
  layout.add_stacked({{"a", 2}, {"b", 1}}, 4);
  layout.add("y", 7);
  Vector<double> touched = Vector<double>::Zero(layout.size());
  for (const NamedBlock& b : layout.blocks()) block(touched, b).array() += 1;
  CHECK((touched.array() == 1).all());
}

TEST_CASE("a name is taken once") {
  ParameterLayout layout;
  layout.add("weight", 2, 2);
  CHECK_THROWS_AS(layout.add("weight", 1), Error);
  CHECK_THROWS_AS(layout.add_stacked({{"a", 1}, {"a", 1}}, 2), Error);
  CHECK_THROWS_AS(layout.add_stacked({{"weight", 1}}, 2), Error);
}

TEST_CASE("find gives the block of a name, or an error that says the name") {
  ParameterLayout layout;
  layout.add("mixer.V.0.weight", 2, 3);
  CHECK(layout.find("mixer.V.0.weight").cols == 3);
  try {
    layout.find("mixer.V.2.weight");
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find("mixer.V.2.weight") != std::string::npos);
  }
}
