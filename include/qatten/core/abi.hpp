#pragma once
// The inline namespace of everything in the library. Its name carries the version and Eigen's alignment, which changes
// with -march: two translation units that disagree about either fail to link instead of corrupting each other's memory.

#include <Eigen/Core>

#include "qatten/version.hpp"

#if !EIGEN_VERSION_AT_LEAST(3, 3, 90)
#error "qatten needs Eigen 3.4 or newer"
#endif

#define QATTEN_ABI_NAME_(major, minor, patch, align) v##major##_##minor##_##patch##_align##align
#define QATTEN_ABI_NAME(major, minor, patch, align) QATTEN_ABI_NAME_(major, minor, patch, align)
#define QATTEN_ABI \
  QATTEN_ABI_NAME(QATTEN_VERSION_MAJOR, QATTEN_VERSION_MINOR, QATTEN_VERSION_PATCH, EIGEN_MAX_ALIGN_BYTES)
