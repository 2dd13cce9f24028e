"""The cases of the algebra: comprehensions of every kind with first and second derivatives, from PyTorch in f64.

`write(OUT)` makes cases.safetensors for tests/numeric/cases; make.py calls it. For a case f and inputs x, ... it holds

  CASE.in.x, ...      inputs: multiples of 1/64 (of 1 where ties are wanted), which f32 holds exactly
  CASE.in.dy          the weights of the loss L = sum(dy * sin(f(x, ...)))
  CASE.in.v_x, ...    the directions of the product
  CASE.out.value      f(x, ...)
  CASE.out.grad_x     dL/dx
  CASE.out.hvp_x      d/dx of the sum over all inputs u of dL/du * v_u: the product of the Hessian with v

The sine gives also linear functions a second derivative. All tensors have a leading dimension of 1, the one example.
"""
import math
import os
from functools import reduce

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file


class Case:
    """f of tensors of the given shapes, drawn as multiples of 1/grain and multiplied by scale; `ints` are further
    arguments, of integers: limit and count; `inputs` replaces drawn values."""

    def __init__(self, f, ints=None, inputs=None, grain=64, scale=1, **shapes):
        self.f, self.ints, self.inputs, self.grain, self.scale, self.shapes = f, ints or {}, inputs or {}, grain, scale, shapes


def conv(stride, padding, dilation, kernel, batch):
    f = lambda x, weight: F.conv2d(x, weight, stride=stride, padding=padding, dilation=dilation)
    return Case(f, x=(batch, 2, 13, 14), weight=(3, 2, kernel, kernel))


def transposed(stride):
    return Case(lambda x, weight: F.conv_transpose2d(x, weight, stride=stride, padding=1), x=(2, 3, 5, 4), weight=(3, 2, 3, 3))


def batch_norm(x, weight, bias):
    return F.batch_norm(x, None, None, weight, bias, training=True)


def attention(q, k, v):                                            # not the fused kernel, which has no second derivative
    s = q @ k.T / math.sqrt(q.shape[1])
    return s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(1), -torch.inf).softmax(1) @ v


def product(x):                                                    # torch.prod's own derivatives divide
    return reduce(torch.mul, x.unbind(-1))


def critic_penalty(x, w1, w2):
    """(|d critic / dx| - 1)^2 for each image: its gradient is a second derivative, its product with v a third."""
    def critic(x):
        return (F.conv2d(x, w1, stride=2, padding=1).tanh() * w2).sum((1, 2, 3))
    slope, = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return (slope.square().sum((1, 2, 3)).sqrt() - 1).square()


def lstm(x, wx, wh, b, h, c):
    """Gates in the order i, f, g, o. All hidden states, one after the other."""
    ys = []
    for t in range(x.shape[0]):
        i, f, g, o = torch.unbind((wx @ x[t] + wh @ h + b).view(4, -1))
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        ys.append(h)
    return torch.stack(ys)


def zeros_at(shape, places, rng):
    x = np.round(rng.standard_normal(shape) * 64) / 64
    for p in places:
        x[p] = 0
    return x


RNG = np.random.default_rng(10)
# stride, padding, dilation, kernel, images
CONVOLUTIONS = [(1, 0, 1, 1, 2), (1, 1, 1, 3, 2), (1, 2, 1, 5, 1), (1, 3, 1, 7, 1), (1, 2, 2, 3, 1), (1, 3, 6, 3, 1), (2, 0, 1, 2, 2),
                (2, 1, 1, 3, 2), (2, 2, 1, 5, 1), (2, 3, 1, 7, 1), (2, 2, 2, 3, 1), (3, 0, 1, 3, 2), (3, 1, 1, 2, 1), (3, 1, 2, 3, 1),
                (4, 0, 1, 1, 2), (4, 3, 1, 7, 2)]

