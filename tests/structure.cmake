# Every header compiles alone, and its includes point the way that the architecture has them.

add_library(headers OBJECT EXCLUDE_FROM_ALL)
qatten_program(headers)
target_compile_options(headers PRIVATE -O0)
target_precompile_headers(headers PRIVATE <Eigen/Core>) # which every header includes by way of core/abi.hpp
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/include" ../include/qatten/*.hpp)
foreach(header IN LISTS headers)
  file(CONFIGURE OUTPUT headers/${header}.cpp CONTENT "#include \"${header}\"\n")
  target_sources(headers PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/headers/${header}.cpp")
endforeach()
add_dependencies(tests headers)
add_test(NAME structure.headers COMMAND "${CMAKE_COMMAND}" --build "${PROJECT_BINARY_DIR}" --target headers)

set(checker "${PROJECT_SOURCE_DIR}/cmake/check_includes.cmake")
add_test(NAME structure.includes
         COMMAND "${CMAKE_COMMAND}" -D "INCLUDE_DIR=${PROJECT_SOURCE_DIR}/include" -P "${checker}")
add_test(NAME structure.wrong_includes
         COMMAND "${CMAKE_COMMAND}" -D "CHECKER=${checker}" -D "WORK=${CMAKE_CURRENT_BINARY_DIR}/wrong_includes"
                 -P "${CMAKE_CURRENT_SOURCE_DIR}/structure/wrong_includes.cmake")
