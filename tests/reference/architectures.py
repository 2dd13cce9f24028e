"""More trainings, as trainings.py describes them: kinds of models that need a construct of their own, each written with
PyTorch's functions on its parameters by name.
"""
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import grad

import trainings as base
from trainings import BATCH, N, Training


class Params(nn.Module):
    """Parameters by name, normal with the given deviation; `w` gives them all."""

    def __init__(self, seed, **shapes):
        super().__init__()
        made = torch.Generator().manual_seed(seed)
        for name, (spread, *shape) in shapes.items():
            self.register_parameter(name.replace(".", "__"), nn.Parameter(spread * torch.randn(*shape, generator=made)))

    def named_parameters(self, *args, **options):
        for name, p in super().named_parameters(*args, **options):
            yield name.replace("__", "."), p

    def w(self):
        return dict(self.named_parameters())


def linears(*sizes):
    """Weights and biases of `l1` from sizes[0] to sizes[1], and so on."""
    shapes = {}
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        shapes[f"l{i + 1}.weight"] = (a ** -0.5, b, a)
        shapes[f"l{i + 1}.bias"] = (0.1, b)
    return shapes


def lin(w, name, x):
    return F.linear(x, w[name + ".weight"], w.get(name + ".bias"))


def sgd(net, lr=0.1):
    return torch.optim.SGD(net.parameters(), lr, foreach=False)


def tanh_net(w, x):
    return lin(w, "l2", torch.tanh(lin(w, "l1", x)))


def maml():
    """Finn et al. 2017: two inner steps, derived through."""
    t = Training(40)
    net = t.model("net", Params(40, **linears(1, 6, 1)))
    for name in ("xs", "ys", "xq", "yq"):
        t.normal(name, 5)

    def loss(b):
        w = net.w()
        for _ in range(2):
            inner = F.mse_loss(tanh_net(w, b["xs"][..., None])[..., 0], b["ys"])
            w = {k: v - 0.1 * g for (k, v), g in zip(w.items(), grad(inner, list(w.values()), create_graph=True))}
        return F.mse_loss(tanh_net(w, b["xq"][..., None])[..., 0], b["yq"])

    return base.learn(t, net, sgd(net), loss)


def sam():
    """Foret et al. 2020: the gradient where the loss is worst nearby, applied here."""
    t = Training(41)
    net = t.model("net", Params(41, **linears(4, 6, 3)))
    base.classes(t)

    def loss(b):
        w = net.w()
        slope = grad(F.cross_entropy(tanh_net(w, b["x"]), b["y"]), list(w.values()))
        length = torch.sqrt(sum((g * g).sum() for g in slope))
        there = {k: (v + 0.3 / length * g).detach().requires_grad_() for (k, v), g in zip(w.items(), slope)}
        sharp = grad(F.cross_entropy(tanh_net(there, b["x"]), b["y"]), list(there.values()))
        return sum((g * v).sum() for g, v in zip(sharp, w.values()))

    return base.learn(t, net, sgd(net), loss)


TRAININGS = [maml, sam]
