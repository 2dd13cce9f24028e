#!/usr/bin/env python3
"""What PyTorch takes on a GPU for what `run` times: products, attention, a training step of GPT-2 small. Lines of JSON.

usage: peer_torch.py [--short]

Random numbers; the least of several times by the GPU's events, after three calls to warm up.
"""
import json
import sys

import torch
import torch.nn.functional as F
from torch import nn

short = "--short" in sys.argv


def least(call, runs=20):
    for _ in range(3):
        call()
    times = []
    for _ in range(runs):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return min(times)


def say(work, ms, **what):
    print(json.dumps({**what, "torch_ms": round(ms, 4), "torch_tflops": round(work / ms * 1e-9, 1)}), flush=True)


def products():
    for name, dtype in (("f32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)):
        torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
        for n in (1024, 4096) if short else (1024, 4096, 8192):
            a, b = torch.randn(2, n, n, device="cuda").to(dtype)
            say(2 * n**3, least(lambda: a @ b), product=name, size=n)


def attention():
    for d in (64, 128):
        b, h, t = 4, 2048 // d, 4096
        q, k, v = (torch.randn(b, h, t, d, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
        work = 2 * 2 * b * h * t * t * d / 2  # causal
        forward = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)
        say(work, least(forward), attention="forward", d=d)
        y = forward()
        dy = torch.randn_like(y)
        say(2.5 * work, least(lambda: y.backward(dy, retain_graph=True)), attention="backward", d=d)


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.think = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (z.view(b, t, self.heads, -1).transpose(1, 2) for z in self.qkv(self.norm1(x)).chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, d)
        x = x + self.out(mixed)
        return x + self.think(self.norm2(x))


class Gpt(nn.Module):
    """As tests/program/gpt12.nn."""

    def __init__(self, v=50257, t=256, d=768, heads=12, layers=12):
        super().__init__()
        self.tokens = nn.Embedding(v, d)
        self.place = nn.Parameter(torch.randn(t, d) * 0.02)
        self.blocks = nn.Sequential(*(Block(d, heads) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, v, bias=False)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.tokens(x) + self.place)))


def gpt():
    net = Gpt().cuda()
    step_of = torch.optim.Adam(net.parameters(), 3e-4, fused=True)
    x, y = torch.randint(0, 50257, (2, 4, 256), device="cuda")
    run = net if short else torch.compile(net)
    for name, narrow in (("f32", False), ("bf16", True)):

        def step():
            step_of.zero_grad(set_to_none=True)
            with torch.autocast("cuda", torch.bfloat16, enabled=narrow):
                loss = F.cross_entropy(run(x).flatten(0, 1), y.flatten())
            loss.backward()
            step_of.step()

        weights = sum(p.numel() for p in net.parameters())
        say(6 * weights * x.numel(), least(step, 10), step="gpt12", precision=name, compiled=not short)


products()
attention()
gpt()
