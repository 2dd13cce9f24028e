#!/usr/bin/env python3
"""Make the reference values that the numeric tests compare with, from PyTorch.

usage: make.py [OUT]        (OUT: this folder; `./bootstrap oracles` makes the environment and calls it)

Written, and committed so that the tests need no PyTorch (under 2 MB in all):
  EXAMPLE.init.safetensors         weights to start from, f32, under nnc's names
  EXAMPLE.grads.{f32,f64}.safetensors   gradients of the first batch's loss at those weights
  EXAMPLE.predict.{f32,f64}.safetensors `result`: what the entry predict says of the test rows after Adam's 20 steps
  losses.tsv                       a row for each run: example, f32|f64, the optimizer as .nn writes it, its losses
  tensors.safetensors              orders, and elements replaced and added to, likewise
  library.safetensors              activations, softmaxes and losses with their derivatives, f64
  net.init.safetensors, net.trained.{f32,f64}.safetensors   weights of tests/programs/layers.nn, what three steps of
                                   Sgd(lr = 0.03) in batches of 16 make of them and of the states, and the test rows' scores
  NAME.training.safetensors        trainings of models and losses of many kinds, by trainings.py (which says what they hold) and
                                  architectures.py
  trainings.tsv                    which of their tensors PyTorch's own f32 misses, and by how much
  cases.safetensors                the cases of the algebra with second derivatives: cases.py says what it holds
  images.safetensors               pictures of tests/data/images as Pillow decodes and PyTorch resizes them: images_reference.py
  tokenizers.safetensors           odd texts as tokens of the vocabularies in tests/data/tokenizers: tokenizers_reference.py
  precision.safetensors            a training whose products have factors in bf16: precision.py says what it holds
  layers.safetensors               convolutions, pooling, norms, attention ... with the derivatives of each argument, f64

Runs take the training rows in file order, 32 at a time, the last short batch too, epoch after epoch. The
statistics that standardise iris and diabetes are computed in the run's own precision, as nnc does.
"""
import csv
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import nn

import architectures
import cases
import images_reference
import precision
import tokenizers_reference
import trainings

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(HERE, "..", "..", "examples")
BATCH, STEPS = 32, 20
DTYPES = {"f32": torch.float32, "f64": torch.float64}

def nadam(parameters):
    """PyTorch's, but that the product of the momenta is not rounded to f32."""
    o = torch.optim.NAdam(parameters, 0.01, weight_decay=0.1, foreach=False)
    for p in o.param_groups[0]["params"]:
        o.state[p] = {"step": torch.tensor(0.0), "mu_product": torch.ones((), dtype=torch.float64),
                      "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
    return o


# Each optimizer as nnc's library spells it, and PyTorch's of the same meaning. All but the first two run on iris alone.
ADAM = ("Adam(lr = 1e-3)", lambda p: torch.optim.Adam(p, 1e-3, foreach=False))
SGD = ("Sgd(lr = 0.05)", lambda p: torch.optim.SGD(p, 0.05))
OTHERS = [
    ("Sgd(lr = 0.05, weight_decay = 0.1)", lambda p: torch.optim.SGD(p, 0.05, weight_decay=0.1)),
    ("Momentum(lr = 0.05, mu = 0.9)", lambda p: torch.optim.SGD(p, 0.05, momentum=0.9)),
    ("Momentum(lr = 0.05, mu = 0.8, weight_decay = 0.1, nesterov = true)",
     lambda p: torch.optim.SGD(p, 0.05, momentum=0.8, weight_decay=0.1, nesterov=True)),
    ("Sgd(lr = 0.05, momentum = 0.8, weight_decay = 0.1, nesterov = true)",
     lambda p: torch.optim.SGD(p, 0.05, momentum=0.8, weight_decay=0.1, nesterov=True)),
    ("Adam(lr = 0.01, beta1 = 0.8, beta2 = 0.99)", lambda p: torch.optim.Adam(p, 0.01, (0.8, 0.99), foreach=False)),
    ("Adam(lr = 0.01, weight_decay = 0.1)", lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1, foreach=False)),
    ("AdamW(lr = 0.01, weight_decay = 0.1)", lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1, foreach=False)),
    ("RMSprop(lr = 0.01)", lambda p: torch.optim.RMSprop(p, 0.01, foreach=False)),
    ("RMSprop(lr = 0.002, weight_decay = 0.1, momentum = 0.5, centered = true)",
     lambda p: torch.optim.RMSprop(p, 0.002, weight_decay=0.1, momentum=0.5, centered=True, foreach=False)),
    ("Adagrad(lr = 0.05, lr_decay = 0.1, weight_decay = 0.1, initial_accumulator_value = 0.2)",
     lambda p: torch.optim.Adagrad(p, 0.05, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.2, foreach=False)),
    ("Momentum(lr = 0.05, dampening = 0.3)", lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, dampening=0.3)),
    ("Adam(lr = 0.1, beta2 = 0.9, amsgrad = true)", lambda p: torch.optim.Adam(p, 0.1, (0.9, 0.9), amsgrad=True, foreach=False)),
    ("AdamW(lr = 0.1, beta2 = 0.9, amsgrad = true)", lambda p: torch.optim.AdamW(p, 0.1, (0.9, 0.9), amsgrad=True, foreach=False)),
    ("Adamax(lr = 0.01, weight_decay = 0.1)", lambda p: torch.optim.Adamax(p, 0.01, weight_decay=0.1, foreach=False)),
    ("NAdam(lr = 0.01, weight_decay = 0.1)", nadam),
    ("RAdam(lr = 0.01, weight_decay = 0.1)", lambda p: torch.optim.RAdam(p, 0.01, weight_decay=0.1, foreach=False)),
    ("Adadelta(lr = 0.5, weight_decay = 0.1)", lambda p: torch.optim.Adadelta(p, 0.5, weight_decay=0.1, foreach=False)),
    ("Rprop(lr = 0.01)", lambda p: torch.optim.Rprop(p, 0.01, foreach=False)),
    ("Adagrad(lr = 0.05)", lambda p: torch.optim.Adagrad(p, 0.05, foreach=False)),
]


