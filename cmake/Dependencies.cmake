# Where the dependencies come from: a target that the surrounding project already has, else the system, else, only if
# QATTEN_FETCH_DEPS is on, the network.

include(FetchContent)
include("${CMAKE_CURRENT_LIST_DIR}/CheckEigen.cmake")

# Sets ${name}_FOUND: whether `target` came from the surrounding project or from a package of the system.
macro(qatten_find name target)
  if(TARGET ${target})
    set(${name}_FOUND TRUE)
  else()
    find_package(${name} CONFIG QUIET)
  endif()
endmacro()

# qatten_fetch(name package repository tag [option of FetchContent_Declare]...): a release from the network; an error
# that names Debian's package unless that is allowed.
function(qatten_fetch name package repository tag)
  if(NOT QATTEN_FETCH_DEPS)
    message(FATAL_ERROR "qatten needs ${name} (Debian: ${package}); install it or configure with "
                        "-DQATTEN_FETCH_DEPS=ON")
  endif()
  message(STATUS "qatten: downloading ${name} ${tag}")
  FetchContent_Declare(${name} GIT_REPOSITORY ${repository} GIT_TAG ${tag} GIT_SHALLOW TRUE ${ARGN})
  FetchContent_MakeAvailable(${name})
endfunction()

# The same for headers alone: `target` is their folder, nothing of the other project is configured.
function(qatten_fetch_headers target folder name package repository tag)
  qatten_fetch(${name} ${package} ${repository} ${tag} SOURCE_SUBDIR not-configured)
  FetchContent_GetProperties(${name} SOURCE_DIR source)
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${target} INTERFACE "${source}/${folder}")
endfunction()

macro(qatten_find_eigen)
  # No version in the request: none fits 3.4.0 and 5.x alike.
  qatten_find(Eigen3 Eigen3::Eigen)
  if(NOT Eigen3_FOUND)
    qatten_fetch_headers(Eigen3::Eigen . Eigen3 libeigen3-dev https://gitlab.com/libeigen/eigen.git 5.0.1)
  elseif(Eigen3_VERSION)
    qatten_check_eigen(problem)
    if(problem)
      message(FATAL_ERROR "${problem}")
    endif()
    message(STATUS "qatten: Eigen ${Eigen3_VERSION} (${Eigen3_DIR})")
  endif()
endmacro()

# Without it, unless it may be downloaded, there is no target qatten::io.
macro(qatten_find_json)
  qatten_find(nlohmann_json nlohmann_json::nlohmann_json)
  if(NOT nlohmann_json_FOUND AND QATTEN_FETCH_DEPS)
    qatten_fetch_headers(nlohmann_json::nlohmann_json include nlohmann_json nlohmann-json3-dev
                         https://github.com/nlohmann/json.git v3.11.3)
  endif()
endmacro()

# Standalone Asio, headers alone. Without it, unless it may be downloaded, there is no target qatten::remote.
macro(qatten_find_asio)
  if(NOT TARGET asio::asio)
    find_path(QATTEN_ASIO_INCLUDE_DIR asio/io_context.hpp)
    if(QATTEN_ASIO_INCLUDE_DIR)
      add_library(asio::asio INTERFACE IMPORTED GLOBAL)
      target_include_directories(asio::asio INTERFACE "${QATTEN_ASIO_INCLUDE_DIR}")
    elseif(QATTEN_FETCH_DEPS)
      qatten_fetch_headers(asio::asio asio/include asio libasio-dev https://github.com/chriskohlhoff/asio.git
                           asio-1-30-2)
    endif()
  endif()
endmacro()

# Version 2 or 3.
macro(qatten_find_catch2)
  qatten_find(Catch2 Catch2::Catch2)
  if(NOT Catch2_FOUND)
    qatten_fetch(Catch2 catch2 https://github.com/catchorg/Catch2.git v3.7.1)
  endif()
endmacro()

macro(qatten_find_benchmark)
  qatten_find(benchmark benchmark::benchmark)
  if(NOT benchmark_FOUND)
    set(BENCHMARK_ENABLE_TESTING OFF)
    set(BENCHMARK_ENABLE_INSTALL OFF)
    qatten_fetch(benchmark libbenchmark-dev https://github.com/google/benchmark.git v1.9.1)
  elseif(benchmark_VERSION AND benchmark_VERSION VERSION_LESS 1.7)
    message(FATAL_ERROR "qatten needs Google Benchmark >= 1.7; found ${benchmark_VERSION} in ${benchmark_DIR}")
  endif()
endmacro()

macro(qatten_find_cli11)
  qatten_find(CLI11 CLI11::CLI11)
  if(NOT CLI11_FOUND)
    qatten_fetch_headers(CLI11::CLI11 include CLI11 libcli11-dev https://github.com/CLIUtils/CLI11.git v2.4.2)
  endif()
endmacro()
