"""The trainings of tests/numeric/trainings in PyTorch: NAME.training.safetensors holds the weights to start from under nnc's
names, the data as `data/<field>`, `grad/<parameter>` of the first step's losses, `trained/<name>` after three steps, and
`value/<result>`: what the entry `predict` then says of the data.

All values to start from are f32 numbers; PyTorch computes in f64, and once more in f32 for trainings.tsv. Batches of 8 in
order, one pass.
"""
import os

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import nn

N, BATCH = 24, 8
REAL = torch.float64


class Training:
    """A training's models by name, its data, and what is to be kept."""

    def __init__(self, seed):
        self.made = torch.Generator().manual_seed(seed)
        self.models, self.data, self.states, self.got, self.batch = {}, {}, {}, {}, 0
        torch.manual_seed(seed)

    def model(self, name, module):
        module = module.to(REAL)
        with torch.no_grad():
            for p in module.parameters():
                p.copy_(p.float().to(REAL))
        self.models[name] = module
        return module

    def normal(self, name, *shape):
        self.data[name] = torch.randn(N, *shape, generator=self.made).to(REAL)

    def uniform(self, name, *shape):
        self.data[name] = torch.rand(N, *shape, generator=self.made).to(REAL)

    def integers(self, name, below, *shape):
        self.data[name] = torch.randint(below, (N, *shape), generator=self.made)

    def named(self):
        for name, module in self.models.items():
            for k, p in module.named_parameters():
                yield f"{name}.{k}", p

    def batches(self, size=BATCH):
        for at in range(0, N, size):
            self.batch += 1
            yield {k: v[at:at + size] for k, v in self.data.items()}

    def start(self):
        self.got.update({k: p.detach().float().numpy().copy() for k, p in self.named()})
        self.got.update({"state/" + k: v.float().numpy().copy() for k, v in self.states.items()})
        kept = {k: v.float() if v.is_floating_point() else v.int() for k, v in self.data.items()}
        self.got.update({"data/" + k: v.numpy() for k, v in kept.items()})

    def gradients(self, *names):
        """Of the first step, as backward() has just left them."""
        if self.batch > 1:
            return
        for k, p in self.named():
            if k.split(".")[0] in names and p.grad is not None:
                self.got["grad/" + k] = p.grad.to_dense().numpy().copy()

    def step(self, optimizer, loss, *names):
        optimizer.zero_grad()
        loss.backward()
        self.gradients(*names)
        optimizer.step()

    def finish(self):
        """All tensors by name."""
        self.got.update({"trained/" + k: p.detach().numpy() for k, p in self.named() if p.requires_grad})
        self.got.update({"trained/state/" + k: v.numpy() for k, v in self.states.items()})
        return {k: np.ascontiguousarray(v) for k, v in self.got.items()}


class Mlp(nn.Module):
    def __init__(self, sizes, activation):
        super().__init__()
        self.n, self.activation = len(sizes) - 1, activation
        for i in range(self.n):
            setattr(self, f"fc{i + 1}", nn.Linear(sizes[i], sizes[i + 1]))

    def forward(self, x):
        for i in range(self.n):
            x = getattr(self, f"fc{i + 1}")(x)
            if i + 1 < self.n:
                x = self.activation(x)
        return x


def adam(model, lr, **options):
    return torch.optim.Adam(model.parameters(), lr, foreach=False, **options)


bce = F.binary_cross_entropy_with_logits


def gan():
    t = Training(1)
    maker, judge = t.model("maker", Mlp((4, 8, 3), torch.tanh)), t.model("judge", Mlp((3, 8, 1), F.leaky_relu))
    t.normal("x", 3), t.normal("z", 4)
    t.start()
    of_judge, of_maker = adam(judge, 1e-2, betas=(0.5, 0.999)), adam(maker, 1e-2, betas=(0.5, 0.999))
    ones, zeros = torch.ones(BATCH, 1).to(REAL), torch.zeros(BATCH, 1).to(REAL)
    for b in t.batches():
        fake = maker(b["z"])
        t.step(of_judge, bce(judge(b["x"]), ones) + bce(judge(fake.detach()), zeros), "judge")
        t.step(of_maker, bce(judge(fake), ones))     # of the judge that was changed: not its first gradient
    return t


