# How our own programs are compiled.

if(NOT TARGET qatten::io)
  message(FATAL_ERROR "The tests, benchmarks and examples need nlohmann_json (Debian: nlohmann-json3-dev)")
endif()
if(NOT TARGET qatten::remote)
  message(FATAL_ERROR "The tests, benchmarks and examples need standalone Asio (Debian: libasio-dev)")
endif()
# The other side of the wire: a Python 3.8 or newer with numpy, which need not be the first on the PATH.
foreach(candidate "${QATTEN_PYTHON}" python3 /usr/bin/python3)
  execute_process(COMMAND "${candidate}" -c "import sys, numpy; assert sys.version_info >= (3, 8)"
                  RESULT_VARIABLE failure OUTPUT_QUIET ERROR_QUIET)
  if(failure EQUAL 0)
    set(QATTEN_PYTHON "${candidate}" CACHE STRING "Python with numpy, for tests and benchmarks" FORCE)
    break()
  endif()
endforeach()
if(NOT failure EQUAL 0)
  message(FATAL_ERROR "The tests and benchmarks need Python with numpy (Debian: python3 python3-numpy); -DQATTEN_PYTHON=... names one")
endif()
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()
find_package(Threads REQUIRED)

# Links `target` with the library and gives it our flags.
function(qatten_program target)
  target_link_libraries(${target} PRIVATE qatten::qatten qatten::io qatten::remote Threads::Threads)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion $<$<BOOL:${QATTEN_WERROR}>:-Werror>)
  qatten_machine(${target})
endfunction()
