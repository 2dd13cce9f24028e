# vae_flax.py: vae.nn in JAX and Flax.
import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pandas as pd
from flax import nnx


class Vae(nnx.Module):
    def __init__(self, rngs, latent=8, hidden=128):
        self.look = nnx.Linear(64, hidden, rngs=rngs)
        self.centre = nnx.Linear(hidden, latent, rngs=rngs)
        self.spread = nnx.Linear(hidden, latent, rngs=rngs)
        self.imagine = nnx.Linear(latent, hidden, rngs=rngs)
        self.draw = nnx.Linear(hidden, 64, rngs=rngs)
        self.rngs = rngs

    def encode(self, x):
        h = nnx.relu(self.look(x))
        return self.centre(h), self.spread(h)

    def decode(self, z):
        return self.draw(nnx.relu(self.imagine(z)))


def read(path):
    return pd.read_csv(path).iloc[:, :64].to_numpy(np.float32) / 16


def batches(x, size, order=None):
    order = np.arange(len(x)) if order is None else order
    for i in range(0, len(x), size):
        yield x[order[i : i + size]]


def loss_fn(model, x):
    m, s = model.encode(x)
    z = m + jnp.exp(s / 2) * jax.random.normal(model.rngs.noise(), s.shape)
    error = optax.sigmoid_binary_cross_entropy(model.decode(z), x).sum()
    return (error - 0.5 * jnp.sum(1 + s - m**2 - jnp.exp(s))) / len(x)


@nnx.jit
def train_step(model, optimizer, metrics, x):
    loss, grads = nnx.value_and_grad(loss_fn)(model, x)
    metrics.update(loss=loss)
    optimizer.update(model, grads)


@nnx.jit
def eval_step(model, metrics, x):
    metrics.update(loss=loss_fn(model, x))


def report(name, metrics):
    values = {key: float(value) for key, value in metrics.compute().items()}
    metrics.reset()
    print(name, values)


def train(model, metrics, args, checkpointer):
    optimizer = nnx.Optimizer(model, optax.adam(args.lr), wrt=nnx.Param)
    x = read(args.data or "train.csv")
    rng = np.random.default_rng(args.seed)
    for epoch in range(args.epochs):
        for batch in batches(x, args.batch, rng.permutation(len(x))):
            train_step(model, optimizer, metrics, batch)
        report(f"epoch {epoch + 1}", metrics)
        checkpointer.save(args.checkpoint.absolute(), nnx.state(model, nnx.Param), force=True)
    checkpointer.wait_until_finished()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["train", "eval", "reconstruct"])
    parser.add_argument("--data")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoint"))
    args = parser.parse_args()
    model = Vae(nnx.Rngs(args.seed))
    metrics = nnx.MultiMetric(loss=nnx.metrics.Average("loss"))
    checkpointer = ocp.StandardCheckpointer()
    if args.verb == "train":
        return train(model, metrics, args, checkpointer)
    weights = nnx.state(model, nnx.Param)
    nnx.update(model, checkpointer.restore(args.checkpoint.absolute(), weights))
    x = read(args.data or "test.csv")
    if args.verb == "reconstruct":
        for image in nnx.sigmoid(model.decode(model.encode(x)[0])):
            print(*image)
    else:
        for batch in batches(x, args.batch):
            eval_step(model, metrics, batch)
        report("test", metrics)


if __name__ == "__main__":
    main()