def wgan_gp():
    t = Training(2)
    maker, critic = t.model("maker", Mlp((4, 8, 3), torch.tanh)), t.model("critic", Mlp((3, 8, 1), F.softplus))
    t.normal("x", 3), t.normal("z", 4), t.uniform("mix")
    t.start()
    of_critic, of_maker = torch.optim.RMSprop(critic.parameters(), 1e-2, foreach=False), adam(maker, 1e-2)
    for b in t.batches():
        fake, mix = maker(b["z"]), b["mix"][:, None]
        between = (mix * b["x"] + (1 - mix) * fake.detach()).requires_grad_()
        slope = torch.autograd.grad(critic(between).sum(), between, create_graph=True)[0].norm(dim=1)
        loss = critic(fake.detach()).mean() - critic(b["x"]).mean() + 10 * ((slope - 1) ** 2).mean()
        t.step(of_critic, loss, "critic")
        if t.batch % 2 == 0:
            t.step(of_maker, -critic(fake).mean(), "maker")
    return t


def classes(t):
    t.normal("x", 4), t.integers("y", 3)


def sharpness():
    t = Training(3)
    net = t.model("net", Mlp((4, 6, 3), torch.tanh))
    classes(t)
    t.start()
    optimizer = torch.optim.SGD(net.parameters(), 0.3)
    for b in t.batches():
        plain = F.cross_entropy(net(b["x"]), b["y"])
        w, c = torch.autograd.grad(plain, (net.fc1.weight, net.fc2.bias), create_graph=True)
        t.step(optimizer, plain + 0.3 * (w ** 2).sum() + 0.2 * (c ** 2).sum(), "net")
    return t


def pinn():
    t = Training(4)
    net = t.model("net", Mlp((1, 10, 10, 1), torch.tanh))
    t.uniform("x", 1)
    t.start()
    optimizer = adam(net, 1e-2)
    ends, wanted = torch.tensor([[0.0], [1.0]]).to(REAL), torch.tensor([[0.0], [0.5]]).to(REAL)
    for b in t.batches():
        x = b["x"].requires_grad_()
        slope = torch.autograd.grad(net(x).sum(), x, create_graph=True)[0]
        bend = torch.autograd.grad(slope.sum(), x, create_graph=True)[0]
        t.step(optimizer, ((bend + 9 * torch.sin(3 * x)) ** 2).mean() + 10 * ((net(ends) - wanted) ** 2).mean(), "net")
    return t


def word2vec():
    t = Training(5)
    word, beside = t.model("word", nn.Embedding(20, 6)), t.model("beside", nn.Embedding(20, 6))
    t.integers("centre", 20), t.integers("near", 20), t.integers("far", 20, 5)
    t.start()
    optimizer = torch.optim.Adagrad([*word.parameters(), *beside.parameters()], 0.2, foreach=False)
    for b in t.batches():
        v, u, n = word(b["centre"]), beside(b["near"]), beside(b["far"])
        right, wrong = F.logsigmoid((v * u).sum(1)), F.logsigmoid(-(n @ v[:, :, None])[:, :, 0])
        t.step(optimizer, -(right + wrong.sum(1)).mean(), "word", "beside")
    return t


def sparse():
    t = Training(41)
    word = t.model("word", nn.Embedding(300, 8, sparse=True))
    beside = t.model("beside", nn.Embedding(800, 8, sparse=True))
    t.integers("centre", 300), t.integers("near", 300), t.integers("far", 300, 2)
    t.data["centre"][3] = t.data["centre"][0]
    t.start()
    optimizer = torch.optim.SparseAdam([*word.parameters(), *beside.parameters()], 1e-2)
    for b in t.batches():
        v, u, n = word(b["centre"]), beside(b["near"]), beside(b["far"])
        right, wrong = F.logsigmoid((v * u).sum(1)), F.logsigmoid(-(n @ v[:, :, None])[:, :, 0])
        t.step(optimizer, -(right + wrong.sum(1)).mean(), "word", "beside")
    return t


class Ncf(nn.Module):
    def __init__(self, users, items, d):
        super().__init__()
        self.user_gmf, self.item_gmf = nn.Embedding(users, d), nn.Embedding(items, d)
        self.user_mlp, self.item_mlp = nn.Embedding(users, d), nn.Embedding(items, d)
        self.fc1, self.fc2, self.out = nn.Linear(2 * d, 6), nn.Linear(6, 4), nn.Linear(d + 4, 1)

    def forward(self, u, i):
        h = self.fc2(self.fc1(torch.cat((self.user_mlp(u), self.item_mlp(i)), 1)).relu()).relu()
        return self.out(torch.cat((self.user_gmf(u) * self.item_gmf(i), h), 1))[:, 0]


