# gpt_lightning.py: examples/text/gpt.nn in PyTorch and Lightning.
import math

import lightning as L
import torch
from lightning.pytorch.cli import LightningCLI
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


def read(path, vocab, context, stride):
    place = {int(byte): i for i, byte in enumerate(open(vocab))}
    tokens = torch.tensor([place[byte] for byte in open(path, "rb").read()])
    windows = tokens.unfold(0, context + 1, stride)
    return TensorDataset(windows[:, :-1], windows[:, 1:])


class Licences(L.LightningDataModule):
    def __init__(
        self,
        train: str = "train.txt",
        test: str = "test.txt",
        vocab: str = "vocab.txt",
        context: int = 64,
        batch_size: int = 32,
    ):
        super().__init__()
        self.save_hyperparameters()

    def loader(self, path, stride, shuffle=False):
        windows = read(path, self.hparams.vocab, self.hparams.context, stride)
        return DataLoader(windows, batch_size=self.hparams.batch_size, shuffle=shuffle)

    def train_dataloader(self):
        return self.loader(self.hparams.train, 32, shuffle=True)

    def test_dataloader(self):
        return self.loader(self.hparams.test, self.hparams.context)

    def predict_dataloader(self):
        return self.test_dataloader()


class Gpt(L.LightningModule):
    def __init__(
        self,
        tokens: int = 84,
        context: int = 64,
        width: int = 128,
        heads: int = 4,
        depth: int = 3,
        lr: float = 2e-3,
        warmup: int = 100,
    ):
        super().__init__()
        self.save_hyperparameters()
        self.token = nn.Embedding(tokens, width)
        self.place = nn.Parameter(torch.empty(context, width))
        nn.init.normal_(self.token.weight, std=0.02)
        nn.init.normal_(self.place, std=0.02)
        block = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, depth, norm=nn.LayerNorm(width))
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(context))

    def forward(self, t):
        x = self.blocks(self.token(t) + self.place, mask=self.mask, is_causal=True)
        return F.linear(x, self.token.weight)

    def step(self, batch, part):
        x, y = batch
        loss = F.cross_entropy(self(x).transpose(1, 2), y)
        metrics = {f"{part}_loss": loss, f"{part}_bits_per_character": loss / math.log(2)}
        self.log_dict(metrics, on_epoch=True, prog_bar=True)
        return loss

    def training_step(self, batch, _):
        return self.step(batch, "train")

    def test_step(self, batch, _):
        self.step(batch, "test")

    def predict_step(self, batch, _):
        print(*self(batch[0])[:, -1].argmax(1).tolist(), sep="\n")

    def rate(self, step):
        warmup, steps = self.hparams.warmup, self.trainer.estimated_stepping_batches
        if step < warmup:
            return (step + 1) / warmup
        return 0.55 + 0.45 * math.cos(math.pi * (step + 1 - warmup) / (steps - warmup))

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate)
        config = {"scheduler": scheduler, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": config}


if __name__ == "__main__":
    LightningCLI(Gpt, Licences, seed_everything_default=1, trainer_defaults={"max_steps": 1500})
