"""More trainings, as trainings.py describes them: kinds of models that need a construct of their own, each written with
PyTorch's functions on its parameters by name.
"""
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import grad

import trainings as base
from trainings import Training


class Params(nn.Module):
    """Parameters by name, normal with the given deviation; `w` gives them all."""

    def __init__(self, seed, **shapes):
        super().__init__()
        made = torch.Generator().manual_seed(seed)
        for name, (spread, *shape) in shapes.items():
            self.register_parameter(name.replace(".", "__"), nn.Parameter(spread * torch.randn(shape, generator=made)))

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


def silu_net(w, name, x):
    return lin(w, name + ".l2", F.silu(lin(w, name + ".l1", x)))


def named(prefix, shapes):
    return {f"{prefix}.{k}": v for k, v in shapes.items()}


def field(seed, shapes, prepare, f, lr=0.1, target=None):
    """A training of `net` by F.mse_loss or cross_entropy of f(w, batch), which is also what `predict` says."""
    t = Training(seed)
    net = t.model("net", Params(seed, **shapes))
    prepare(t)
    target = target or (lambda b, y: F.mse_loss(y, b["y"]))
    return base.learn(t, net, sgd(net, lr), lambda b: target(b, f(net.w(), b)), lambda d: {"result": f(net.w(), d)})


def classify(b, y):
    return F.cross_entropy(y, b["y"])


def moe():
    t = Training(42)
    shapes = {"router.weight": (0.5, 5, 4), "head.weight": (0.5, 3, 4), "head.bias": (0.1, 3)}
    for e in range(5):
        shapes.update(named(f"experts.{e}", linears(4, 6, 4)))
    net = t.model("net", Params(42, **shapes))
    base.classes(t)

    def scores(w, x):
        p = lin(w, "router", x).softmax(-1)
        share, at = p.topk(2, -1)
        share = share / share.sum(-1, keepdim=True)
        y = x
        for e in range(5):
            y = y + (share * (at == e)).sum(-1, keepdim=True) * silu_net(w, f"experts.{e}", x)
        used = torch.stack([(at == e).to(x.dtype).mean() for e in range(5)])
        return lin(w, "head", y), 5 * (used * p.mean(0)).sum()

    def loss(b):
        y, balance = scores(net.w(), b["x"])
        return F.cross_entropy(y, b["y"]) + 0.1 * balance

    return base.learn(t, net, sgd(net), loss, lambda d: {"result": scores(net.w(), d["x"])[0]})


def rms_norm(w, name, x):
    return F.rms_norm(x, x.shape[-1:], w[name + ".weight"], 1e-5)


def turned(x):
    half = x.shape[-1] // 2
    e, places = torch.arange(half, dtype=torch.float64), torch.arange(x.shape[1], dtype=torch.float64)
    angle = (places[:, None] * 10000.0 ** (-e / half))[:, None].to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


def llama():
    shapes = {"token.weight": (1, 9, 8), "norm.weight": (1, 8)}
    for k in range(2):
        shapes.update(named(f"blocks.{k}", {"norm1.weight": (1, 8), "norm2.weight": (1, 8), "q.weight": (0.4, 8, 8),
                                            "k.weight": (0.4, 4, 8), "v.weight": (0.4, 4, 8), "o.weight": (0.4, 8, 8),
                                            "gate.weight": (0.4, 12, 8), "up.weight": (0.4, 12, 8), "down.weight": (0.3, 8, 12)}))

    def f(w, b):
        n, t = b["t"].shape
        x = w["token.weight"][b["t"]]
        for k in range(2):
            def part(name, h):
                return lin(w, f"blocks.{k}.{name}", h)
            h = rms_norm(w, f"blocks.{k}.norm1", x)
            q, key, v = turned(part("q", h).reshape(n, t, 2, 4)), turned(part("k", h).reshape(n, t, 1, 4)), part("v", h)
            a = F.scaled_dot_product_attention(q.transpose(1, 2), key.expand(n, t, 2, 4).transpose(1, 2),
                                               v[:, None].expand(n, 2, t, 4), is_causal=True)
            x = x + part("o", a.transpose(1, 2).reshape(n, t, 8))
            h = rms_norm(w, f"blocks.{k}.norm2", x)
            x = x + part("down", F.silu(part("gate", h)) * part("up", h))
        return rms_norm(w, "norm", x) @ w["token.weight"].T

    return field(43, shapes, lambda t: t.integers("t", 9, 6), f,
                 target=lambda b, y: F.cross_entropy(y[:, :5].flatten(0, 1), b["t"][:, 1:].flatten()))