def ncf():
    t = Training(6)
    net = t.model("net", Ncf(12, 15, 5))
    t.integers("u", 12), t.integers("i", 15)
    t.data["liked"] = torch.randint(2, (N,), generator=t.made).to(REAL)
    t.start()
    optimizer = adam(net, 1e-2)
    for b in t.batches():
        t.step(optimizer, bce(net(b["u"], b["i"]), b["liked"]), "net")
    return t


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.mu, self.log_var = nn.Linear(6, 8), nn.Linear(8, 3), nn.Linear(8, 3)
        self.dec1, self.dec2 = nn.Linear(3, 8), nn.Linear(8, 6)


def vae():
    t = Training(7)
    net = t.model("vae", Vae())
    t.uniform("x", 6), t.normal("noise", 3)
    t.start()
    optimizer = adam(net, 1e-2)
    for b in t.batches():
        h = net.enc(b["x"]).tanh()
        m, lv = net.mu(h), net.log_var(h)
        logits = net.dec2(net.dec1(m + b["noise"] * (lv / 2).exp()).tanh())
        error = bce(logits, b["x"], reduction="none").sum(1).mean()
        t.step(optimizer, error - 0.5 * (1 + lv - m ** 2 - lv.exp()).sum(1).mean(), "vae")
    return t


def teacher():
    t = Training(8)
    net, average = t.model("net", Mlp((4, 6, 3), torch.tanh)), t.model("teacher", Mlp((4, 6, 3), torch.tanh))
    classes(t)
    t.start()
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    for b in t.batches():
        says = F.softmax(average(b["x"]).detach(), 1)
        t.step(optimizer, F.cross_entropy(net(b["x"]), b["y"]) + 3 * F.mse_loss(F.softmax(net(b["x"]), 1), says), "net")
        with torch.no_grad():
            for p, q in zip(average.parameters(), net.parameters()):
                p.copy_(0.8 * p + 0.2 * q)
    with torch.no_grad():
        t.got["value/result"] = average(t.data["x"]).numpy()
    return t


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.blocks = nn.Linear(4, 3), nn.ModuleList(Mlp((3, 3), None) for _ in range(2))

    def forward(self, x):
        x = self.first(x).tanh()
        for block in self.blocks:
            x = x + block(x).tanh()
        return x


def structures():
    """Values of all parameters together: norms, products, second derivatives along them, states made like them."""
    t = Training(13)
    net, probe, copy = (t.model(k, Tower()) for k in ("net", "probe", "copy"))
    classes(t)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    start = {k: torch.zeros_like(p) for k, p in net.named_parameters()}
    t.states.update({"trail." + k: v for k, v in start.items()})
    t.start()
    every = list(net.parameters())
    for b in t.batches():
        plain = F.cross_entropy(net(b["x"]), b["y"])
        slope = torch.autograd.grad(plain, every, create_graph=True)
        length = sum((g ** 2).sum() for g in slope).sqrt()
        along = sum((g * p.detach()).sum() for g, p in zip(slope, probe.parameters()))
        bend = torch.autograd.grad(along, every, create_graph=True)
        curve = sum((h * p.detach()).sum() for h, p in zip(bend, probe.parameters()))
        blocks = sum((p ** 2).sum() for p in net.blocks.parameters())
        loss = plain + 0.3 * length + 0.05 * curve + 0.01 * blocks + 0.1 * net.blocks[1].fc1.bias.sum()
        for (k, _), g in zip(net.named_parameters(), slope):
            least = 0.5 * g.detach() / max(1.0, length.item())
            t.states["trail." + k] = 0.9 * t.states["trail." + k] + least.clamp(-0.05, 0.05)
        t.step(optimizer, loss, "net")
        if t.batch % 2 == 0:
            with torch.no_grad():
                for p, q in zip(copy.parameters(), net.parameters()):
                    p.copy_(q)
    return t


