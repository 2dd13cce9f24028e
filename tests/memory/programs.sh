# shellcheck shell=bash
# programs.sh - the programs that tests/memory trains: sourced after lib.sh.
programs="digits/mlp digits/cnn iris/iris diabetes/diabetes digits/transformer"

# build_program FOLDER/PROGRAM NAME [nnc's options] - compiles it to $scratch/FOLDER/NAME.
build_program() {
  local program=$1 name=$2
  shift 2
  copy_example "$program" "${program%/*}"
  cp "$root/tests/memory/transformer.nn" "$scratch/digits" 2>/dev/null || true
  (cd "$scratch/${program%/*}" && "$NNC" "$@" "${program#*/}.nn" -o "$name")
}

# graph_bytes PROGRAM GRAPH - the peak of one of its graphs, as `info` prints it.
graph_bytes() { "$1" info | awk -v graph="$2" '$1 == graph { print $3 }'; }