# ---------------------------------------------------------------- the examples
class Net(nn.Module):
    """Two linear layers, as every example's Mlp; the parameters' names are fc1.weight and so on."""

    def __init__(self, inputs, hidden, outputs, activation):
        super().__init__()
        self.fc1, self.fc2, self.activation = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs), activation

    def forward(self, x):
        return self.fc2(self.activation(self.fc1(x)))


def rows(example, part):
    """A part's inputs and targets, in f64 as the text says."""
    with open(os.path.join(EXAMPLES, example, part + ".csv")) as f:
        table = np.array([[float(v) for v in row] for row in list(csv.reader(f))[1:]])
    return table[:, :-1], table[:, -1]


def standard(a, by):
    """a, standardised by the mean and the (biased) deviation of `by`."""
    mu = by.mean(0)
    return (a - mu) / ((by - mu) ** 2).mean(0).sqrt()


class Digits:
    name, seed = "digits", 1
    net = staticmethod(lambda: Net(64, 128, 10, torch.relu))
    inputs = staticmethod(lambda x, train: x / 16)
    targets = staticmethod(lambda y, train: y.long())
    loss = staticmethod(F.cross_entropy)
    predict = staticmethod(lambda scores, y: scores.argmax(1).int())


class Iris:
    name, seed = "iris", 2
    net = staticmethod(lambda: Net(4, 32, 3, torch.tanh))
    inputs = staticmethod(standard)
    targets = staticmethod(lambda y, train: y.long())
    loss = staticmethod(F.cross_entropy)
    predict = staticmethod(lambda scores, y: scores.argmax(1).int())


class Diabetes:
    name, seed = "diabetes", 3
    net = staticmethod(lambda: Net(10, 16, 1, torch.relu))
    inputs = staticmethod(standard)
    targets = staticmethod(standard)
    loss = staticmethod(lambda scores, y: F.mse_loss(scores[:, 0], y))
    predict = staticmethod(lambda scores, y: y.mean() + ((y - y.mean()) ** 2).mean().sqrt() * scores[:, 0])


class Run:
    """An example at its initial weights in one precision."""

    def __init__(self, example, dtype):
        torch.manual_seed(example.seed)
        self.example, self.net = example, example.net().to(dtype)      # drawn in f32: f64 starts from the same values
        (x, y), (xt, _) = ([torch.as_tensor(a).to(dtype) for a in rows(example.name, p)] for p in ("train", "test"))
        self.x, self.y, self.xt = example.inputs(x, x), example.targets(y, y), example.inputs(xt, x)
        self.raw_y = y

    def batches(self):
        while True:
            yield from zip(self.x.split(BATCH), self.y.split(BATCH))

    def losses(self, optimizer, steps):
        opt, out = optimizer(self.net.parameters()), []
        for _, (x, y) in zip(range(steps), self.batches()):
            opt.zero_grad()
            loss = self.example.loss(self.net(x), y)
            loss.backward()
            opt.step()
            out.append(loss.item())
        return out

    def predictions(self):
        return self.example.predict(self.net(self.xt), self.raw_y)

    def first_gradients(self):
        x, y = next(self.batches())
        self.example.loss(self.net(x), y).backward()
        return arrays({k: p.grad for k, p in self.net.named_parameters()})


def arrays(tensors):
    return {"net." + k: v.detach().numpy().copy() for k, v in tensors.items()}


def examples(out):
    table = []
    for e in (Digits, Iris, Diabetes):
        path = lambda what: os.path.join(out, f"{e.name}.{what}.safetensors")
        save_file(arrays(dict(Run(e, torch.float32).net.named_parameters())), path("init"))
        for precision, dtype in DTYPES.items():
            save_file(Run(e, dtype).first_gradients(), path("grads." + precision))
            run = Run(e, dtype)
            table.append((e.name, precision, ADAM[0], run.losses(ADAM[1], STEPS)))
            save_file({"result": run.predictions().detach().numpy()}, path("predict." + precision))
            table.append((e.name, precision, SGD[0], Run(e, dtype).losses(SGD[1], 3)))
    for spelling, optimizer in OTHERS:
        table.append(("iris", "f64", spelling, Run(Iris, torch.float64).losses(optimizer, STEPS)))
    with open(os.path.join(out, "losses.tsv"), "w") as f:
        f.write("# example, precision, optimizer, losses (17 digits): written by make.py\n")
        for name, precision, spelling, losses in table:
            f.write("\t".join([name, precision, spelling, " ".join("%.17g" % v for v in losses)]) + "\n")


# ---------------------------------------------------------------- the library
# Around every kink and bend, both tails, and beyond the range where exp overflows. Not on a kink,
# but for 0 and 1, and not just above 20, where PyTorch's softplus leaves the curve for the line too early.
POINTS = [0.0, 1e-3, -1e-3, 0.25, -0.25, 0.5, -0.5, 0.99, 1.0, 1.01, -1.0, 2.0, -2.0, 2.9, -2.9, 3.1, -3.1, 5.5, -5.5, 7.0, -7.0,
          20.0, -20.0, -25.0, 30.0, -30.0, 88.0, -88.0, 100.0, -100.0, 700.0, -700.0, 1000.0, -1000.0]
