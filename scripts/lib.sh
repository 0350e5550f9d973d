# What the scripts beside this file share; sourced, with the repository's root as working directory afterwards.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# quietly WHAT COMMAND...: one line of progress; the command's output only if it fails.
quietly() {
  local what=$1 log start=$SECONDS
  shift
  log=$(mktemp)
  printf '%s ... ' "$what" >&2
  if ! "$@" >"$log" 2>&1; then
    echo "failed: $*" >&2
    cat "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
  echo "done ($((SECONDS - start)) s)" >&2
}

# x86-64-v3 where this machine has it: for Eigen twice the speed of the default, and much quicker to compile than native.
march() {
  if grep -qsw avx2 /proc/cpuinfo && grep -qsw fma /proc/cpuinfo; then echo x86-64-v3; fi
}

# configure PRESET [OPTION...]. Warnings are errors where QATTEN_WERROR=ON says so, as CI does: a compiler that nobody
# tried may warn of what is right, and should build nevertheless.
configure() {
  quietly "Configuring $1" cmake --preset "$@" -DQATTEN_WERROR="${QATTEN_WERROR:-OFF}"
}

# build PRESET TARGET...
build() {
  local preset=$1
  shift
  quietly "Building $preset: $*" cmake --build --preset "$preset" --target "$@"
}

# A Python with numpy, which need not be the first on the PATH.
python_with_numpy() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -c 'import numpy' 2>/dev/null; then
      echo "$python"
      return
    fi
  done
  fail "no python3 with numpy (Debian: python3-numpy)"
}

# run_example NAME [ARGUMENT...]: builds an example and runs it where the caller stands, so that paths mean what they say.
run_example() {
  local name=$1
  shift
  scripts/setup
  configure release -DQATTEN_MARCH="$(march)"
  build release "$name"
  local program=$PWD/build/release/examples/$name
  cd "$OLDPWD"
  exec "$program" "$@"
}