def ewc():
    t = Training(9)
    net, before, fisher = (t.model(k, Mlp((4, 6, 3), torch.tanh)) for k in ("net", "before", "fisher"))
    classes(t)
    with torch.no_grad():
        for p in fisher.parameters():
            p.copy_((p ** 2).float().to(REAL))
    for p in [*before.parameters(), *fisher.parameters()]:
        p.requires_grad_(False)
    t.start()
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    for b in t.batches():
        parts = zip(fisher.parameters(), net.parameters(), before.parameters())
        t.step(optimizer, F.cross_entropy(net(b["x"]), b["y"]) + 10 * sum((f * (w - w0) ** 2).sum() for f, w, w0 in parts), "net")
    return t


class Layered(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.norm, self.fc2, self.head = nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.shift = nn.Parameter(torch.linspace(-0.5, 0.5, 3))

    def forward(self, x):
        return self.head(self.fc2(self.norm(self.fc1(x)).tanh()).tanh()) + self.shift


def layerwise():
    t = Training(10)
    net = t.model("net", Layered())
    classes(t)
    t.start()
    optimizer = torch.optim.AdamW([{"params": net.fc1.parameters(), "lr": 1e-3}, {"params": net.norm.parameters(), "lr": 1e-3, "weight_decay": 0},
                                   {"params": net.fc2.parameters(), "lr": 3e-3}, {"params": net.head.parameters(), "lr": 1e-2},
                                   {"params": [net.shift], "lr": 1e-2, "weight_decay": 0}], weight_decay=0.3, foreach=False)
    for b in t.batches():
        t.step(optimizer, F.cross_entropy(net(b["x"]), b["y"]), "net")
    return t


def lamb():
    t = Training(11)
    net = t.model("net", Mlp((4, 6, 3), torch.tanh))
    with torch.no_grad():
        net.fc2.bias.zero_()
    classes(t)
    t.start()
    m, v = ([torch.zeros_like(p) for p in net.parameters()] for _ in "mv")
    for b in t.batches():
        net.zero_grad()
        F.cross_entropy(net(b["x"]), b["y"]).backward()
        t.gradients("net")
        with torch.no_grad():
            for k, p in enumerate(net.parameters()):
                m[k], v[k] = 0.9 * m[k] + 0.1 * p.grad, 0.999 * v[k] + 0.001 * p.grad ** 2
                u = m[k] / (1 - 0.9 ** t.batch) / ((v[k] / (1 - 0.999 ** t.batch)).sqrt() + 1e-6) + 0.1 * p
                trust = p.norm() / u.norm() if p.norm() > 0 and u.norm() > 0 else 1.0
                p -= 1e-2 * trust * u
    return t


def accumulate():
    t = Training(12)
    net = t.model("net", Mlp((4, 6, 3), torch.tanh))
    classes(t)
    t.start()
    first, second = adam(net.fc1, 1e-2), torch.optim.SGD(net.fc2.parameters(), 0.5, momentum=0.9)
    net.zero_grad()
    for b in t.batches(4):
        (F.cross_entropy(net(b["x"]), b["y"]) / 2).backward()
        if t.batch == 1:
            t.got.update({"grad/" + k: 2 * p.grad.numpy() for k, p in t.named()})
        if t.batch % 2 == 0:
            torch.nn.utils.clip_grad_norm_(net.parameters(), 0.4, foreach=False)
            first.step(), second.step(), net.zero_grad()
    return t


class Lamb(torch.optim.Optimizer):
    """You et al. 2020, algorithm 2, after clipping by the norm of all gradients, as in timm 1.0."""

    def __init__(self, params, lr, weight_decay, most):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "most": most})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            length = sum((p.grad ** 2).sum() for p in group["params"]).sqrt()
            for p in group["params"]:
                s, g = self.state[p], p.grad / max(1.0, length.item() / group["most"])
                s["n"] = s.get("n", 0) + 1
                s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
                s["v"] = 0.999 * s.get("v", 0) + 0.001 * g ** 2
                d = s["m"] / (1 - 0.9 ** s["n"]) / ((s["v"] / (1 - 0.999 ** s["n"])).sqrt() + 1e-6) + group["weight_decay"] * p
                p -= group["lr"] * p.norm() / d.norm() * d


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, program 1."""

    def __init__(self, params, lr, weight_decay):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p *= 1 - group["lr"] * group["weight_decay"]
                p -= group["lr"] * (0.9 * m + 0.1 * p.grad).sign()
                m.mul_(0.99).add_(p.grad, alpha=0.01)


class Shared(torch.optim.Optimizer):
    """Each parameter's step is its gradient by the size of its own and of all gradients together."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            length = sum((p.grad ** 2).sum() for p in group["params"]).sqrt()
            largest = max(p.abs().max() for p in group["params"])
            for p in group["params"]:
                p -= group["lr"] * (p.grad / length + 0.1 * largest * p + p.grad ** 2)