LOGITS = [[0.1, -0.2, 0.3, 0.0], [5.0, 5.0, 5.0, 5.0], [1000.0, 0.0, -1000.0, 1.0], [-1000.0, -1001.0, -1002.0, -1000.0],
          [88.8, -88.8, 0.5, 88.7], [1e-8, 0.0, -1e-8, 2e-8]]
LABELS = [0, 3, 1, 2, 1, 3]

ELEMENTWISE = {
    "relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "gelu": F.gelu, "silu": F.silu, "elu": F.elu,
    "leaky_relu": F.leaky_relu, "softplus": F.softplus, "logsigmoid": F.logsigmoid, "selu": F.selu, "mish": F.mish,
    "hardsigmoid": lambda x: F.hardtanh(x / 6 + 0.5, 0, 1),        # F.hardsigmoid's derivative has 1/6 rounded to f32
    "hardswish": F.hardswish, "softsign": F.softsign, "celu": lambda x: F.celu(x, 0.5), "tanhshrink": F.tanhshrink,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
}
# Of these the derivatives at the kinks and bounds too.
KINKS = [-6.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0]
KINKED = {
    "relu": torch.relu, "relu6": F.relu6, "hardtanh": F.hardtanh, "hardsigmoid": ELEMENTWISE["hardsigmoid"], "hardswish": F.hardswish,
    "softshrink": F.softshrink, "hardshrink": F.hardshrink, "threshold": lambda x: F.threshold(x, 0.5, 9.0), "leaky_relu": F.leaky_relu,
    "elu": F.elu, "selu": F.selu, "celu": F.celu, "clamp": lambda x: x.clamp(-1, 3),
}
ROWS = {
    "softmax": lambda s: F.softmax(s, -1), "log_softmax": lambda s: F.log_softmax(s, -1), "logsumexp": lambda s: s.logsumexp(-1),
    "cross_entropy": lambda s: F.cross_entropy(s, torch.tensor(LABELS), reduction="none"),
    "cross_entropy_smooth": lambda s: F.cross_entropy(s, torch.tensor(LABELS), reduction="none", label_smoothing=0.1),
    "multi_margin_loss": lambda s: F.multi_margin_loss(s, torch.tensor(LABELS), reduction="none"),
    "nll_loss": lambda s: F.nll_loss(s, torch.tensor(LABELS), reduction="none"), "softmin": lambda s: F.softmin(s, -1),
    "var": lambda s: s.var(-1), "std": lambda s: s.std(-1), "std_whole": lambda s: s.std(-1, correction=0),
}
# Distributions by their inverses, of numbers uniform in [0, 1).
UNIFORMS = [1 / 64, 0.1, 0.25, 0.5, 0.625, 0.9, 63 / 64]
SOME = torch.distributions.Normal(torch.tensor(0.5, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64))
LOW, HIGH = (SOME.cdf(torch.tensor(v, dtype=torch.float64)) for v in (-1.0, 3.0))
DRAWN = {
    "uniform": lambda u: 0.5 + 1.5 * u, "normal": lambda u: SOME.icdf(u), "laplace": lambda u: torch.distributions.Laplace(0.5, 2.0).icdf(u),
    "gumbel": lambda u: 0.5 - 2 * (-u.log()).log(),
    "trunc_normal": lambda u: SOME.icdf(LOW + (HIGH - LOW) * u), "exponential": lambda u: torch.distributions.Exponential(2.0).icdf(u),
    "cauchy": lambda u: torch.distributions.Cauchy(0.5, 2.0).icdf(u), "kaiming_normal": lambda u: torch.special.ndtri(u) * (2 / (1.25 * 10)) ** 0.5,
    "xavier_normal": lambda u: torch.special.ndtri(u) * 2 * (2 / 30) ** 0.5, "xavier_uniform": lambda u: (2 * u - 1) * 2 * (6 / 30) ** 0.5,
    "kaiming_uniform": lambda u: (2 * u - 1) * (6 / (1.25 * 10)) ** 0.5,
}
# Losses of a score x and a target t, under nnc's names; its bce takes scores, not probabilities.
PAIRS = {
    "bce": F.binary_cross_entropy_with_logits, "mse": F.mse_loss, "l1_loss": F.l1_loss, "huber_loss": F.huber_loss,
    "smooth_l1_loss": F.smooth_l1_loss,
}


def library(out):
    """NAME.value and NAME.grad (of a weighted sum of the values, the weights being `NAME.dy`)."""
    got = {}

    def record(name, f, x):
        x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        y = f(x)
        dy = torch.linspace(0.5, 1.5, y.numel(), dtype=torch.float64).reshape(y.shape)
        (y * dy).sum().backward()
        got.update({name + ".value": y.detach().numpy(), name + ".dy": dy.numpy(), name + ".grad": x.grad.numpy()})

    got["kinks"], got["uniforms"] = np.array(KINKS), np.array(UNIFORMS)
    got["points"], got["logits"], got["labels"] = np.array(POINTS), np.array(LOGITS), np.array(LABELS, np.int32)
    target = got["targets"] = np.linspace(0, 1, len(POINTS))
    for name, f in ELEMENTWISE.items():
        record(name, f, POINTS)
    for name, f in KINKED.items():
        record(name + "_kinks", f, KINKS)
    for name, f in DRAWN.items():
        record(name, f, UNIFORMS)
    for name, f in ROWS.items():
        record(name, f, LOGITS)
    for name, f in PAIRS.items():
        record(name, lambda x: f(x, torch.as_tensor(target), reduction="none"), POINTS)
    save_file({k: np.ascontiguousarray(v) for k, v in got.items()}, os.path.join(out, "library.safetensors"))


# ---------------------------------------------------------------- the layers
SIGNS = torch.tensor([1.0, -1.0] * 3, dtype=torch.float64)