def mamba():
    shapes = {"enter.weight": (0.5, 16, 4), "kernel": (0.5, 8, 3), "read.weight": (0.4, 8, 8), "pace.weight": (0.5, 8, 2),
              "pace.bias": (0.5, 8), "decay": (0.5, 8, 3), "skip": (1, 8), "leave.weight": (0.4, 4, 8)}

    def f(w, b):
        u, z = lin(w, "enter", b["x"]).chunk(2, -1)
        u = F.silu(F.conv1d(F.pad(u.transpose(1, 2), (2, 0)), w["kernel"][:, None], groups=8)).transpose(1, 2)
        s = lin(w, "read", u)
        dt = F.softplus(lin(w, "pace", s[..., :2]))
        m, rows = torch.zeros(u.shape[0], 8, 3, dtype=u.dtype), []
        for t in range(7):
            m = torch.exp(-dt[:, t, :, None] * w["decay"].exp()) * m + (dt[:, t] * u[:, t])[..., None] * s[:, t, None, 2:5]
            rows.append(w["skip"] * u[:, t] + (m * s[:, t, None, 5:]).sum(-1))
        return lin(w, "leave", torch.stack(rows, 1) * F.silu(z))

    return field(44, shapes, lambda t: (t.normal("x", 7, 4), t.normal("y", 7, 4)), f)


def s4():
    shapes = {"pace": (1, 3), "decay": (0.5, 3, 2), "turn": (2, 3, 2), "re": (0.7, 3, 2), "im": (0.7, 3, 2),
              "mix.weight": (0.5, 6, 3), "mix.bias": (0.1, 6)}

    def f(w, b):
        rate = torch.complex(-w["decay"].exp(), w["turn"]) * w["pace"].exp()[:, None]
        c = torch.complex(w["re"], w["im"])
        kernel = 2 * (c[..., None] * torch.exp(rate[..., None] * torch.arange(9))).sum(1).real
        y = F.conv1d(F.pad(b["x"].transpose(1, 2), (8, 0)), kernel.flip(1)[:, None], groups=3).transpose(1, 2)
        return F.glu(lin(w, "mix", F.gelu(y)), -1)

    return field(45, shapes, lambda t: (t.normal("x", 9, 3), t.normal("y", 9, 3)), f)


def crf():
    t = Training(46)
    net = t.model("net", Params(46, **{"scores.weight": (0.5, 4, 5), "scores.bias": (0.1, 4), "step": (0.5, 4, 4), "first": (0.5, 4)}))
    t.normal("x", 6, 5), t.integers("y", 4, 6)

    def chains(w, s, join):
        a = w["first"] + s[:, 0]
        best = []
        for k in range(1, 6):
            best.append((a[:, :, None] + w["step"]).argmax(1))
            a = join(a[:, :, None] + w["step"]) + s[:, k]
        return a, best

    def every(s):
        return torch.logsumexp(chains(net.w(), s, lambda a: torch.logsumexp(a, 1))[0], 1)

    def loss(b):
        w, y = net.w(), b["y"]
        s = lin(w, "scores", b["x"])
        chain = w["first"][y[:, 0]] + s.gather(2, y[..., None])[..., 0].sum(1) + w["step"][y[:, :-1], y[:, 1:]].sum(1)
        return (every(s) - chain).mean()

    def predict(d):
        s = lin(net.w(), "scores", d["x"])
        a, best = chains(net.w(), s, lambda a: a.amax(1))
        tags = [a.argmax(1)]
        for from_ in reversed(best):
            tags.append(from_.gather(1, tags[-1][:, None])[:, 0])
        return {"tags": torch.stack(tags[::-1], 1).int(), "all": every(s)}

    return base.learn(t, net, sgd(net), loss, predict)


