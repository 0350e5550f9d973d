# Projects of a user's own: they build with the library as a sub-project and as an installed package.

# consumer_test(name source expected-output [cmake option]...)
function(consumer_test name source expected)
  add_test(NAME consumer.${name}
           COMMAND "${CMAKE_CTEST_COMMAND}" --build-and-test "${CMAKE_CURRENT_SOURCE_DIR}/${source}"
                   "${CMAKE_CURRENT_BINARY_DIR}/consumer/${name}" --build-generator "${CMAKE_GENERATOR}"
                   --build-options "-DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}" "-DEigen3_DIR=${Eigen3_DIR}" ${ARGN}
                   --test-command consumer)
  set_tests_properties(consumer.${name} PROPERTIES PASS_REGULAR_EXPRESSION "${expected}" TIMEOUT 600)
endfunction()

set(greeting "qatten ${PROJECT_VERSION} says 6")
set(bad_eigen "qatten needs Eigen >= 3.4 and < 6. found 6.0.0")
set(sub_project "-DQATTEN_SOURCE_DIR=${PROJECT_SOURCE_DIR}")
consumer_test(add_subdirectory consumer "${greeting}" "${sub_project}")
consumer_test(add_subdirectory_eigen_6 consumer "${bad_eigen}" "${sub_project}"
              "-DEigen3_DIR=${CMAKE_CURRENT_SOURCE_DIR}/consumer/eigen_6")

set(prefix "${CMAKE_CURRENT_BINARY_DIR}/consumer/prefix")
add_test(NAME consumer.install COMMAND "${CMAKE_COMMAND}" --install "${PROJECT_BINARY_DIR}" --prefix "${prefix}")
set_tests_properties(consumer.install PROPERTIES FIXTURES_SETUP installed)
set(package "-DCMAKE_PREFIX_PATH=${prefix}" "-DQATTEN_VERSION=${PROJECT_VERSION}")
consumer_test(find_package consumer "${greeting}" ${package})
consumer_test(find_package_eigen_6 consumer "${bad_eigen}" ${package}
              "-DEigen3_DIR=${CMAKE_CURRENT_SOURCE_DIR}/consumer/eigen_6")
set_tests_properties(consumer.find_package consumer.find_package_eigen_6 PROPERTIES FIXTURES_REQUIRED installed)

# Eigen's alignment follows -march. Units that disagree must fail to link, not corrupt memory.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  consumer_test(same_march_links consumer/abi "the sum is 6" "${sub_project}" -DLIBRARY_MARCH=x86-64)
  consumer_test(other_march_does_not_link consumer/abi "undefined reference to .[^\n]*align16::ConstView"
                "${sub_project}" -DLIBRARY_MARCH=x86-64-v3)
endif()