def optimizers():
    t = Training(14)
    lamb, lion, user = (t.model(k, Mlp((4, 6, 3), torch.tanh)) for k in ("lamb", "lion", "user"))
    words = t.model("words", nn.Embedding(12, 3, sparse=True))
    classes(t), t.integers("word", 12)
    t.start()
    every = [Lamb(lamb.parameters(), 1e-2, 0.1, 0.2), Lion(lion.parameters(), 3e-3, 0.2), Shared(user.parameters(), 0.1),
             torch.optim.SparseAdam(words.parameters(), 1e-2)]
    for b in t.batches():
        loss = sum(F.cross_entropy(net(b["x"]), b["y"]) for net in (lamb, lion, user)) + F.cross_entropy(words(b["word"]), b["y"])
        for optimizer in every:
            optimizer.zero_grad()
        loss.backward()
        dense = words.weight.grad.to_dense()
        t.gradients("lamb", "lion", "user")
        if t.batch == 1:
            t.got["grad/words.weight"] = dense.numpy().copy()
        for optimizer in every:
            optimizer.step()
    return t


class BiLstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.gru = nn.LSTM(4, 3, 2, bidirectional=True, batch_first=True), nn.GRU(6, 4, 2, batch_first=True)
        self.rnn, self.head = nn.RNN(4, 2, 2, bidirectional=True, batch_first=True), nn.Linear(22, 3)

    def forward(self, x):
        y, (h, c) = self.lstm(x)
        z, g = self.gru(y)
        w, r = self.rnn(z)
        return self.head(torch.cat([w.mean(1), h[-1], h[0], c[2], g[0], g[1], r[3, :, 1:]], 1))


