# An Eigen of the future, which must be refused.
set(Eigen3_VERSION 6.0.0)
