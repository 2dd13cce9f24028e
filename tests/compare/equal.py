# equal.py NAME - one of the five models beside its two peers from the same weights, on the same examples in their order: what
# the three programs say of the loss of the first STEPS steps. Run in a folder with the example's data and `./model`, the
# compiled program. The weights are those that Lightning's model starts with; each peer is trained by its own program. The
# VAE's noise is e^-30 of what it is, since three systems draw three noises: so its spread begins.
import argparse
import contextlib
import importlib
import io
import json
import subprocess
import sys

import numpy as np

STEPS = 20
# How far a peer's losses may be off, relatively. Flax's LSTM has one bias where the others have two, and Adam moves each of
# them. In the CNN a gradient that is little but rounding, that of a bias in front of a batch norm, makes a whole step of Adam.
TOLERANCE = {"lstm_flax": 2e-2, "cnn_flax": 2e-3}


def linear(layer, weight, bias):
    layer.kernel[...] = weight.T
    layer.bias[...] = bias


def layer_norm(layer, weight, bias):
    layer.scale[...], layer.bias[...] = weight, bias


def fill_mlp(model, w):
    for name in "fc1", "fc2":
        linear(getattr(model, name), w[f"{name}.weight"], w[f"{name}.bias"])


def fill_cnn(model, w):
    for name in "conv1", "conv2":
        layer = getattr(model, name)
        layer.kernel[...], layer.bias[...] = w[f"{name}.weight"].transpose(2, 3, 1, 0), w[f"{name}.bias"]
    for name in "norm1", "norm2":
        layer_norm(getattr(model, name), w[f"{name}.weight"], w[f"{name}.bias"])
    # an image's channels stand last in Flax
    rows = w["fc1.weight"].reshape(64, 32, 4, 4).transpose(0, 2, 3, 1).reshape(64, 512)
    linear(model.fc1, rows, w["fc1.bias"])
    linear(model.fc2, w["fc2.weight"], w["fc2.bias"])


def fill_lstm(model, w):
    cell = model.rows.cell
    cell.dense_i.kernel[...] = w["rows.weight_ih_l0"].T
    linear(cell.dense_h, w["rows.weight_hh_l0"], w["rows.bias_ih_l0"] + w["rows.bias_hh_l0"])
    linear(model.out, w["out.weight"], w["out.bias"])


def fill_gpt(model, w):
    model.token.embedding[...], model.place.embedding[...] = w["token"], w["place"]
    layer_norm(model.norm, w["norm.weight"], w["norm.bias"])
    for i, block in enumerate(model.blocks):
        at = {key.removeprefix(f"blocks.{i}."): value for key, value in w.items()}
        layer_norm(block.norm1, at["norm1.weight"], at["norm1.bias"])
        layer_norm(block.norm2, at["norm2.weight"], at["norm2.bias"])
        linear(block.fc1, at["mlp.fc1.weight"], at["mlp.fc1.bias"])
        linear(block.fc2, at["mlp.fc2.weight"], at["mlp.fc2.bias"])
        width = len(at["norm1.bias"])
        parts = at["attn.in_proj_weight"].reshape(3, width, width), at["attn.in_proj_bias"].reshape(3, width)
        for layer, weight, bias in zip((block.attn.query, block.attn.key, block.attn.value), *parts):
            layer.kernel[...] = weight.T.reshape(layer.kernel.shape)
            layer.bias[...] = bias.reshape(layer.bias.shape)
        block.attn.out.kernel[...] = at["attn.out_proj.weight"].T.reshape(block.attn.out.kernel.shape)
        block.attn.out.bias[...] = at["attn.out_proj.bias"]


def fill_vae(model, w):
    for name in "look", "centre", "spread", "imagine", "draw":
        linear(getattr(model, name), w[f"{name}.weight"], w[f"{name}.bias"])


