#!/usr/bin/env python3
"""Write the examples' data: digits/ iris/ diabetes/ licences/, each a {train,test}.csv with a header, and the texts of text/.

usage: make_data.py [OUT]        (OUT: this folder; needs numpy and scikit-learn, and Debian 12's licence texts)

The tables are those bundled with scikit-learn (BSD-3-Clause); where they come from is in DATA.md.
A fifth of each is the test part, chosen with a fixed seed, so the same bytes come out every time.
"""
import collections
import csv
import os
import re
import sys

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split

HERE = os.path.dirname(os.path.abspath(__file__))
LICENCES = ["Apache-2.0", "Artistic", "BSD", "CC0-1.0", "GFDL-1.2", "GFDL-1.3", "GPL-1", "GPL-2", "GPL-3",
            "LGPL-2", "LGPL-2.1", "LGPL-3", "MPL-1.1", "MPL-2.0"]
FAMILIES = ["Apache", "Artistic", "CC0", "GFDL", "GPL", "LGPL", "MPL"]


def write(folder, header, rows, target, stratify):
    """Split into train.csv and test.csv; each keeps the order of the source."""
    parts = train_test_split(np.arange(len(rows)), test_size=0.2, random_state=0,
                             stratify=target if stratify else None)
    os.makedirs(folder, exist_ok=True)
    for name, part in zip(("train", "test"), parts):
        with open(os.path.join(folder, name + ".csv"), "w", newline="") as f:
            w = csv.writer(f, lineterminator="\n")
            w.writerow(header)
            w.writerows([*rows[i], target[i]] for i in np.sort(part))


def number(v):
    """The shortest text that reads back as v: 4 for 4.0."""
    return repr(int(v)) if float(v).is_integer() else repr(float(v))


def numbers(a):
    return [[number(v) for v in row] for row in a]


def texts(folder):
    """The printable characters of the licence texts in blocks of 2,000, dealt 8:1:1, so that each part has some of each."""
    whole = b""
    for name in LICENCES:
        with open(os.path.join(os.sep, "usr", "share", "common-licenses", name), "rb") as f:
            whole += f.read().rstrip() + b"\n\n"
    whole = bytes(c for c in whole if c == 10 or 32 <= c < 127)
    parts = {"train": b"", "val": b"", "test": b""}
    for i in range(0, len(whole), 2000):
        parts[{8: "val", 9: "test"}.get(i // 2000 % 10, "train")] += whole[i:i + 2000]
    os.makedirs(folder, exist_ok=True)
    for name, text in {**parts, "vocab": b"".join(b"%d\n" % c for c in sorted(set(whole)))}.items():
        with open(os.path.join(folder, name + ".txt"), "wb") as f:
            f.write(text)


def passages(folder):
    """Sentences of the licence texts, each once, with the family that it comes from; those of several families are left out. A
    fifth, by a fixed seed, is the test part; the vocabulary is [UNK] and every word or sign that the training part has twice."""
    families = {}
    for name in LICENCES:
        with open(os.path.join(os.sep, "usr", "share", "common-licenses", name), encoding="utf-8", errors="replace") as f:
            text = "".join(c for c in " ".join(f.read().split()) if 32 <= ord(c) < 127).replace('"', "'")
        for sentence in re.split(r"(?<=[.;:]) (?=[A-Z(])", text):
            if 6 <= len(sentence.split()) <= 60:
                families.setdefault(sentence, set()).add(name.split("-")[0])
    rows = [(FAMILIES.index(min(f)), s) for s, f in families.items() if len(f) == 1 and min(f) in FAMILIES]
    test = set(np.random.default_rng(0).permutation(len(rows))[:len(rows) // 5].tolist())
    os.makedirs(folder, exist_ok=True)
    for part in ("train", "test"):
        with open(os.path.join(folder, part + ".csv"), "w", newline="") as f:
            w = csv.writer(f, lineterminator="\n")
            w.writerow(["family", "sentence"])
            w.writerows(r for i, r in enumerate(rows) if (i in test) == (part == "test"))
    words = collections.Counter(w for i, r in enumerate(rows) if i not in test for w in re.findall(r"[a-z0-9]+|[^a-z0-9 ]", r[1].lower()))
    with open(os.path.join(folder, "vocab.txt"), "w") as f:
        f.write("\n".join(["[UNK]"] + sorted(w for w, n in words.items() if n > 1)) + "\n")


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else HERE
    d = datasets.load_digits()                       # pixels are counts of ink, 0..16
    names = [f"p{r}{c}" for r in range(8) for c in range(8)]
    write(os.path.join(out, "digits"), names + ["digit"], numbers(d.data), d.target, True)
    d = datasets.load_iris()                         # centimetres
    names = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    write(os.path.join(out, "iris"), names + ["species"], numbers(d.data), d.target, True)
    d = datasets.load_diabetes(scaled=False)         # as measured, not as scikit-learn scales them
    names = ["age", "sex", "bmi", "bp", "tc", "ldl", "hdl", "tch", "ltg", "glu"]
    write(os.path.join(out, "diabetes"), names + ["progression"], numbers(d.data), [number(v) for v in d.target], False)
    texts(os.path.join(out, "text"))
    passages(os.path.join(out, "licences"))


if __name__ == "__main__":
    main()