def recurrent(kind, x, **weights):
    """All hidden states and half of the last state (an LSTM's cell), which every row of them gets."""
    layer = kind(x.shape[2], weights["weight_hh_l0"].shape[1], batch_first=True).double()
    y, last = torch.func.functional_call(layer, weights, (x,))
    return y + 0.5 * (last[1] if kind is torch.nn.LSTM else last).transpose(0, 1)


def gates(n):
    return dict(x=(5, 3), weight_ih_l0=(n * 4, 3), weight_hh_l0=(n * 4, 4), bias_ih_l0=(n * 4,), bias_hh_l0=(n * 4,))


def warp(x):
    """By the matrix 0.9 0.3, -0.2 1.1 in rows and columns, and a shift by 0.4 rows and -0.7 columns."""
    h, w = (n - 1 for n in x.shape[2:])
    theta = torch.tensor([[1.1, -0.2 * h / w, -1.4 / w], [0.3 * w / h, 0.9, 0.8 / h]], dtype=x.dtype)
    return F.grid_sample(x, F.affine_grid(theta[None].expand(len(x), 2, 3), x.shape, align_corners=True), align_corners=True)


# NAME: the function, then its arguments' shapes. x, the first, has PyTorch's leading dimension.
def turned(x, first):
    """Each pair as a complex number, times one of its position."""
    half = x.shape[-1] // 2
    rate = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = (first + torch.arange(x.shape[1], dtype=torch.float64))[:, None, None] * rate
    z = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([z.real, z.imag], -1)


