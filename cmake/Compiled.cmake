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

# qatten::compiled_training: every learner that can be named, for programs that call make_trainer.
set(training_source "${CMAKE_CURRENT_BINARY_DIR}/compiled_training.cpp")
file(CONFIGURE OUTPUT "${training_source}" CONTENT [[
#include "qatten/training/make_trainer.hpp"

namespace qatten::inline QATTEN_ABI {

template std::unique_ptr<AnyLearner<float>> make_learner<float>(const TrainingOptions&, const EnvironmentInfo&);

}  // namespace qatten::inline QATTEN_ABI
]] @ONLY)

# -march and sanitizers, about which all objects of a program must agree.
function(qatten_machine target)
  if(QATTEN_MARCH)
    target_compile_options(${target} PRIVATE -march=${QATTEN_MARCH})
  endif()
  if(QATTEN_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${QATTEN_SANITIZE} -fno-sanitize-recover=all
                                             -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${QATTEN_SANITIZE})
  endif()
endfunction()

function(compiled_library name define)
  add_library(qatten_${name} STATIC EXCLUDE_FROM_ALL ${ARGN})
  add_library(qatten::${name} ALIAS qatten_${name})
  target_link_libraries(qatten_${name} PUBLIC qatten)
  target_compile_definitions(qatten_${name} PUBLIC ${define})
  if(PROJECT_IS_TOP_LEVEL)
    qatten_machine(qatten_${name})
  endif()
endfunction()
compiled_library(compiled QATTEN_COMPILED ${compiled_sources})
compiled_library(compiled_training QATTEN_COMPILED_TRAINING "${training_source}")
