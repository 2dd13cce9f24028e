#!/usr/bin/env python3
"""Write the examples' data: digits/ iris/ diabetes/, each a {train,test}.csv with a header.

usage: make_data.py [OUT]        (OUT: this folder; needs numpy and scikit-learn)

The sets are those bundled with scikit-learn (BSD-3-Clause); where they come from is in DATA.md.
A fifth of each is the test part, chosen with a fixed seed, so the same bytes come out every time.
"""
import csv
import os
import sys

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split

HERE = os.path.dirname(os.path.abspath(__file__))


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


if __name__ == "__main__":
    main()