def sinusoids(n, d):
    rate = 10000.0 ** (-2 * (torch.arange(d) // 2).double() / d)
    angle = torch.arange(n, dtype=torch.float64)[:, None] * rate
    return torch.where(torch.arange(d) % 2 == 0, angle.sin(), angle.cos())


def focal(s, y, alpha, gamma):
    """As torchvision's sigmoid_focal_loss has it."""
    p, entropy = s.sigmoid(), F.binary_cross_entropy_with_logits(s, y, reduction="none")
    right = p * y + (1 - p) * (1 - y)
    return (alpha * y + (1 - alpha) * (1 - y)) * entropy * (1 - right) ** gamma


LAYERS = {
    "conv1d": (lambda x, weight: F.conv1d(x, weight), dict(x=(3, 10), weight=(4, 3, 3))),
    "conv1d_stride": (lambda x, weight: F.conv1d(x, weight, stride=2, padding=2, dilation=2), dict(x=(2, 11), weight=(5, 2, 3))),
    "conv1d_groups": (lambda x, weight: F.conv1d(x, weight, padding=1, groups=3), dict(x=(6, 9), weight=(6, 2, 3))),
    "conv2d": (lambda x, weight: F.conv2d(x, weight, padding=1), dict(x=(3, 8, 7), weight=(4, 3, 3, 3))),
    "conv2d_stride": (lambda x, weight: F.conv2d(x, weight, stride=2, padding=1), dict(x=(3, 8, 7), weight=(4, 3, 3, 3))),
    "conv2d_dilation": (lambda x, weight: F.conv2d(x, weight, padding=2, dilation=2), dict(x=(2, 7, 8), weight=(3, 2, 3, 2))),
    "conv2d_groups": (lambda x, weight: F.conv2d(x, weight, padding=1, groups=2), dict(x=(4, 6, 7), weight=(6, 2, 3, 3))),
    "conv2d_depthwise": (lambda x, weight: F.conv2d(x, weight, stride=2, padding=1, groups=5), dict(x=(5, 7, 7), weight=(5, 1, 3, 3))),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), dict(x=(3, 8, 7))),
    "max_pool2d_overlap": (lambda x: F.max_pool2d(x, 3, stride=2, padding=1), dict(x=(3, 8, 7))),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2), dict(x=(3, 8, 7))),
    "avg_pool2d_overlap": (lambda x: F.avg_pool2d(x, 3, stride=2, padding=1), dict(x=(3, 8, 7))),
    "global_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1), dict(x=(5, 4, 6))),
    "global_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, 1).flatten(1), dict(x=(5, 4, 6))),
    "layer_norm": (lambda x, weight, bias: F.layer_norm(x, (7,), weight, bias), dict(x=(7,), weight=(7,), bias=(7,))),
    "rms_norm": (lambda x, weight: F.rms_norm(x, (7,), weight, 1e-5), dict(x=(7,), weight=(7,))),
    "group_norm": (lambda x, weight, bias: F.group_norm(x, 3, weight, bias), dict(x=(6, 4, 5), weight=(6,), bias=(6,))),
    "attention": (lambda x, k, v: F.scaled_dot_product_attention(x, k, v), dict(x=(5, 8), k=(6, 8), v=(6, 7))),
    "attention_causal": (lambda x, k, v: F.scaled_dot_product_attention(x, k, v, is_causal=True), dict(x=(6, 8), k=(6, 8), v=(6, 8))),
    "pad": (lambda x: F.pad(x, (2, 3), value=0.5), dict(x=(4, 5))),
    "pad2d": (lambda x: F.pad(x, (2, 2, 2, 2)), dict(x=(2, 4, 5))),
    "concat": (lambda x, b: torch.cat((x, b[None]), 1), dict(x=(3, 4), b=(2, 4))),
    "stack": (lambda x, b: torch.stack((x, b[None]), 1), dict(x=(3, 4), b=(3, 4))),
    "upsample_nearest2d": (lambda x: F.interpolate(x, scale_factor=2), dict(x=(3, 4, 5))),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), dict(x=(8, 3, 5))),
    "conv3d": (lambda x, weight: F.conv3d(x, weight, stride=2, padding=1), dict(x=(2, 5, 4, 6), weight=(3, 2, 3, 3, 3))),
    "conv3d_groups": (lambda x, weight: F.conv3d(x, weight, dilation=2, groups=2), dict(x=(4, 3, 4, 5), weight=(4, 2, 2, 2, 2))),
    "conv_transpose1d": (lambda x, weight: F.conv_transpose1d(x, weight, stride=2, padding=1, output_padding=1), dict(x=(3, 5), weight=(3, 4, 3))),
    "conv_transpose1d_groups": (lambda x, weight: F.conv_transpose1d(x, weight, stride=3, padding=2, groups=2, dilation=2), dict(x=(4, 5), weight=(4, 3, 4))),
    "conv_transpose2d": (lambda x, weight: F.conv_transpose2d(x, weight, stride=2, padding=1, output_padding=1), dict(x=(3, 4, 3), weight=(3, 2, 3, 3))),
    "conv_transpose2d_plain": (lambda x, weight: F.conv_transpose2d(x, weight), dict(x=(3, 4, 4), weight=(3, 2, 2, 3))),
    "conv_transpose2d_groups": (lambda x, weight: F.conv_transpose2d(x, weight, stride=3, groups=2, dilation=2), dict(x=(4, 3, 3), weight=(4, 2, 2, 3))),
    "conv_transpose3d": (lambda x, weight: F.conv_transpose3d(x, weight, stride=2, padding=1), dict(x=(2, 2, 3, 2), weight=(2, 3, 3, 3, 3))),
    "max_pool1d": (lambda x: F.max_pool1d(x, 3, stride=2, padding=1, dilation=2), dict(x=(3, 9))),
    "max_pool2d_dilation": (lambda x: F.max_pool2d(x, 2, stride=1, dilation=2), dict(x=(2, 6, 5))),
    "max_pool3d": (lambda x: F.max_pool3d(x, 2, padding=1), dict(x=(2, 4, 3, 5))),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 3, stride=2, padding=1), dict(x=(3, 9))),
    "avg_pool2d_inside": (lambda x: F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False), dict(x=(3, 8, 7))),
    "avg_pool3d": (lambda x: F.avg_pool3d(x, 2, stride=1, padding=1, count_include_pad=False), dict(x=(2, 3, 4, 2))),
    "adaptive_avg_pool1d": (lambda x: F.adaptive_avg_pool1d(x, 4), dict(x=(2, 10))),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, 3), dict(x=(2, 7, 5))),
    "adaptive_max_pool1d": (lambda x: F.adaptive_max_pool1d(x, 7), dict(x=(2, 5))),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, 3), dict(x=(2, 7, 6))),
    "resize_nearest": (lambda x: F.interpolate(x, size=(7, 3)), dict(x=(2, 4, 5))),
    "resize_bilinear": (lambda x: F.interpolate(x, size=(7, 3), mode="bilinear"), dict(x=(2, 4, 5))),
    "resize_bilinear_corners": (lambda x: F.interpolate(x, size=(3, 9), mode="bilinear", align_corners=True), dict(x=(2, 4, 5))),
    "resize_bicubic": (lambda x: F.interpolate(x, size=(7, 3), mode="bicubic"), dict(x=(2, 4, 5))),
    "resize_linear": (lambda x: F.interpolate(x, size=9, mode="linear"), dict(x=(3, 4))),
    "upsample_bilinear2d": (lambda x: F.interpolate(x, scale_factor=3, mode="bilinear"), dict(x=(2, 2, 3))),
    "upsample_nearest1d": (lambda x: F.interpolate(x, scale_factor=3), dict(x=(2, 4))),
    "upsample_nearest3d": (lambda x: F.interpolate(x, scale_factor=2), dict(x=(2, 2, 1, 3))),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, 2), dict(x=(2, 6, 4))),
    "channel_shuffle": (lambda x: F.channel_shuffle(x, 3), dict(x=(6, 2, 2))),
    "pad_reflect": (lambda x: F.pad(x, (2, 3), mode="reflect"), dict(x=(2, 4))),
    "pad_replicate": (lambda x: F.pad(x, (2, 3), mode="replicate"), dict(x=(2, 4))),
    "pad_circular": (lambda x: F.pad(x, (2, 3), mode="circular"), dict(x=(2, 4))),
    "instance_norm": (lambda x: F.instance_norm(x), dict(x=(3, 4, 5))),
    "local_response_norm": (lambda x: F.local_response_norm(x, 3, 0.1, 0.7, 2.0), dict(x=(6, 2, 3))),
    "glu": (lambda x: F.glu(x), dict(x=(3, 8))),
    "prelu": (lambda x, weight: F.prelu(x, weight), dict(x=(3, 2, 4), weight=(3,))),
    "bilinear": (lambda x, b, weight: F.bilinear(x, b[None], weight), dict(x=(3,), b=(5,), weight=(4, 3, 5))),
    "normalize": (lambda x: F.normalize(x), dict(x=(6,))),
    "cosine_similarity": (lambda x, b: F.cosine_similarity(x, b[None], -1), dict(x=(3, 6), b=(3, 6))),
    "pairwise_distance": (lambda x, b: F.pairwise_distance(x[0], b)[None], dict(x=(3, 6), b=(3, 6))),
    "cumprod": (lambda x: x.cumprod(-1), dict(x=(5,))),
    "kl_div": (lambda x, y: F.kl_div(x, y[None].sigmoid(), reduction="none"), dict(x=(6,), y=(6,))),
    "kl_div_log": (lambda x, y: F.kl_div(x, y[None], reduction="none", log_target=True), dict(x=(6,), y=(6,))),
    "binary_cross_entropy": (lambda x, y: F.binary_cross_entropy(x.sigmoid(), y[None].sigmoid(), reduction="none"), dict(x=(6,), y=(6,))),
    "binary_cross_entropy_with_logits": (lambda x, y: F.binary_cross_entropy_with_logits(x, y[None].sigmoid(), reduction="none"), dict(x=(6,), y=(6,))),
    "multilabel_soft_margin_loss": (lambda x, y: F.multilabel_soft_margin_loss(x[0], y.sigmoid(), reduction="none")[None], dict(x=(3, 4), y=(3, 4))),
    "mse_loss": (lambda x, y: F.mse_loss(x, y[None], reduction="none"), dict(x=(6,), y=(6,))),
    "l1_loss": (lambda x, y: F.l1_loss(x, y[None], reduction="none"), dict(x=(6,), y=(6,))),
    "huber_loss": (lambda x, y: F.huber_loss(x, y[None], reduction="none", delta=0.7), dict(x=(6,), y=(6,))),
    "smooth_l1_loss": (lambda x, y: F.smooth_l1_loss(x, y[None], reduction="none", beta=0.7), dict(x=(6,), y=(6,))),
    "poisson_nll_loss": (lambda x, y: F.poisson_nll_loss(x, y[None].exp(), full=True, reduction="none"), dict(x=(6,), y=(6,))),
    "poisson_nll_loss_rate": (lambda x, y: F.poisson_nll_loss(x.exp(), y[None], log_input=False, reduction="none"), dict(x=(6,), y=(6,))),
    "gaussian_nll_loss": (lambda x, y, v: F.gaussian_nll_loss(x, y[None], v[None].exp(), full=True, reduction="none"), dict(x=(6,), y=(6,), v=(6,))),
    "soft_margin_loss": (lambda x: F.soft_margin_loss(x, SIGNS[None], reduction="none"), dict(x=(6,))),
    "hinge_embedding_loss": (lambda x: F.hinge_embedding_loss(x, SIGNS[None], 0.8, reduction="none"), dict(x=(6,))),
    "margin_ranking_loss": (lambda x, b: F.margin_ranking_loss(x, b[None], SIGNS[None], 0.3, reduction="none"), dict(x=(6,), b=(6,))),
    "cosine_embedding_loss": (lambda x, b: F.cosine_embedding_loss(x[0], b, SIGNS, -0.2, reduction="none")[None], dict(x=(6, 3), b=(6, 3))),
    "triplet_margin_loss": (lambda x, p, n: F.triplet_margin_loss(x[0], p, n, reduction="none")[None], dict(x=(4, 5), p=(4, 5), n=(4, 5))),
    "triplet_margin_loss_swap": (lambda x, p, n: F.triplet_margin_loss(x[0], p, n, margin=2.0, swap=True, reduction="none")[None], dict(x=(4, 5), p=(4, 5), n=(4, 5))),
    "global_avg_pool1d": (lambda x: F.adaptive_avg_pool1d(x, 1).flatten(1), dict(x=(3, 5))),
    "global_max_pool1d": (lambda x: F.adaptive_max_pool1d(x, 1).flatten(1), dict(x=(3, 5))),
    "global_avg_pool3d": (lambda x: F.adaptive_avg_pool3d(x, 1).flatten(1), dict(x=(2, 3, 2, 4))),
    "global_max_pool3d": (lambda x: F.adaptive_max_pool3d(x, 1).flatten(1), dict(x=(2, 3, 2, 4))),
    "resize_nearest1d": (lambda x: F.interpolate(x, size=7), dict(x=(2, 4))),
    "warp": (warp, dict(x=(2, 5, 4))),
    "resize_cubic": (lambda x: F.interpolate(x[..., None].expand(-1, -1, -1, 3), size=(3, 3), mode="bicubic")[..., 1], dict(x=(2, 5))),
    "lerp": (lambda x, b, w: torch.lerp(x, b, w), dict(x=(4,), b=(4,), w=(4,))),
    "dot": (lambda x, b: (x * b).sum(-1), dict(x=(3, 4), b=(3, 4))),
    "rnn": (lambda **a: recurrent(torch.nn.RNN, **a), gates(1)),
    "lstm": (lambda **a: recurrent(torch.nn.LSTM, **a), gates(4)),
    "gru": (lambda **a: recurrent(torch.nn.GRU, **a), gates(3)),
    "mv": (lambda x, b: x @ b, dict(x=(3, 4), b=(4,))),
    "grid_sample": (lambda x, grid: F.grid_sample(x, 0.7 * grid[None], align_corners=False), dict(x=(2, 5, 4), grid=(3, 4, 2))),
    "grid_sample_corners": (lambda x, grid: F.grid_sample(x, 0.7 * grid[None], align_corners=True), dict(x=(2, 5, 4), grid=(3, 4, 2))),
    "rotary": (lambda x: turned(x, 3), dict(x=(5, 2, 6))),
    "sinusoidal": (lambda x: x + sinusoids(5, 7), dict(x=(5, 7))),
    "sigmoid_focal_loss": (lambda x, y: focal(x, y[None].sigmoid(), 0.3, 1.5), dict(x=(6,), y=(6,))),
}