class Unbiased(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 3, num_layers=2, nonlinearity="relu", bias=False, batch_first=True)
        self.lstm = nn.LSTM(3, 4, bias=False, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(8, 3, bias=False, batch_first=True)
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        y, h = self.rnn(x)
        z, _ = self.lstm(y)
        w, g = self.gru(z)
        return self.head(torch.cat([w.mean(1), h[0], h[1], g[0]], 1))


class Seq2seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.encoder, self.cell, self.out = nn.Embedding(7, 4), nn.LSTM(4, 5, batch_first=True), nn.GRUCell(9, 5), nn.Linear(10, 7)

    def seen(self, h, keys):
        return torch.einsum("bu,buj->bj", torch.einsum("bj,buj->bu", h, keys).softmax(1), keys)

    def next(self, word, h, keys):
        return self.cell(torch.cat([self.words(word), self.seen(h, keys)], 1), h)

    def scores(self, h, keys):
        return self.out(torch.cat([h, self.seen(h, keys)], 1))

    def forward(self, s, t):
        keys, (h, _) = self.encoder(self.words(s))
        h, y = h[0], []
        for n in range(t.shape[1]):
            h = self.next(t[:, n], h, keys)
            y.append(self.scores(h, keys))
        return torch.stack(y, 1)

    def greedy(self, s, most):
        keys, (h, _) = self.encoder(self.words(s))
        text, word, h = torch.zeros(len(s), most, dtype=torch.int32), torch.ones(len(s), dtype=torch.int64), h[0]
        for n in range(most):
            goes = word != 0
            h = self.next(word, h, keys)
            word = torch.where(goes, self.scores(h, keys).argmax(1), word)
            text[:, n] = torch.where(goes, word, torch.zeros_like(word))
        return text


class FeedForward(nn.Module):
    def __init__(self, d, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(d, hidden), nn.Linear(hidden, d)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, d, causal):
        super().__init__()
        self.norm1, self.attn, self.norm2, self.mlp = nn.LayerNorm(d), nn.MultiheadAttention(d, 2, batch_first=True), nn.LayerNorm(d), FeedForward(d, 2 * d)
        self.causal = causal

    def forward(self, x):
        y, n = self.norm1(x), x.shape[1]
        mask = torch.triu(torch.ones(n, n, dtype=torch.bool), 1) if self.causal else None
        x = x + self.attn(y, y, y, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok, self.pos, self.norm = nn.Embedding(9, 6), nn.Embedding(6, 6), nn.LayerNorm(6)
        self.blocks = nn.ModuleList(Block(6, True) for _ in range(2))

    def forward(self, t):
        x = self.tok(t) + self.pos.weight
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.tok.weight)


class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(11, 6), nn.Linear(6, 3)
        self.layer = nn.TransformerEncoderLayer(6, 2, 8, 0.0, "gelu", batch_first=True)

    def forward(self, t, n):
        padded = torch.arange(7)[None] >= n[:, None]
        x = self.layer(self.words(t), src_key_padding_mask=padded)
        return self.head(x.masked_fill(padded[:, :, None], 0).sum(1) / n[:, None])


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches, self.norm, self.head = nn.Conv2d(2, 6, 4, stride=4), nn.LayerNorm(6), nn.Linear(6, 3)
        self.cls, self.pos = nn.Parameter(torch.randn(6)), nn.Parameter(torch.randn(5, 6))
        self.blocks = nn.ModuleList(Block(6, False) for _ in range(2))

    def forward(self, x):
        w = torch.cat([self.cls.expand(len(x), 1, 6), self.patches(x).flatten(2).transpose(1, 2)], 1) + self.pos
        for block in self.blocks:
            w = block(w)
        return self.head(self.norm(w)[:, 0])


class Unet(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.low, self.up = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1), nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.right, self.out = nn.Conv2d(8, 4, 3, padding=1), nn.Conv2d(4, 1, 1)

    def forward(self, x):
        a = F.relu(self.left(x))
        b = self.up(F.relu(self.low(F.max_pool2d(a, 2))))
        return self.out(F.relu(self.right(torch.cat([a, b], 1))))


class Squeezed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 4, 3, 2, 1, bias=False), nn.Conv2d(4, 4, 3, 1, 1, bias=False)
        self.down, self.fc1, self.fc2 = nn.Conv2d(2, 4, 1, 2, bias=False), nn.Linear(4, 2), nn.Linear(2, 4)
        self.bn1, self.bn2, self.bn3 = (nn.BatchNorm2d(4) for _ in range(3))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        weight = self.fc2(F.relu(self.fc1(y.mean((2, 3))))).sigmoid()
        return F.relu(weight[:, :, None, None] * y + self.bn3(self.down(x)))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.head = Squeezed(), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.block(x).mean((2, 3)))


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.three_before, self.three = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 2, 1), nn.Conv2d(2, 4, 3, padding=1)
        self.five_before, self.five, self.pooled = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 5, padding=2), nn.Conv2d(2, 2, 1)
        self.head = nn.Linear(11, 3)

    def forward(self, x):
        parts = [self.one(x), self.three(F.relu(self.three_before(x))), self.five(F.relu(self.five_before(x))),
                 self.pooled(F.max_pool2d(x, 3, 1, 1))]
        return self.head(F.relu(torch.cat(parts, 1)).mean((2, 3)))


def learn(t, net, optimizer, loss, predict=None):
    """Three steps; then what the net says of all data."""
    for k, buffer in net.named_buffers():
        if not k.endswith("num_batches_tracked"):
            t.states["net." + k] = buffer
    t.start()
    for b in t.batches():
        t.step(optimizer, loss(b), "net")
    net.eval()
    with torch.no_grad():
        t.got.update({"value/" + k: v.numpy().copy() for k, v in (predict or (lambda d: {}))(t.data).items()})
    return t


def momentum(net, lr):
    """Not Adam where a bias of keys, which changes nothing, has roundings for a gradient."""
    return torch.optim.SGD(net.parameters(), lr, momentum=0.9, foreach=False)


def classifier(seed, module, rate, *shape, optimizer=adam):
    t = Training(seed)
    net = t.model("net", module())
    t.normal("x", *shape), t.integers("y", 3)
    return learn(t, net, optimizer(net, rate), lambda b: F.cross_entropy(net(b["x"]), b["y"]), lambda d: {"result": net(d["x"])})


def bilstm():
    return classifier(21, BiLstm, 1e-2, 5, 4)


