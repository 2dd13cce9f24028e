#!/usr/bin/env python3
"""unicode.py - writes runtime/unicode.def, what tokenizers ask of a character, from Python's unicodedata.

    tests/reference/unicode.py > runtime/unicode.def

CLASS(first, class): from this character on, up to the next row's, characters are
    L letters, N numbers, P punctuation (of ASCII, all that is printed and no letter, digit or space),
    S white space, V white space that is a control character too, C control, format and private characters,
    M marks that stand over others (Mn), O all else.
FOLD(character, how many, first of what): the lower-case letters that are left of its canonical decomposition without
marks, TO(character) each; characters that are left as they are have no row, nor do syllables of Hangul, whose parts
follow from their numbers. RUN(first, last, distance, step): characters that become the one at a distance."""
import unicodedata as u


def class_of(code):
    c = chr(code)
    k = u.category(c)
    if c in "\t\n\r" or k[0] == "Z":
        return "S"
    if c in "\x0b\x0c\x85":
        return "V"
    if code == 0xFFFD or k in ("Cc", "Cf", "Co"):
        return "C"
    if k[0] == "P" or (code < 128 and k[0] == "S"):
        return "P"
    return {"L": "L", "N": "N"}.get(k[0], "M" if k == "Mn" else "O")


def fold(code):
    return [ord(l) for c in u.normalize("NFD", chr(code)) if u.category(c) != "Mn" for l in c.lower()]


characters = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
print("/* unicode.def - characters by class, and what is left of them without marks and capitals: Unicode %s. Made by"
      % u.unidata_version)
print(" * tests/reference/unicode.py, which says what the rows are. */")
before = None
for c in characters:
    k = class_of(c)
    if k != before:
        print("CLASS(0x%X, %s)" % (c, k))
    before = k
folds = {c: fold(c) for c in characters
         if not 0xAC00 <= c < 0xD7A4 and class_of(c) != "M" and fold(c) != [c]}
runs, single = [], sorted(c for c in folds if len(folds[c]) == 1)
left = dict(folds)
for c in single:
    if c not in left:
        continue
    distance, best = folds[c][0] - c, [c]
    for step in (1, 2):
        run = [c]
        while left.get(run[-1] + step) and len(folds[run[-1] + step]) == 1 and \
                folds[run[-1] + step][0] - run[-1] - step == distance:
            run.append(run[-1] + step)
        if len(run) > len(best):
            best = run
    if len(best) >= 3:
        runs.append((best[0], best[-1], distance, best[1] - best[0]))
        for k in best:
            del left[k]
for r in runs:
    print("RUN(0x%X, 0x%X, %d, %d)" % r)
n = 0
for c in sorted(left):
    print("FOLD(0x%X, %d, %d)%s" % (c, len(left[c]), n, "".join(" TO(0x%X)" % t for t in left[c])))
    n += len(left[c])
