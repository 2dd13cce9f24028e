# gpt_flax.py: examples/text/gpt.nn in JAX and Flax.
import argparse
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import nnx

CONTEXT, WIDTH, HEADS, DEPTH = 64, 128, 4, 3


class Block(nnx.Module):
    def __init__(self, rngs):
        self.norm1 = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)
        self.attn = nnx.MultiHeadAttention(HEADS, WIDTH, decode=False, rngs=rngs)
        self.norm2 = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)
        self.fc1 = nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs)
        self.fc2 = nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x, mask):
        x = x + self.attn(self.norm1(x), mask=mask)
        return x + self.fc2(nnx.gelu(self.fc1(self.norm2(x)), approximate=False))


class Gpt(nnx.Module):
    def __init__(self, vocab, rngs):
        init = nnx.initializers.normal(0.02)
        self.token = nnx.Embed(vocab, WIDTH, embedding_init=init, rngs=rngs)
        self.place = nnx.Embed(CONTEXT, WIDTH, embedding_init=init, rngs=rngs)
        self.blocks = nnx.List([Block(rngs) for _ in range(DEPTH)])
        self.norm = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)

    def __call__(self, t):
        mask = nnx.make_causal_mask(t)
        x = self.token(t) + self.place(jnp.arange(CONTEXT))
        for block in self.blocks:
            x = block(x, mask)
        return self.token.attend(self.norm(x))


def read(path, vocab, stride):
    place = {int(byte): i for i, byte in enumerate(vocab)}
    tokens = np.array([place[byte] for byte in Path(path).read_bytes()])
    windows = np.lib.stride_tricks.sliding_window_view(tokens, CONTEXT + 1)[::stride]
    return windows[:, :-1], windows[:, 1:]


def batches(x, y, size, order=None):
    order = np.arange(len(x)) if order is None else order
    for i in range(0, len(x), size):
        yield x[order[i : i + size]], y[order[i : i + size]]


def loss_fn(model, x, y):
    return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()


@nnx.jit
def train_step(model, optimizer, metrics, x, y):
    loss, grads = nnx.value_and_grad(loss_fn)(model, x, y)
    metrics.update(loss=loss)
    optimizer.update(model, grads)


@nnx.jit
def eval_step(model, metrics, x, y):
    metrics.update(loss=loss_fn(model, x, y))


def report(name, metrics):
    loss = float(metrics.compute()["loss"])
    metrics.reset()
    print(name, {"loss": loss, "bits_per_character": loss / np.log(2)})


def train(model, metrics, args, vocab, checkpointer):
    rate = optax.warmup_cosine_decay_schedule(args.lr / 100, args.lr, 99, args.steps - 1, 0.1 * args.lr)
    optimizer = nnx.Optimizer(model, optax.adamw(rate, weight_decay=0.01), wrt=nnx.Param)
    x, y = read(args.data or "train.txt", vocab, 32)
    rng = np.random.default_rng(args.seed)
    step = 0
    while step < args.steps:
        for batch in batches(x, y, args.batch, rng.permutation(len(x))):
            train_step(model, optimizer, metrics, *batch)
            step += 1
            if step == args.steps:
                break
        report(f"step {step}", metrics)
        checkpointer.save(args.checkpoint.absolute(), nnx.state(model), force=True)
    checkpointer.wait_until_finished()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["train", "eval", "predict"])
    parser.add_argument("--data")
    parser.add_argument("--vocab", default="vocab.txt")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoint"))
    args = parser.parse_args()
    vocab = Path(args.vocab).read_text().split()
    model = Gpt(len(vocab), nnx.Rngs(args.seed))
    metrics = nnx.MultiMetric(loss=nnx.metrics.Average("loss"))
    checkpointer = ocp.StandardCheckpointer()
    if args.verb == "train":
        return train(model, metrics, args, vocab, checkpointer)
    nnx.update(model, checkpointer.restore(args.checkpoint.absolute(), nnx.state(model)))
    x, y = read(args.data or "test.txt", vocab, CONTEXT)
    if args.verb == "predict":
        print(*model(x)[:, -1].argmax(1), sep="\n")
    else:
        for batch in batches(x, y, args.batch):
            eval_step(model, metrics, *batch)
        report("test", metrics)


if __name__ == "__main__":
    main()
