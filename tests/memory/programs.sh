# shellcheck shell=bash
# programs.sh - the programs that tests/memory trains: sourced after lib.sh.
programs="digits/mlp:50 digits/cnn:50 iris/iris:50 diabetes/diabetes:50 digits/transformer:50 text/gpt:3" # :steps

# build_program FOLDER/PROGRAM NAME [nnc's options] - compiles it to $scratch/FOLDER/NAME.
build_program() {
  local program=$1 name=$2
  shift 2
  copy_example "$program" "${program%/*}"
  [ "${program%/*}" != digits ] || cp "$root"/tests/memory/*.nn "$scratch/digits"
  (cd "$scratch/${program%/*}" && "$NNC" "$@" "${program#*/}.nn" -o "$name")
}

# graph_bytes PROGRAM GRAPH - the peak of one of its graphs, as `info` prints it.
graph_bytes() { "$1" info | awk -v graph="$2" '$1 == graph { print $3 }'; }
