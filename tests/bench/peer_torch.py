#!/usr/bin/env python3
"""The cases of `run` on PyTorch, eager: prints the median time of one call in microseconds.

usage: peer_torch.py CASE [--threads N] [--budget SECONDS]

A training step is zero_grad, forward, backward and the fused optimizer's step on one fixed batch, weights given:
the fastest eager form measured. Warm-up of at least 3 calls and a second comes first.
"""
import argparse
import os
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn


def mlp_digits():
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    return net, torch.randn(64, 64), torch.randint(0, 10, (64,))


def mlp_digits_train():
    net, x, y = mlp_digits()
    opt = torch.optim.SGD(net.parameters(), 1e-2, momentum=0.9, fused=True)

    def step():
        opt.zero_grad(set_to_none=True)
        F.cross_entropy(net(x), y).backward()
        opt.step()

    return step


CASES = {"mlp_digits.train": mlp_digits_train}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("case", choices=CASES)
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    ap.add_argument("--budget", type=float, default=2.0, help="seconds of timed calls")
    a = ap.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(a.threads)
    call = CASES[a.case]()
    end = time.perf_counter() + 1
    for i in range(10**6):
        call()
        if i >= 2 and time.perf_counter() > end:
            break
    times, end = [], time.perf_counter() + a.budget
    while len(times) < 5 or time.perf_counter() < end:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    print("%.2f" % (1e6 * statistics.median(times)))


if __name__ == "__main__":
    main()