def unbiased():
    return classifier(28, Unbiased, 1e-2, 5, 4)


def vit():
    return classifier(22, Vit, 0.1, 2, 8, 8, optimizer=momentum)


def residual():
    return classifier(23, Residual, 0.05, 2, 6, 6, optimizer=momentum)


def inception():
    return classifier(24, Inception, 1e-2, 2, 6, 6, optimizer=lambda net, lr: torch.optim.RMSprop(net.parameters(), lr, foreach=False))


def seq2seq():
    t = Training(25)
    net = t.model("net", Seq2seq())
    t.integers("s", 7, 6), t.integers("t", 7, 4)
    return learn(t, net, adam(net, 1e-2), lambda b: F.cross_entropy(net(b["s"], b["t"])[:, :3].flatten(0, 1), b["t"][:, 1:].flatten()),
                 lambda d: {"result": net.greedy(d["s"], 9)})


def gpt():
    t = Training(26)
    net = t.model("net", Gpt())
    t.integers("t", 9, 6)
    return learn(t, net, momentum(net, 0.1),
                 lambda b: F.cross_entropy(net(b["t"])[:, :5].flatten(0, 1), b["t"][:, 1:].flatten()), lambda d: {"result": net(d["t"])})


def bert():
    t = Training(27)
    net = t.model("net", Bert())
    t.integers("t", 11, 7), t.integers("n", 6), t.integers("y", 3)
    t.data["n"] += 1
    return learn(t, net, momentum(net, 0.1), lambda b: F.cross_entropy(net(b["t"], b["n"]), b["y"]), lambda d: {"result": net(d["t"], d["n"])})


def ctc():
    t = Training(28)
    net = t.model("net", nn.Linear(4, 5))
    t.normal("x", 8, 4), t.integers("y", 4, 3)
    t.data["y"] += 1
    lengths = torch.full((BATCH,), 8), torch.full((BATCH,), 3)
    return learn(t, net, torch.optim.SGD(net.parameters(), 0.1, foreach=False),
                 lambda b: F.ctc_loss(net(b["x"]).log_softmax(2).transpose(0, 1), b["y"], *lengths, reduction="none").mean())


def unet():
    t = Training(29)
    net = t.model("net", Unet())
    t.normal("x", 1, 8, 8), t.uniform("y", 1, 8, 8)
    return learn(t, net, adam(net, 1e-2), lambda b: bce(net(b["x"]), b["y"]), lambda d: {"result": net(d["x"])})


def semi():
    """A batch of the second data set goes on where the last one ended, from its beginning again."""
    t = Training(31)
    net = t.model("net", Mlp((3, 8, 4), torch.tanh))
    t.normal("x", 3), t.integers("y", 4)
    t.data["u"] = torch.randn(10, 3, generator=t.made).to(REAL)
    t.start()
    optimizer = adam(net, 1e-2)
    for i, b in enumerate(t.batches()):
        s = net(t.data["u"][[(i * BATCH + k) % 10 for k in range(BATCH)]])
        sure = -(s.softmax(1) * s.log_softmax(1)).sum(1)
        t.step(optimizer, F.cross_entropy(net(b["x"]), b["y"]) + 0.5 * sure.mean(), "net")
    return t


class ConvolvedRnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.out = nn.Conv1d(3, 4, 3, padding=1), nn.LayerNorm(5), nn.Linear(5, 3)
        self.rnn = nn.RNN(4, 5)

    def forward(self, x):
        """The steps by hand: vmap does not go through nn.RNN."""
        s, w, h = self.conv(x.T).T, self.rnn, torch.zeros(5).to(x.dtype)
        for t in range(6):
            h = torch.tanh(F.linear(s[t], w.weight_ih_l0, w.bias_ih_l0) + F.linear(h, w.weight_hh_l0, w.bias_hh_l0))
        return self.out(self.norm(h))


