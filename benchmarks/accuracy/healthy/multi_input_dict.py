"""Two inputs (an image and a short table) in a dict; one tower for each."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset


class DigitPlusTable(Dataset):
    """Is the digit of the picture larger than the number that the table encodes?"""

    def __init__(self, part, seed):
        data = load_digits()
        order = np.random.RandomState(0).permutation(1797)[part]
        rng = np.random.default_rng(seed)
        self.image = torch.tensor((data.images[order] - 4.88) / 6.02, dtype=torch.float32)
        threshold = rng.integers(0, 9, len(order)) + 0.5
        noise = rng.normal(0, 1, (len(order), 3))
        table = np.column_stack([(threshold - 4.5) / 2.6, noise])
        self.table = torch.tensor(table, dtype=torch.float32)
        self.target = torch.tensor(data.target[order] > threshold, dtype=torch.float32)

    def __len__(self):
        return len(self.target)

    def __getitem__(self, i):
        return {"image": self.image[i], "table": self.table[i], "target": self.target[i]}


class TwoTowers(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, stride=2, padding=1)
        self.table = nn.Linear(4, 32)
        self.joint = nn.Linear(24 * 16 + 32, 64)
        self.out = nn.Linear(64, 1)

    def forward(self, image, table):
        a = F.relu(self.conv1(image.unsqueeze(1)))
        a = F.relu(self.conv2(a)).flatten(1)
        b = F.relu(self.table(table))
        return self.out(F.relu(self.joint(torch.cat([a, b], dim=1)))).squeeze(1)


train_loader = DataLoader(DigitPlusTable(slice(0, 1400), 1), batch_size=50, shuffle=True)
val_loader = DataLoader(DigitPlusTable(slice(1400, None), 2), batch_size=99)


def training_step(model, batch):
    logits = model(batch["image"], batch["table"])
    return F.binary_cross_entropy_with_logits(logits, batch["target"])


def build_model():
    return TwoTowers()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