# What is not a layer: positions and orders, replacing and adding at places. An argument `i...` is of positions below 4; of a
# name with `ties` the numbers are multiples of 1/2.
def add_at(x, i, v):
    return x.index_add(1, i.long(), v[None])


def along(f, x, v):
    return torch.func.jvp(f, (x,), (v[None],))[1]


def rolled(x, w):
    """h2 = tanh(x[t] + w h) from h = 0; x of a batch of one."""
    h, kept = torch.zeros_like(x[:, 0]), []
    for t in range(x.shape[1]):
        h = torch.tanh(x[:, t] + h @ w.T)
        kept.append(h)
    return torch.stack(kept, 1), h


def rolled_product(x, w):
    y, last = rolled(x, w)
    return y * last[:, None]


def rolled_loss(x, w):
    y, last = rolled(x, w)
    return y.sin().sum() + (last[:, 0] * last[:, 2]).sum()


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, dy):
        return -0.5 * dy


def descent(x, start):
    def energy(h, row):
        return ((h * row - 1) ** 2).sum() + (h.sin() * h.roll(-1)).sum()

    def one(rows):
        h, kept = start, []
        for row in rows:
            slope_h, slope_row = torch.func.grad(energy, (0, 1))(h, row)
            kept.append(slope_row * h + h.cos() * row * row)
            h = h - 0.1 * slope_h
        return torch.stack(kept) + h

    return torch.stack([one(rows) for rows in x])


