# vae_lightning.py: vae.nn in PyTorch and Lightning.
import lightning as L
import pandas as pd
import torch
from lightning.pytorch.cli import LightningCLI
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader


def read(path):
    return torch.tensor(pd.read_csv(path).iloc[:, :64].to_numpy() / 16, dtype=torch.float32)


class Digits(L.LightningDataModule):
    def __init__(self, train: str = "train.csv", test: str = "test.csv", batch_size: int = 32):
        super().__init__()
        self.save_hyperparameters()

    def train_dataloader(self):
        data = read(self.hparams.train)
        return DataLoader(data, batch_size=self.hparams.batch_size, shuffle=True)

    def test_dataloader(self):
        return DataLoader(read(self.hparams.test), batch_size=self.hparams.batch_size)

    def predict_dataloader(self):
        return self.test_dataloader()


class Vae(L.LightningModule):
    def __init__(self, latent: int = 8, hidden: int = 128, lr: float = 1e-3):
        super().__init__()
        self.save_hyperparameters()
        self.look = nn.Linear(64, hidden)
        self.centre = nn.Linear(hidden, latent)
        self.spread = nn.Linear(hidden, latent)
        self.decode = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, 64))

    def encode(self, x):
        h = F.relu(self.look(x))
        return self.centre(h), self.spread(h)

    def step(self, x, part):
        m, s = self.encode(x)
        z = m + torch.exp(s / 2) * torch.randn_like(s)
        error = F.binary_cross_entropy_with_logits(self.decode(z), x, reduction="sum")
        loss = (error - 0.5 * torch.sum(1 + s - m**2 - s.exp())) / len(x)
        self.log(f"{part}_loss", loss, on_epoch=True, prog_bar=True)
        return loss

    def training_step(self, batch, _):
        return self.step(batch, "train")

    def test_step(self, batch, _):
        self.step(batch, "test")

    def predict_step(self, batch, _):
        for image in torch.sigmoid(self.decode(self.encode(batch)[0])):
            print(*image.tolist())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)


if __name__ == "__main__":
    LightningCLI(Vae, Digits, seed_everything_default=1, trainer_defaults={"max_epochs": 50})
