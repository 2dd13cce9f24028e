"""The training of tests/numeric/precision.nn in PyTorch: precision.safetensors holds the weights to start from under nnc's
names, the data as `data/<field>`, the first step's `loss`, `grad/<parameter>`, `trained/<parameter>` after a step of
Sgd(lr = 0.5), and what the weights at the start say: `value`, and `rounded` by products of rounded factors.

Products are computed in f64 from factors that are rounded to f32, then to bf16; so are those of the derivatives.
"""
import os

import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

NARROW = torch.bfloat16


class Rounding:
    """Rounds to bf16, and keeps how close to the middle of two neighbours anything computed lay, of the largest of its
    tensor."""

    def __init__(self):
        self.closest = 1.0

    def __call__(self, x):
        wide = x.detach().float()
        if torch.equal(wide.double(), x):
            return wide.to(NARROW).double()
        low = (wide.view(torch.int32) & 0xffff0000).view(torch.float32).double()
        high = ((wide.view(torch.int32) & 0xffff0000) + 0x10000).view(torch.float32).double()
        away = (wide.double() - (low + high) / 2).abs().min() / wide.abs().max().double()
        self.closest = min(self.closest, away.item())
        return wide.to(NARROW).double()


def product(f, narrow):
    """f is linear in each of its two arguments."""

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.factors = narrow(x), narrow(w)
            return f(*ctx.factors)

        @staticmethod
        def backward(ctx, dy):
            with torch.enable_grad():
                factors = [v.detach().requires_grad_() for v in ctx.factors]
                return torch.autograd.grad(f(*factors), factors, narrow(dy))

    return Product.apply


def scores(p, image, narrow):
    conv1 = product(lambda x, w: F.conv2d(x, w, padding=1), narrow)
    conv2 = product(lambda x, w: F.conv2d(x, w, stride=2, padding=1), narrow)
    linear = product(lambda x, w: x @ w.T, narrow)
    h = conv1(image, p["net.conv1.weight"]) + p["net.conv1.bias"][:, None, None]
    h = conv2(h, p["net.conv2.weight"]) + p["net.conv2.bias"][:, None, None]
    return linear(h.flatten(1), p["net.out.weight"]) + p["net.out.bias"]


SHAPES = {"net.conv1.weight": (3, 2, 3, 3), "net.conv1.bias": (3,), "net.conv2.weight": (4, 3, 3, 3), "net.conv2.bias": (4,),
          "net.out.weight": (5, 16), "net.out.bias": (5,)}


def training(seed):
    """All tensors, and how close to a middle what was rounded came."""
    made = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=made).float().double()
    p = {k: normal(*shape).requires_grad_() for k, shape in SHAPES.items()}
    image, r, narrow = normal(4, 2, 4, 4), normal(4, 5), Rounding()
    rounded = scores(p, image, narrow)
    loss = (rounded * r).sum(1).mean()
    loss.backward()
    got = {k: v.detach().float() for k, v in p.items()}
    got.update({"data/image": image.float(), "data/r": r.float(), "loss": loss.detach()})
    got.update({"grad/" + k: v.grad.float() for k, v in p.items()})
    got.update({"trained/" + k: (v.detach() - 0.5 * v.grad).float() for k, v in p.items()})
    got.update({"rounded": rounded.float(), "value": scores(p, image, lambda x: x.detach()).float()})
    return {k: v.detach().contiguous().numpy() for k, v in got.items()}, narrow.closest


def write(out):
    seed, closest = 0, 0.0
    while closest < 5e-7:
        seed += 1
        values, closest = training(seed)
    save_file(values, os.path.join(out, "precision.safetensors"))
