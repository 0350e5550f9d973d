#pragma once
#include "qatten/core/view.hpp"

float sum(qatten::ConstView<float> x);
