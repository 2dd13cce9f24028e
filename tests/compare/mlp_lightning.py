# mlp_lightning.py: examples/digits/mlp.nn in PyTorch and Lightning.
import lightning as L
import pandas as pd
import torch
from lightning.pytorch.cli import LightningCLI
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


def read(path):
    table = pd.read_csv(path)
    x = torch.tensor(table.iloc[:, :64].to_numpy() / 16, dtype=torch.float32)
    return TensorDataset(x, torch.tensor(table["digit"].to_numpy()))


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


class Mlp(L.LightningModule):
    def __init__(self, hidden: int = 128, lr: float = 1e-3):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))

    def forward(self, x):
        return self.net(x)

    def step(self, batch, part):
        x, y = batch
        scores = self(x)
        loss = F.cross_entropy(scores, y)
        accuracy = (scores.argmax(1) == y).float().mean()
        metrics = {f"{part}_loss": loss, f"{part}_accuracy": accuracy}
        self.log_dict(metrics, on_epoch=True, prog_bar=True)
        return loss

    def training_step(self, batch, _):
        return self.step(batch, "train")

    def test_step(self, batch, _):
        self.step(batch, "test")

    def predict_step(self, batch, _):
        print(*self(batch[0]).argmax(1).tolist(), sep="\n")

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)


if __name__ == "__main__":
    LightningCLI(Mlp, Digits, seed_everything_default=1, trainer_defaults={"max_epochs": 30})
