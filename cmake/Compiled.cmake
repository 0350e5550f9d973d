# qatten::compiled: the classes of include/qatten/compiled.hpp in a static library, for those who would rather wait once.
# Built when something links it. Compile it and what links it with the same -march.

set(compiled_sources "")
foreach(scalar float double)
  set(source "${CMAKE_CURRENT_BINARY_DIR}/compiled_${scalar}.cpp")
  file(CONFIGURE OUTPUT "${source}" CONTENT [[
#define QATTEN_COMPILING
#include "qatten/compiled.hpp"

namespace qatten::inline QATTEN_ABI {

QATTEN_INSTANTIATE(, @scalar@)

}  // namespace qatten::inline QATTEN_ABI
]] @ONLY)
  list(APPEND compiled_sources "${source}")
endforeach()
add_library(qatten_compiled STATIC EXCLUDE_FROM_ALL ${compiled_sources})
add_library(qatten::compiled ALIAS qatten_compiled)
target_link_libraries(qatten_compiled PUBLIC qatten)
target_compile_definitions(qatten_compiled PUBLIC QATTEN_COMPILED)
if(PROJECT_IS_TOP_LEVEL AND QATTEN_MARCH)
  target_compile_options(qatten_compiled PRIVATE -march=${QATTEN_MARCH})
endif()