def sorted_steps(x):
    h, kept = torch.zeros_like(x[:, 0]), []
    for t in range(x.shape[1]):
        h = (x[:, t] + 0.5 * h).sort(stable=True).values
        kept.append(h)
    return torch.stack(kept, 1)


def reversed_steps(x):
    h, kept = torch.full_like(x[:, 0], 0.5), []
    for t in range(x.shape[1]):
        kept.append(h * x[:, t])
        h = Reversed.apply((x[:, t] + h).sin())
    return torch.stack(kept, 1)


def smoothed(x):
    """Sums of 0.5 ** (t - s) x[s], with three times the derivative."""
    t = torch.arange(x.shape[1], dtype=torch.float64)
    y = x @ torch.where(t[:, None] <= t, 0.5 ** (t - t[:, None]), 0.0)
    return 3 * y - 2 * y.detach()


TENSORS = {
    "sort": (lambda x: x.sort(stable=True).values, dict(x=(3, 9))),
    "sort_descending": (lambda x: x.sort(stable=True, descending=True).values, dict(x=(60,))),
    "sort_ties": (lambda x: x.sort(stable=True).values, dict(x=(3, 9))),
    "sort_columns": (lambda x: x.sort(stable=True, dim=1).values, dict(x=(7, 3))),
    "sort_by_ties": (lambda x, b: b[None].gather(1, x.argsort(stable=True, descending=True)), dict(x=(9,), b=(9,))),
    "top_k": (lambda x: x.topk(3).values, dict(x=(2, 9))),
    "top_k_ties": (lambda x: x.sort(stable=True, descending=True).values[..., :3], dict(x=(2, 9))),
    "top_k_twice": (lambda x: x.topk(4).values.square() * x.topk(4, largest=False).values, dict(x=(3, 9))),
    "update": (lambda x, v: torch.cat((x[:, :2], v[None, None], x[:, 3:]), 1), dict(x=(5, 4), v=(4,))),
    "add_at": (add_at, dict(x=(4, 5), i=(7,), v=(7, 5))),
    "jvp_softmax": (lambda x, v: along(lambda x: x.softmax(-1), x, v), dict(x=(6,), v=(6,))),
    "jvp_choices": (lambda x, v: along(lambda x: x.max(1).values * x.prod(2) + x.sort(dim=2, stable=True, descending=True).values.flip(-1), x, v), dict(x=(4, 4), v=(4, 4))),
    "jvp_of_grad": (lambda x, v: along(torch.func.grad(lambda x: (x.softmax(-1) * x.sin()).sum()), x, v), dict(x=(2, 5), v=(2, 5))),
    "own_reversed": (lambda x: Reversed.apply(x * x).sin(), dict(x=(6,))),
    "own_product": (lambda x, b, v: torch.func.jvp(lambda b: torch.func.grad(lambda x: (x @ b).sin().sum())(x), (b,), (v,))[1],
                    dict(x=(3, 4), b=(4, 5), v=(4, 5))),
    "add_at_many": (lambda x, i, v: x.index_add(1, i.long(), v[None]), dict(x=(70,), i=(9,), v=(9,))),
    "jvp_scan": (lambda x, b, v: along(lambda x: rolled_product(x, b), x, v), dict(x=(5, 4), b=(4, 4), v=(5, 4))),
    "jvp_scan_weights": (lambda x, b, v: torch.func.jvp(lambda b: torch.func.grad(lambda b: rolled_loss(x, b))(b), (b,), (v,))[1][None],
                         dict(x=(4, 4), b=(4, 4), v=(4, 4))),
    "scan_descent": (lambda x, b: descent(x, b), dict(x=(5, 4), b=(4,))),
    "scan_sort": (sorted_steps, dict(x=(4, 9))),
    "scan_own": (reversed_steps, dict(x=(5, 4))),
    "reshape": (lambda x: x.reshape(-1, 3, 4, 2) * x.transpose(1, 2).reshape(-1, 3, 4, 2), dict(x=(4, 6))),
    "split": (lambda x: x.split([2, 3, 2], 2)[0][:, 3:] * x.split([2, 3, 2], 2)[2][:, :3] * x.split(3, 1)[1][..., :2], dict(x=(6, 7))),
    "joined": (lambda x, b: torch.stack([torch.cat([x, b[None], x], 2), torch.cat([b[None], x, x], 2)], 3), dict(x=(2, 3, 4), b=(2, 2, 4))),
    "own_scan": (lambda x: torch.autograd.grad((smoothed(x.sin()) ** 2).sum(), x, create_graph=True)[0] + smoothed(x * x), dict(x=(6,))),
}


def arguments(rng, name, shapes):
    unit = 2 if "ties" in name else 64  # multiples of 1/64: f32 starts from the same numbers
    for arg, shape in shapes.items():
        x = rng.standard_normal((2, *shape))
        if arg.startswith("i"):
            yield arg, torch.tensor(np.floor(np.abs(x) * 8) % 4, dtype=torch.int32)
        else:
            yield arg, torch.tensor(np.round(x * unit) / unit, requires_grad=True)


