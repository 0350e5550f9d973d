#include "library.hpp"

float sum(qatten::ConstView<float> x) { return x.sum(); }
