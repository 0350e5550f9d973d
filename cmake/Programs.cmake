# How our own programs are compiled.

if(NOT TARGET qatten::io)
  message(FATAL_ERROR "The tests, benchmarks and examples need nlohmann_json (Debian: nlohmann-json3-dev)")
endif()
if(NOT TARGET qatten::remote)
  message(FATAL_ERROR "The tests, benchmarks and examples need standalone Asio (Debian: libasio-dev)")
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
  if(QATTEN_MARCH)
    target_compile_options(${target} PRIVATE -march=${QATTEN_MARCH})
  endif()
  if(QATTEN_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${QATTEN_SANITIZE} -fno-sanitize-recover=all
                                             -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${QATTEN_SANITIZE})
  endif()
endfunction()
