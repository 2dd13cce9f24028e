# count.awk - prints how many lines and tokens a source has: `awk -f count.awk FILE`. One rule for .nn and Python: a line counts
# that has more than a comment; tokens are names, numbers, texts and signs, the longest first. Line ends and indentation,
# which Python's own tokenizer counts, are none.
{
  rest = $0
  some = 0
  for (;;) {
    sub(/^[ \t]+/, "", rest)
    if (rest == "" || rest ~ /^#/) break
    if (match(rest, /^([rbf]?"([^"\\]|\\.)*"|[rbf]?'([^'\\]|\\.)*'|[A-Za-z_][A-Za-z_0-9]*|[0-9][0-9_]*(\.[0-9]+)?([eE][-+]?[0-9]+)?|\|>|=>|->|<-|==|!=|<=|>=|:=|\*\*|\/\/|\+=|-=|\*=|\/=|\.\.|.)/))
      rest = substr(rest, RLENGTH + 1)
    tokens++
    some = 1
  }
  lines += some
}
END { print lines + 0, tokens + 0 }
