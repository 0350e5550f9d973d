#pragma once
// The one place with the version; CMake reads it from here.

#define QATTEN_VERSION_MAJOR 0
#define QATTEN_VERSION_MINOR 1
#define QATTEN_VERSION_PATCH 0
