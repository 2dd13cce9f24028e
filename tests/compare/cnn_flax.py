# cnn_flax.py: examples/digits/cnn.nn in JAX and Flax.
import argparse
from pathlib import Path

import numpy as np
import optax
import orbax.checkpoint as ocp
import pandas as pd
from flax import nnx


class Cnn(nnx.Module):
    def __init__(self, rngs):
        self.conv1 = nnx.Conv(1, 16, (3, 3), rngs=rngs)
        self.norm1 = nnx.BatchNorm(16, momentum=0.9, rngs=rngs)
        self.conv2 = nnx.Conv(16, 32, (3, 3), rngs=rngs)
        self.norm2 = nnx.BatchNorm(32, momentum=0.9, rngs=rngs)
        self.fc1 = nnx.Linear(512, 64, rngs=rngs)
        self.fc2 = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, x):
        h = nnx.relu(self.norm1(self.conv1(x.reshape(-1, 8, 8, 1))))
        h = nnx.relu(self.norm2(self.conv2(h)))
        h = nnx.max_pool(h, (2, 2), (2, 2))
        return self.fc2(nnx.relu(self.fc1(h.reshape(len(x), -1))))


def read(path):
    table = pd.read_csv(path)
    return table.iloc[:, :64].to_numpy(np.float32) / 16, table["digit"].to_numpy()


def batches(x, y, size, order=None):
    order = np.arange(len(x)) if order is None else order
    for i in range(0, len(x), size):
        yield x[order[i : i + size]], y[order[i : i + size]]


def loss_fn(model, x, y):
    scores = model(x)
    return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean(), scores


@nnx.jit
def train_step(model, optimizer, metrics, x, y):
    (loss, scores), grads = nnx.value_and_grad(loss_fn, has_aux=True)(model, x, y)
    metrics.update(loss=loss, logits=scores, labels=y)
    optimizer.update(model, grads)


@nnx.jit
def eval_step(model, metrics, x, y):
    loss, scores = loss_fn(model, x, y)
    metrics.update(loss=loss, logits=scores, labels=y)


def report(name, metrics):
    values = {key: float(value) for key, value in metrics.compute().items()}
    metrics.reset()
    print(name, values)


def train(model, metrics, args, checkpointer):
    optimizer = nnx.Optimizer(model, optax.adam(args.lr), wrt=nnx.Param)
    x, y = read(args.data or "train.csv")
    rng = np.random.default_rng(args.seed)
    model.train()
    for epoch in range(args.epochs):
        for batch in batches(x, y, args.batch, rng.permutation(len(x))):
            train_step(model, optimizer, metrics, *batch)
        report(f"epoch {epoch + 1}", metrics)
        checkpointer.save(args.checkpoint.absolute(), nnx.state(model), force=True)
    checkpointer.wait_until_finished()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["train", "eval", "predict"])
    parser.add_argument("--data")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoint"))
    args = parser.parse_args()
    model = Cnn(nnx.Rngs(args.seed))
    metrics = nnx.MultiMetric(accuracy=nnx.metrics.Accuracy(), loss=nnx.metrics.Average("loss"))
    checkpointer = ocp.StandardCheckpointer()
    if args.verb == "train":
        return train(model, metrics, args, checkpointer)
    nnx.update(model, checkpointer.restore(args.checkpoint.absolute(), nnx.state(model)))
    model.eval()
    x, y = read(args.data or "test.csv")
    if args.verb == "predict":
        print(*model(x).argmax(1), sep="\n")
    else:
        for batch in batches(x, y, args.batch):
            eval_step(model, metrics, *batch)
        report("test", metrics)


if __name__ == "__main__":
    main()
