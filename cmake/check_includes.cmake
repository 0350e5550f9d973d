# cmake -D INCLUDE_DIR=<include> -P check_includes.cmake
# Reads the #include lines of the headers and fails unless they point the way that the architecture has them.

cmake_minimum_required(VERSION 3.21)

# room: what it may include, beside itself and version.hpp. A room may be named down to one of its folders.
set(arrows
    "core:"
    "nn: core"
    "optim: core"
    "replay: core"
    "environments: core"
    "agents: core nn"
    "mixers: core nn"
    "learners: core nn optim replay agents mixers"
    "io: core optim replay learners environments/skirmish"
    "training: core nn optim replay environments agents mixers learners"
    "runs: core optim replay environments learners io training"
    "analysis: core nn agents mixers environments/games"
    "qatten.hpp: core nn optim replay environments agents mixers learners training analysis compiled.hpp"
    "compiled.hpp: core nn optim replay agents mixers learners"
    "version.hpp:")

cmake_path(ABSOLUTE_PATH INCLUDE_DIR)
set(wrong "")
file(GLOB_RECURSE headers RELATIVE "${INCLUDE_DIR}/qatten" "${INCLUDE_DIR}/qatten/*.hpp")
if(NOT headers)
  message(FATAL_ERROR "no headers in ${INCLUDE_DIR}/qatten")
endif()
foreach(header IN LISTS headers)
  string(REGEX REPLACE "/.*" "" room "${header}")
  set(rule "${arrows}")
  list(FILTER rule INCLUDE REGEX "^${room}:")
  if(NOT rule)
    string(APPEND wrong "  qatten/${header}: no room is called ${room}\n")
    continue()
  endif()
  string(REGEX REPLACE ".*:" "" allowed "${rule}")
  string(REPLACE " " ";" allowed "${room} version.hpp ${allowed}")

  set(includes_${header} "")
  file(STRINGS "${INCLUDE_DIR}/qatten/${header}" lines REGEX "^[ \t]*#[ \t]*include")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^[^<\"]*([<\"])([^>\"]*).*" "\\1\\2" included "${line}")
    if(included MATCHES "^\"qatten/(.*)")
      set(included "${CMAKE_MATCH_1}")
      list(APPEND includes_${header} "${included}")
      set(fits FALSE)
      foreach(prefix IN LISTS allowed)
        if("${included}/" MATCHES "^${prefix}/")
          set(fits TRUE)
        endif()
      endforeach()
      if(NOT fits)
        string(APPEND wrong "  qatten/${header} includes qatten/${included}: against the rule '${rule}'\n")
      elseif(NOT EXISTS "${INCLUDE_DIR}/qatten/${included}")
        string(APPEND wrong "  qatten/${header} includes qatten/${included}, which does not exist\n")
      endif()
    elseif(included MATCHES "^\"|^<qatten/")
      string(APPEND wrong "  qatten/${header}: headers of the library are included as \"qatten/...\": ${line}\n")
    elseif(included MATCHES "^<nlohmann/" AND NOT room MATCHES "^(io|runs)$")
      string(APPEND wrong "  qatten/${header} includes JSON, which is for io and runs alone\n")
    elseif(included MATCHES "^<asio" AND NOT header MATCHES "^environments/remote/")
      string(APPEND wrong "  qatten/${header} includes Asio, which is for environments/remote alone\n")
    endif()
  endforeach()
endforeach()

# qatten.hpp is everything that needs Eigen alone: it reaches every header outside these, and none of them.
set(needs_more "^(io|runs|environments/remote)/")
set(reached qatten.hpp)
set(next qatten.hpp)
while(next)
  list(POP_FRONT next header)
  foreach(included IN LISTS includes_${header})
    if(included MATCHES "${needs_more}")
      string(APPEND wrong "  qatten/qatten.hpp reaches more than Eigen: qatten/${header} includes qatten/${included}\n")
    elseif(NOT included IN_LIST reached)
      list(APPEND reached "${included}")
      list(APPEND next "${included}")
    endif()
  endforeach()
endwhile()
foreach(header IN LISTS headers)
  if(NOT header MATCHES "${needs_more}" AND NOT header IN_LIST reached)
    string(APPEND wrong "  qatten/qatten.hpp leaves out qatten/${header}\n")
  endif()
endforeach()

if(wrong)
  message(FATAL_ERROR "\n${wrong}")
endif()
list(LENGTH headers count)
message(STATUS "the includes of ${count} headers point the right way")
