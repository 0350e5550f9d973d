# cmake -D CHECKER=<check_includes.cmake> -D WORK=<folder> -P wrong_includes.cmake
# Shows that the checker of the include direction says nothing about a right tree and finds each kind of wrong line.

cmake_minimum_required(VERSION 3.21)

# expect(message [header line]...): the checker's verdict on a tree of right headers in which these lines were added.
function(expect message)
  file(REMOVE_RECURSE "${WORK}")
  foreach(header core/a nn/a optim/a replay/a agents/a mixers/a learners/a training/a analysis/a environments/games/a)
    file(WRITE "${WORK}/qatten/${header}.hpp" "#include <vector>\n#include <Eigen/Core>\n")
    file(APPEND "${WORK}/qatten/qatten.hpp" "#include \"qatten/${header}.hpp\"\n")
  endforeach()
  file(APPEND "${WORK}/qatten/analysis/a.hpp" "#include \"qatten/environments/games/a.hpp\"\n")
  file(APPEND "${WORK}/qatten/io/a.hpp" "#include <nlohmann/json.hpp>\n")
  file(WRITE "${WORK}/qatten/environments/remote/a.hpp" "#include <asio/io_context.hpp>\n")
  while(ARGN)
    list(POP_FRONT ARGN header line)
    file(APPEND "${WORK}/qatten/${header}" "${line}\n")
  endwhile()

  execute_process(COMMAND "${CMAKE_COMMAND}" -D "INCLUDE_DIR=${WORK}" -P "${CHECKER}"
                  RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(message STREQUAL "ok")
    if(failed)
      message(SEND_ERROR "the checker rejects a right tree:\n${output}")
    endif()
  elseif(NOT failed OR NOT output MATCHES "${message}")
    message(SEND_ERROR "expected the checker to say '${message}', got:\n${output}")
  endif()
endfunction()

expect("ok")
expect("core/a.hpp includes qatten/nn/a.hpp: against" core/a.hpp "#include \"qatten/nn/a.hpp\"")
expect("nn/a.hpp includes qatten/agents/a.hpp: against" nn/a.hpp "  #  include \"qatten/agents/a.hpp\" // why")
expect("learners/a.hpp includes qatten/environments/games/a.hpp: against"
       learners/a.hpp "#include \"qatten/environments/games/a.hpp\"")
expect("analysis/a.hpp includes qatten/environments/remote/a.hpp: against"
       analysis/a.hpp "#include \"qatten/environments/remote/a.hpp\"")
expect("core/a.hpp includes qatten/core/b.hpp, which does not exist" core/a.hpp "#include \"qatten/core/b.hpp\"")
expect("qatten.hpp leaves out qatten/nn/b.hpp" nn/b.hpp "#include <vector>")
expect("no room is called cores" cores/a.hpp "#include <vector>")
expect("are included as .qatten/" nn/a.hpp "#include \"../core/a.hpp\"")
expect("are included as .qatten/" nn/a.hpp "#include <qatten/core/a.hpp>")
expect("replay/a.hpp includes JSON" replay/a.hpp "#include <nlohmann/json.hpp>")
expect("games/a.hpp includes Asio" environments/games/a.hpp "#include <asio/buffer.hpp>")
expect("ok" training/a.hpp "#include \"qatten/core/a.hpp\"")
expect("ok" runs/a.hpp "#include <nlohmann/json.hpp>")
expect("training/a.hpp includes qatten/runs/a.hpp: against" training/a.hpp "#include \"qatten/runs/a.hpp\"")
expect("qatten.hpp reaches more than Eigen: qatten/training/a.hpp includes qatten/io/a.hpp"
       training/a.hpp "#include \"qatten/io/a.hpp\"")
expect("qatten.hpp reaches more than Eigen: qatten/training/a.hpp includes qatten/environments/remote/a.hpp"
       training/a.hpp "#include \"qatten/environments/remote/a.hpp\"")