def private():
    """Gradients of each example, by vmap."""
    t = Training(32)
    net = t.model("net", ConvolvedRnn())
    t.normal("x", 6, 3), t.integers("y", 3)
    t.start()
    scores = lambda p, x: torch.func.functional_call(net, p, (x,))
    loss = lambda p, x, y: F.cross_entropy(scores(p, x), y)
    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    length = lambda g: torch.sqrt(sum((v ** 2).sum() for v in g.values()))
    now = lambda: {k: v.detach() for k, v in net.named_parameters()}
    optimizer = torch.optim.SGD(net.parameters(), 0.1, foreach=False)
    for b in t.batches():
        g = each(now(), b["x"], b["y"])
        cut = torch.clamp(0.8 / torch.func.vmap(length)(g), max=1)
        mean = {k: torch.einsum("b,b...->...", cut, v) / len(cut) for k, v in g.items()}
        t.step(optimizer, sum((mean[k] * v).sum() for k, v in net.named_parameters()), "net")
    p, d = now(), t.data
    g = each(p, d["x"], d["y"])
    rest = lambda w, x, y: length(torch.func.grad(loss)({**p, "out.weight": w}, x, y))
    by_bias = lambda f: torch.func.vmap(torch.func.jacrev(lambda b, x: f(scores({**p, "out.bias": b}, x))), in_dims=(None, 0))
    curved = torch.func.vmap(torch.func.grad(rest), in_dims=(None, 0, 0))(p["out.weight"], d["x"], d["y"])
    t.got["value/length"] = torch.func.vmap(length)(g).numpy()
    t.got["value/common"] = sum(torch.einsum("b...,...->b", v, p[k]) for k, v in g.items()).numpy()
    t.got["value/curved"] = curved.flatten(1).norm(dim=1).numpy()
    t.got["value/classes"] = (by_bias(lambda s: s)(p["out.bias"], d["x"]) - by_bias(lambda s: s.softmax(0))(p["out.bias"], d["x"])).numpy()
    return t


def beam():
    """The search example by example."""
    t = Training(33)
    net = t.model("net", nn.ModuleDict({"token": nn.Embedding(6, 4), "gru": nn.GRU(4, 7, 2, batch_first=True), "out": nn.Linear(7, 6)}))
    t.normal("start", 2, 7), t.integers("y", 6, 5)
    run = lambda tokens, h: net["gru"](net["token"](tokens), h)

    def scores(b):
        y, _ = run(b["y"][:, :-1], b["start"].transpose(0, 1).contiguous())
        return net["out"](y)

    def search(start, first):
        said, likely, h = torch.full((1, 1), first), torch.zeros(1).to(REAL), start[:, None].contiguous()
        for _ in range(4):
            y, h = run(said[:, -1:], h)
            all = (likely[:, None] + net["out"](y[:, 0]).log_softmax(1)).flatten()
            likely, at = all.topk(3)
            said = torch.cat([said[at // 6], (at % 6)[:, None]], 1)
            h = h[:, at // 6].contiguous()
        return said.int(), likely, h.transpose(0, 1)

    def values(d):
        found = [search(s, int(y[0])) for s, y in zip(d["start"], d["y"])]
        return {k: torch.stack([f[i] for f in found]) for i, k in enumerate(("said", "likely", "h"))}

    return learn(t, net, adam(net, 1e-2), lambda b: F.cross_entropy(scores(b).flatten(0, 1), b["y"][:, 1:].flatten()), values)


TRAININGS = [gan, wgan_gp, sharpness, pinn, word2vec, ncf, vae, teacher, ewc, layerwise, lamb, accumulate, structures, optimizers,
             bilstm, unbiased, seq2seq, gpt, bert, ctc, vit, unet, residual, inception, semi, private, beam, sparse]


def rounded(exact, f):
    """Of the values that PyTorch computes in f32, how far they are from those in f64, relative to a tensor's largest."""
    global REAL
    REAL = torch.float32
    values = f().finish()
    REAL = torch.float64
    for k, v in exact.items():
        if k.split("/")[0] in ("grad", "trained", "value") and v.dtype == np.float64:
            yield k, np.abs(values[k] - v).max() / max(np.abs(v).max(), 1e-300)


def trainings(out, all):
    """The files, and trainings.tsv: the tensors that PyTorch's f32 misses by more than 5e-6, since an update divides by what
    is almost 0, and by how much."""
    with open(os.path.join(out, "trainings.tsv"), "w") as table:
        table.write("# training, tensor, by how much PyTorch's f32 misses its f64: written by trainings.py\n")
        for f in all:
            exact = f().finish()
            save_file(exact, os.path.join(out, f.__name__ + ".training.safetensors"))
            for k, error in rounded(exact, f):
                if error > 5e-6:
                    table.write(f"{f.__name__}\t{k}\t{error:.1e}\n")