CASES = {
    "matmul": Case(torch.matmul, a=(5, 7), b=(7, 6)),
    "batched_matmul": Case(torch.matmul, a=(3, 4, 5), b=(3, 5, 6)),
    **{"conv2d_s%d_p%d_d%d_k%d" % c[:4]: conv(*c) for c in CONVOLUTIONS},
    "conv2d_grouped": Case(lambda x, weight: F.conv2d(x, weight, stride=2, padding=1, groups=2), x=(2, 4, 9, 8), weight=(6, 2, 3, 3)),
    "conv2d_depthwise": Case(lambda x, weight: F.conv2d(x, weight, padding=1, groups=5), x=(2, 5, 7, 6), weight=(5, 1, 3, 3)),
    "transposed_2": transposed(2),
    "transposed_3": transposed(3),
    "max_pool_321": Case(lambda x: F.max_pool2d(x, 3, 2, 1), x=(2, 3, 9, 8)),
    "max_pool_22": Case(lambda x: F.max_pool2d(x, 2), x=(2, 3, 8, 7)),
    "max_pool_ties": Case(lambda x: F.max_pool2d(x, 3, 1), grain=1, x=(2, 2, 7, 6)),
    "avg_pool_321": Case(lambda x: F.avg_pool2d(x, 3, 2, 1), x=(2, 3, 9, 8)),
    "softmax": Case(lambda x: F.softmax(x, -1), x=(5, 9)),
    "softmax_moved": Case(lambda x: F.softmax(x, -1), x=(5, 9)),
    "logsumexp": Case(lambda x: x.logsumexp(-1), x=(5, 9)),
    "cross_entropy": Case(lambda x, y: F.cross_entropy(x, y, reduction="none"), ints={"y": (7, 6)}, x=(6, 7)),
    "layer_norm": Case(lambda x, weight, bias: F.layer_norm(x, (9,), weight, bias), x=(4, 9), weight=(9,), bias=(9,)),
    "batch_norm": Case(batch_norm, x=(4, 3, 5, 4), weight=(3,), bias=(3,)),
    "group_norm": Case(lambda x, weight, bias: F.group_norm(x, 3, weight, bias), x=(2, 6, 4, 5), weight=(6,), bias=(6,)),
    "rms_norm": Case(lambda x, weight: F.rms_norm(x, (9,), weight, 1e-5), x=(4, 9), weight=(9,)),
    "attention": Case(attention, q=(7, 8), k=(7, 8), v=(7, 5)),
    "attention_moved": Case(attention, q=(7, 8), k=(7, 8), v=(7, 5)),
    "slice_stride": Case(lambda x: x[:, 1:9:3], x=(4, 10)),
    "reversed": Case(lambda x: x.flip(1), x=(3, 7)),
    "concat": Case(lambda a, b: torch.cat((a, b)), a=(3, 4), b=(5, 4)),
    "pad": Case(lambda x: F.pad(x, (2, 3)), x=(3, 5)),
    "diagonal": Case(torch.diagonal, x=(6, 6)),
    "trace": Case(torch.trace, x=(6, 6)),
    "row_times_row": Case(lambda x: x[0] * x[2], x=(4, 7)),
    "flatten": Case(lambda x: x.reshape(3, 20), x=(3, 4, 5)),
    "reshape": Case(lambda x: x.reshape(4, 6), x=(8, 3)),
    "pixel_shuffle": Case(lambda x: F.pixel_shuffle(x, 2), x=(8, 3, 4)),
    "upsample": Case(lambda x: x.repeat_interleave(2, 1).repeat_interleave(2, 2), x=(2, 3, 5)),
    "roll": Case(lambda x: x.roll(-2, 1), x=(3, 5)),
    "shifted_product": Case(lambda x: torch.stack([x[i] * x[i:i + 4] for i in range(5)]), x=(8,)),
    "max_rows": Case(lambda x: x.max(1).values, x=(5, 7)),
    "min_rows": Case(lambda x: x.min(1).values, x=(5, 7)),
    "prod": Case(product, x=(4, 5)),
    "prod_one_zero": Case(product, inputs={"x": zeros_at((4, 5), [(0, 0), (2, 3)], RNG)}, x=(4, 5)),
    "prod_two_zeros": Case(product, inputs={"x": zeros_at((4, 5), [(0, 0), (0, 4), (3, 1), (3, 2), (3, 3)], RNG)}, x=(4, 5)),
    "embedding": Case(lambda table, y: table[y], ints={"y": (6, 9)}, table=(6, 5)),
    "embedding_matmul": Case(lambda table, w, y: table[y] @ w, ints={"y": (6, 9)}, table=(6, 5), w=(5, 4)),
    "pick": Case(lambda p, y: p.gather(1, y[:, None])[:, 0], ints={"y": (7, 6)}, p=(6, 7)),
    "dropout": Case(lambda x, keep: torch.where(keep > 0, x / 0.75, 0), ints={"keep": (2, 40)}, x=(40,)),
    "gradient_penalty": Case(critic_penalty, scale=0.25, x=(2, 2, 9, 8), w1=(3, 2, 3, 3), w2=(3, 5, 4)),
    "lstm": Case(lstm, x=(4, 5), wx=(12, 5), wh=(12, 3), b=(12,), h=(3,), c=(3,)),
    "resize_nearest": Case(lambda x: F.interpolate(x[None], size=(7, 9))[0], x=(2, 5, 4)),
    "resize_bilinear": Case(lambda x: F.interpolate(x[None], size=(7, 9), mode="bilinear", align_corners=False)[0], x=(2, 5, 4)),
    "resize_bilinear_down": Case(lambda x: F.interpolate(x[None], size=(3, 4), mode="bilinear", align_corners=False)[0], x=(2, 7, 6)),
}


def tensors_of(case, rng):
    """The inputs and outputs of one case, by name."""
    draw = lambda shape, grain=64, scale=1: torch.tensor(np.round(rng.standard_normal(shape) * grain) / grain * scale)
    args = {k: torch.tensor(case.inputs[k]) if k in case.inputs else draw(s, case.grain, case.scale) for k, s in case.shapes.items()}
    ints = {k: torch.tensor(rng.integers(0, limit, n)) for k, (limit, n) in case.ints.items()}
    leaves = [a.requires_grad_() for a in args.values()]
    value = case.f(*args.values(), *ints.values())
    dy, v = draw(value.shape), {k: draw(s) for k, s in case.shapes.items()}
    # Half of some derivatives is 0 where an input stands alone in them: allow_unused and materialize say so.
    grads = torch.autograd.grad((dy * value.sin()).sum(), leaves, create_graph=True)
    along = sum((g * w).sum() for g, w in zip(grads, v.values()))
    hvp = torch.autograd.grad(along, leaves, allow_unused=True, materialize_grads=True)
    inputs = {**args, "dy": dy, **{"v_" + k: t for k, t in v.items()}}
    result = {"in." + k: t.detach().numpy().astype(np.float32) for k, t in inputs.items()}
    result.update({"in." + k: t.numpy().astype(np.int32) for k, t in ints.items()})
    outputs = {"value": value, **{"grad_" + k: t for k, t in zip(args, grads)}, **{"hvp_" + k: t for k, t in zip(args, hvp)}}
    result.update({"out." + k: t.detach().numpy() for k, t in outputs.items()})
    return result


def write(out):
    got = {}
    for i, (name, case) in enumerate(CASES.items()):
        for key, a in tensors_of(case, np.random.default_rng([10, i])).items():
            got[f"{name}.{key}"] = np.ascontiguousarray(a[None])
    save_file(got, os.path.join(out, "cases.safetensors"))
