# Sets `problem` to a message unless the Eigen that was found is one that qatten is written for. Shared by the build and
# by the installed package.
function(qatten_check_eigen problem)
  set(${problem} "" PARENT_SCOPE)
  if(Eigen3_VERSION VERSION_LESS 3.4 OR Eigen3_VERSION VERSION_GREATER_EQUAL 6)
    set(${problem} "qatten needs Eigen >= 3.4 and < 6; found ${Eigen3_VERSION} in ${Eigen3_DIR}" PARENT_SCOPE)
  endif()
endfunction()