def gat():
    shapes = {"inner.weight": (0.5, 4, 3), "inner.bias": (0.1, 4), "outer.weight": (0.5, 8, 4), "sends": (0.5, 2, 4), "takes": (0.5, 2, 4),
              "head.weight": (0.5, 2, 8), "head.bias": (0.1, 2)}

    def prepare(t):
        t.normal("x", 6, 3), t.integers("a", 6, 14), t.integers("b", 6, 14), t.integers("y", 2, 6)
        t.data["b"][:, :6] = torch.arange(6)     # each node has an edge

    def f(w, d):
        n = d["x"].shape[0]
        row = torch.arange(n)[:, None].expand(n, 14)
        a, b = (row, d["a"]), (row, d["b"])
        h = lin(w, "inner", d["x"])
        degree = 1 + torch.stack([torch.bincount(k, minlength=6) for k in d["b"]]).to(h.dtype)
        x = torch.tanh((h / degree[..., None]).index_put(b, h[a] / torch.sqrt(degree[a] * degree[b])[..., None], accumulate=True))
        h = lin(w, "outer", x).reshape(n, 6, 2, 4)
        s = F.leaky_relu((h[a] * w["sends"]).sum(-1) + (h[b] * w["takes"]).sum(-1), 0.2).exp()
        p = s / torch.zeros(n, 6, 2, dtype=h.dtype).index_put(b, s, accumulate=True)[b]
        y = torch.zeros_like(h).index_put(b, p[..., None] * h[a], accumulate=True)
        return lin(w, "head", F.elu(y.reshape(n, 6, 8)))

    return field(47, shapes, prepare, f, target=lambda b, y: F.cross_entropy(y.flatten(0, 1), b["y"].flatten()))


def langevin():
    t = Training(48)
    net = t.model("net", Params(48, **linears(4, 6, 1), **{"tree.gate.weight": (0.5, 3, 4), "tree.gate.bias": (0.1, 3), "tree.leaf": (0.5, 4)}))
    t.normal("x", 4), t.normal("z", 4)

    def energy(w, x):
        return lin(w, "l2", F.silu(lin(w, "l1", x)))[:, 0] + 0.1 * (x * x).sum(1)

    def descended(w, x, keep):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            for _ in range(5):
                x = x - 0.3 * grad(energy(w, x).sum(), x, create_graph=keep)[0]
        return x

    def tree(w, x):
        g = torch.sigmoid(lin(w, "tree.gate", x))
        left, right = g[:, 0] * 0 + 1 - g[:, 0], g[:, 0]
        p = torch.stack([left * (1 - g[:, 1]), left * g[:, 1], right * (1 - g[:, 2]), right * g[:, 2]], 1)
        return p @ w["tree.leaf"]

    def loss(b):
        w = net.w()
        high, low = energy(w, descended(w, b["z"], False).detach()), energy(w, b["x"])
        derived = tree(w, descended(w, b["x"], True))
        return low.mean() - high.mean() + 0.1 * (low ** 2 + high ** 2).mean() + (derived ** 2).mean()

    return base.learn(t, net, sgd(net), loss, lambda d: {"result": descended(net.w(), d["z"], False).detach()})