# How Lightning's programs name the members that have another name in .nn, the longer first.
NAMES = {
    "mlp": {"net.0": "fc1", "net.2": "fc2"},
    "cnn": {"net.11": "fc2", "net.9": "fc1", "net.1": "conv1", "net.2": "norm1", "net.4": "conv2", "net.5": "norm2"},
    "lstm": {},
    "gpt": {
        "token.weight": "token",
        "blocks.layers.": "blocks.",
        "blocks.norm.": "norm.",
        "self_attn.": "attn.",
        "linear1.": "mlp.fc1.",
        "linear2.": "mlp.fc2.",
    },
    "vae": {"decode.0": "imagine", "decode.2": "draw"},
}
MODELS = {"mlp": "Mlp", "cnn": "Cnn", "lstm": "Reader", "gpt": "Gpt", "vae": "Vae"}


def weights_of(name, model):
    named = {}
    for key, value in model.state_dict().items():
        if key.endswith("num_batches_tracked") or key == "mask":
            continue
        for old, new in NAMES[name].items():
            key = key.replace(old, new)
        named[key] = value.detach().numpy().copy()
    return named


def lightning_losses(name, program, model):
    import lightning as L
    from torch.utils.data import DataLoader

    losses = []

    class Record(L.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, i):
            losses.append(float(outputs["loss"]))

    data = program.read("train.txt", "vocab.txt", 64, 32) if name == "gpt" else program.read("train.csv")
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(max_steps=STEPS, callbacks=[Record()], accelerator="cpu", **quiet)
    trainer.fit(model, DataLoader(data, batch_size=32))
    return losses


class Enough(Exception):
    pass


def flax_losses(name, weights):
    program = importlib.import_module(f"{name}_flax")
    make, step, batches = getattr(program, MODELS[name]), program.train_step, program.batches
    losses = []

    def made(*args):
        model = make(*args)
        globals()[f"fill_{name}"](model, weights)
        return model

    def recorded(model, optimizer, metrics, *batch):
        step(model, optimizer, metrics, *batch)
        losses.append(float(metrics.compute()["loss"]))
        metrics.reset()
        if len(losses) == STEPS:
            raise Enough

    setattr(program, MODELS[name], made)
    program.train_step = recorded
    program.batches = lambda *args: batches(*args[:-1])  # in the data's order
    sys.argv = [f"{name}_flax.py", "train"]
    with contextlib.suppress(Enough):
        program.main()
    return losses


def nn_losses(weights):
    from safetensors.numpy import save_file

    save_file({f"net.{key}": np.ascontiguousarray(value) for key, value in weights.items()}, "equal.safetensors")
    given = ["--weights", "equal.safetensors", "--steps", str(STEPS), "--no-shuffle", "--run-dir", "equal"]
    subprocess.run(["./model", "train", "-q", *given], check=True, stdout=subprocess.DEVNULL)
    with open("equal/metrics.jsonl") as file:
        return [line["loss"] for line in map(json.loads, file) if line["event"] == "step"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=MODELS)
    name = parser.parse_args().name
    import torch

    torch.manual_seed(1)
    lightning = importlib.import_module(f"{name}_lightning")
    model = getattr(lightning, MODELS[name])()
    if name == "vae":
        torch.nn.init.zeros_(model.spread.weight)
        torch.nn.init.constant_(model.spread.bias, -60)
    weights = weights_of(name, model)
    own = nn_losses(weights)
    with contextlib.redirect_stdout(io.StringIO()):
        peers = {"lightning": lightning_losses(name, lightning, model), "flax": flax_losses(name, weights)}
    failed = False
    for peer, losses in peers.items():
        assert len(own) == len(losses) == STEPS
        miss = max(abs(a - b) / abs(b) for a, b in zip(own, losses))
        most = TOLERANCE.get(f"{name}_{peer}", 1e-4)
        print(f"{name} {peer}: {STEPS} losses, {own[0]:.6f} to {own[-1]:.6f}, within {miss:.1e}")
        failed |= not miss <= most
    sys.exit(failed and f"FAILED: {name} is another model, or learns in another way")


main()
