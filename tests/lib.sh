# shellcheck shell=bash disable=SC2034  # its variables are for the scripts
# lib.sh - what the scripts of tests/ share; sourced, with bash. Says where things are and makes a scratch folder.
#
#   NNC     the compiler      (from the environment, or build/nnc)
#   STCMP   tests/tools/stcmp (from the environment, or build/tests/tools/stcmp)
#   root    the project       scratch   a folder of this run, removed at its end
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
reference=$root/tests/reference
NNC=${NNC:-$root/build/nnc}
STCMP=${STCMP:-$root/build/tests/tools/stcmp}
examples="digits/mlp iris/iris diabetes/diabetes" # folder/program; those that train in a second
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export NO_COLOR=1

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

[ -x "$NNC" ] || fail "no compiler at $NNC: build first, or set NNC"

# copy_example FOLDER/PROGRAM NAME - a copy of the example's folder at $scratch/NAME; nothing is made beside the sources.
copy_example() {
  mkdir -p "$scratch/$2"
  find "$root/examples/${1%/*}" -type f \( -name '*.nn' -o -name '*.csv' -o -name '*.txt' \) -exec cp -t "$scratch/$2" {} +
}

# build_example FOLDER/PROGRAM [nnc's options] - copies and compiles it; the program is $scratch/FOLDER/PROGRAM.
build_example() {
  local example=$1
  shift
  copy_example "$example" "${example%/*}"
  (cd "$scratch/${example%/*}" && "$NNC" "$@" "${example#*/}.nn" -o "${example#*/}")
}

# json_number KEY - the number after "KEY": in the last line of stdin that has it.
json_number() { sed -n "s/.*\"$1\": *\(-\{0,1\}[0-9.][0-9.eE+-]*\).*/\1/p" | tail -n 1; }

sha() { sha256sum "$1" | cut -d ' ' -f 1; }