def layers(out, table, file, seed):
    """NAME.ARGUMENT for two examples; NAME.value, and NAME.grad.ARGUMENT of the sum of the values times NAME.dy."""
    got, rng = {}, np.random.default_rng(seed)
    for name, (f, shapes) in table.items():
        args = dict(arguments(rng, name, shapes))
        # One example after the other, each with its own weights; functions get the leading dimension of one.
        y = torch.cat([f(**{k: v[i:i + 1] if k == "x" else v[i] for k, v in args.items()}) for i in range(2)])
        dy = torch.tensor(np.round(rng.standard_normal(y.shape) * 64) / 64)
        (y * dy).sum().backward()
        got.update({f"{name}.value": y.detach().numpy(), f"{name}.dy": dy.numpy()})
        for arg, v in args.items():
            got[f"{name}.{arg}"] = v.detach().numpy()
            if v.requires_grad:
                got[f"{name}.grad.{arg}"] = v.grad.numpy() if v.grad is not None else np.zeros(v.shape)
    save_file({k: np.ascontiguousarray(v) for k, v in got.items()}, os.path.join(out, file))


# ---------------------------------------------------------------- the layers' models
class Mlp(nn.Module):
    def __init__(self, d, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(d, hidden), nn.Linear(hidden, d)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class LayersNet(nn.Module):
    """tests/programs/layers.nn"""

    def __init__(self, d=8):
        super().__init__()
        self.fc = nn.Linear(4, 48)
        self.wide = nn.Conv1d(3, 6, 3, stride=2, padding=2, dilation=2, groups=3)
        self.deep = nn.Conv2d(1, 6, 3, padding=1, bias=False)
        self.bn1, self.bn2, self.gn = nn.BatchNorm1d(48), nn.BatchNorm2d(6), nn.GroupNorm(3, 6)
        self.token, self.mix = nn.Embedding(5, d), nn.MultiheadAttention(d, 2, batch_first=True)
        self.ln, self.mlp, self.rms, self.out = nn.LayerNorm(d), Mlp(d, 16), nn.RMSNorm(d, eps=1e-5), nn.Linear(d + 21, 3)
        self.other, self.pairs = nn.MultiheadAttention(d, 2, batch_first=True), nn.Bilinear(4, 6, 5)
        self.solid, self.bn3 = nn.Conv3d(1, 4, 2, padding=1), nn.BatchNorm3d(4)
        self.up = nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1, groups=2)
        self.own, self.slope, self.curve = nn.InstanceNorm2d(4, affine=True), nn.PReLU(4), nn.PReLU()
        self.up1, self.own1 = nn.ConvTranspose1d(6, 2, 3, stride=2, dilation=2), nn.InstanceNorm1d(2)
        self.up3, self.own3 = nn.ConvTranspose3d(4, 2, 2, stride=2, bias=False), nn.InstanceNorm3d(2, affine=True)

    def forward(self, x):
        h = self.bn1(self.fc(x))
        a = self.wide(h.view(-1, 3, 16)).relu()
        c = F.max_pool2d(self.gn(self.bn2(self.deep(h.relu().view(-1, 1, 6, 8))).relu()), 2)
        e = self.token((x * 2).floor().long() % 5)
        q, future = self.ln(e), torch.ones(4, 4, dtype=torch.bool).triu(1)
        e = e + self.mix(q, q, q, attn_mask=future, need_weights=False)[0]
        e = e + self.other(e, self.ln(e), e, need_weights=False)[0]
        e = self.rms(e + self.mlp(e))
        v = self.bn3(self.solid(h.view(-1, 1, 3, 4, 4))).relu()
        wide = self.slope(self.own(self.up(c))).amax((2, 3))
        pairs = self.pairs(v.amax((2, 3, 4)) + wide, c.mean((2, 3)))
        long, large = self.curve(self.own1(self.up1(a))).amax(2), self.own3(self.up3(v)).relu().mean((2, 3, 4))
        return self.out(torch.cat((e.mean(1), c.mean((2, 3)), a.mean(2), pairs, long, large), 1))


def models(out):
    for precision, dtype in DTYPES.items():
        torch.manual_seed(5)
        net = LayersNet()
        with torch.no_grad():                              # nothing stays at 0 or 1
            for p in net.parameters():
                p += 0.1 * torch.randn_like(p)
        save_file(arrays(dict(net.named_parameters())), os.path.join(out, "net.init.safetensors"))
        net = net.to(dtype)
        (x, y), (xt, _) = ([torch.as_tensor(a) for a in rows("iris", p)] for p in ("train", "test"))
        optimizer = torch.optim.SGD(net.parameters(), 0.03)
        for _, xs, ys in zip(range(3), (x.to(dtype) / 4).split(16), y.long().split(16)):
            optimizer.zero_grad()
            F.cross_entropy(net(xs), ys).backward()
            optimizer.step()
        net.eval()
        states = {"state/net." + k: v.numpy() for k, v in net.named_buffers() if "running" in k}
        save_file({**arrays(dict(net.named_parameters())), **states, "score": net(xt.to(dtype) / 4).softmax(1).detach().numpy()},
                  os.path.join(out, f"net.trained.{precision}.safetensors"))


def main():
    torch.set_num_threads(1)
    out = sys.argv[1] if len(sys.argv) > 1 else HERE
    save_file(images_reference.make(), os.path.join(out, "images.safetensors"))
    save_file(tokenizers_reference.make(), os.path.join(out, "tokenizers.safetensors"))
    examples(out)
    library(out)
    layers(out, LAYERS, "layers.safetensors", 4)
    layers(out, TENSORS, "tensors.safetensors", 6)
    models(out)
    cases.write(out)
    precision.write(out)
    trainings.trainings(out, trainings.TRAININGS + architectures.TRAININGS)


if __name__ == "__main__":
    main()