def between(img, at):
    n, c, h, width = img.shape
    low = at.floor().detach()
    f, y = at - low, 0
    for k in range(2):
        for m in range(2):
            i, j = (low[..., 0] + k).long(), (low[..., 1] + m).long()
            inside = ((i >= 0) & (i < h) & (j >= 0) & (j < width)).to(img.dtype)
            place = (i.clamp(0, h - 1) * width + j.clamp(0, width - 1))[:, None].expand(-1, c, -1)
            share = (f[..., 0] if k else 1 - f[..., 0]) * (f[..., 1] if m else 1 - f[..., 1]) * inside
            y = y + img.flatten(2).gather(2, place) * share[:, None]
    return y


def sampling():
    shapes = {"turn.weight": (0.1, 6, 25), "turn.bias": (0.2, 6), "edges.weight": (0.3, 3, 1, 3, 3), "edges.bias": (0.1, 3),
              "away.weight": (0.5, 8, 3, 1, 1), "away.bias": (0.2, 8), "mix": (0.5, 4, 3, 4), "head.weight": (0.5, 3, 4), "head.bias": (0.1, 3)}

    def f(w, b):
        x = b["x"]
        n, a = x.shape[0], lin(w, "turn", x.flatten(1)).reshape(-1, 2, 3) + torch.eye(2, 3).to(x.dtype)
        p = torch.arange(25)
        spot = torch.stack([p // 5 - 2, p % 5 - 2, torch.ones(25)], 1).to(x.dtype)
        h = torch.tanh(F.conv2d(between(x, spot @ a.transpose(1, 2) + 2).reshape(n, 1, 5, 5), w["edges.weight"], w["edges.bias"], padding=1))
        o = F.conv2d(h, w["away.weight"], w["away.bias"]).reshape(n, 4, 2, 25).permute(0, 3, 1, 2)
        k = torch.arange(4)
        square = torch.stack([(p // 5)[:, None] + k // 2, (p % 5)[:, None] + k % 2], -1).to(x.dtype)
        v = between(h, (o + square).reshape(n, 100, 2)).reshape(n, 3, 25, 4)
        return lin(w, "head", torch.tanh(torch.einsum("fck,bcpk->bpf", w["mix"], v)).mean(1))

    return field(49, shapes, lambda t: (t.normal("x", 1, 5, 5), t.integers("y", 3)), f, target=classify)


def kalman():
    t = Training(50)
    net = t.model("net", Params(50, f=(0.5, 3, 3), h=(0.5, 2, 3), q=(0.5, 3), r=(0.5, 2)))
    t.normal("z", 6, 2)

    def f(z):
        w = net.w()
        x, p, likelihood = z.new_zeros(z.shape[0], 3), torch.eye(3).to(z.dtype), 0
        for k in range(6):
            there, spread = x @ w["f"].T, w["f"] @ p @ w["f"].T + torch.diag(w["q"].exp())
            s = w["h"] @ spread @ w["h"].T + torch.diag(w["r"].exp())
            gain, off = spread @ w["h"].T @ torch.linalg.inv(s), z[:, k] - there @ w["h"].T
            x, p = there + off @ gain.T, spread - gain @ w["h"] @ spread
            likelihood = likelihood - 0.5 * (torch.logdet(s) + torch.einsum("bi,ij,bj->b", off, torch.linalg.inv(s), off))
        return likelihood, x

    return base.learn(t, net, sgd(net, 0.02), lambda b: -f(b["z"])[0].mean(), lambda d: dict(zip(("likelihood", "result"), f(d["z"]))))


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode, self.again = nn.GRU(3, 4, batch_first=True), nn.LSTM(4, 4, batch_first=True)
        self.query, self.key = nn.Linear(4, 3, bias=False), nn.Linear(4, 3, bias=False)
        self.score = nn.Parameter(3 * torch.randn(3))
        self.cell, self.gate, self.head = nn.LSTMCell(6, 4), nn.GRUCell(4, 4), nn.Linear(8, 2)

    def forward(self, x, y):
        h, last = self.encode(torch.roll(x, 1, 1))
        z, _ = self.again(h, (last, 0.5 * last))
        keys, g, c, out = 4 * self.key(z), last[0], torch.zeros_like(last[0]), []
        for s in range(4):
            p = (torch.tanh(keys + self.query(g)[:, None]) @ self.score).softmax(1)
            seen = (p[..., None] * z).sum(1)
            before = y[:, s - 1] if s else torch.zeros_like(y[:, 0])
            g, c = self.cell(torch.cat([before, seen], 1), (g, c))
            turned = self.gate(seen, g)
            scale = 1 + seen.std(1, keepdim=True) + seen.var(1, keepdim=True, correction=0)
            out.append(self.head(torch.cat([turned, seen], 1)) / scale)
        return torch.stack(out, 1)


def attentive():
    """Muon as PyTorch has it, but that its iterations are not rounded to bfloat16."""
    t = Training(55)
    net = t.model("net", Attentive())
    t.normal("x", 5, 3), t.normal("y", 4, 2), t.uniform("t", 4, 2)
    t.start()
    muon = torch.optim.Muon([
        {"params": [net.query.weight]},
        {"params": [net.key.weight], "nesterov": False, "weight_decay": 0.0},
        {"params": [net.head.weight], "momentum": 0.9},
        {"params": [net.cell.weight_ih], "lr": 0.01}], 0.02)
    there = {id(p) for group in muon.param_groups for p in group["params"]}
    others = torch.optim.SGD([p for n, p in net.named_parameters() if id(p) not in there], 0.1)
    narrow = torch.bfloat16
    for b in t.batches():
        net.zero_grad()
        base.bce(net(b["x"], b["y"]), b["t"], pos_weight=torch.tensor(1.5).to(base.REAL)).backward()
        t.gradients("net")
        torch.bfloat16 = base.REAL
        muon.step()
        torch.bfloat16 = narrow
        others.step()
    t.got["value/result"] = net(t.data["x"], t.data["y"]).detach().numpy()
    return t


def flow():
    """The prior's step sees the flow after its own."""
    t = Training(56)
    shapes = {}
    for k in range(3):
        for name, (a, b) in {"inner": (4, 5), "scale": (5, 4), "shift": (5, 4)}.items():
            shapes.update({f"layers.{k}.{name}.weight": (a ** -0.5, b, a), f"layers.{k}.{name}.bias": (0.1, b)})
        shapes[f"layers.{k}.bound"] = (0.2, 1)
    net, prior = t.model("net", Params(56, **shapes)), t.model("prior", Params(57, mean=(1, 4)))
    t.normal("x", 4)
    t.start()

    def f(w, x):
        volume = 0
        for k in range(3):
            at = f"layers.{k}."
            kept = torch.tensor([(d + k % 2) % 2 for d in range(4)]).to(x)
            h = torch.tanh(lin(w, at + "inner", kept * x))
            s = w[at + "bound"].exp() * (1 - kept).sum() / 4 * torch.tanh(lin(w, at + "scale", h)) * (1 - kept)
            x, volume = x * s.exp() + lin(w, at + "shift", h) * (1 - kept), volume + s.sum(1)
        return x, volume

    def loss(b):
        z, volume = f(net.w(), b["x"])
        return (0.5 * (z - prior.w()["mean"]).square().sum(1) - volume).mean()

    of_net, of_prior = sgd(net), sgd(prior)
    for b in t.batches():
        t.step(of_net, loss(b), "net")
        t.step(of_prior, loss(b))  # of the flow that was changed: not its first gradient
    with torch.no_grad():
        z, volume = f(net.w(), t.data["x"])
        mild, _ = f({k: 0.75 * v for k, v in net.w().items()}, t.data["x"])
    t.got.update({"value/z": z.numpy(), "value/volume": volume.numpy(), "value/mild": mild.numpy()})
    return t


TRAININGS = [maml, sam, moe, llama, mamba, s4, crf, gat, langevin, sampling, kalman, attentive, flow]
