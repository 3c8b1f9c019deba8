"""Digits, two hidden layers; with the loop that trains them, which an audit does not run."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

digits = load_digits()
order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
inputs = torch.tensor(digits.data, dtype=torch.float32)[order]
inputs = (inputs - inputs.mean()) / inputs.std()
labels = torch.tensor(digits.target)[order]

train_inputs, train_labels = inputs[:1500], labels[:1500]
train_loader = DataLoader(TensorDataset(train_inputs, train_labels), batch_size=32, shuffle=True)
val_loader = DataLoader(TensorDataset(inputs[1500:], labels[1500:]), batch_size=99)


class MLP(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.fc1 = nn.Linear(64, width)
        self.act1 = nn.ReLU()
        self.fc2 = nn.Linear(width, width)
        self.act2 = nn.ReLU()
        self.drop = nn.Dropout(0.2)
        self.fc3 = nn.Linear(width, 10)

    def forward(self, x):
        x = self.act1(self.fc1(x))
        x = self.drop(self.act2(self.fc2(x)))
        return self.fc3(x)


def build_model():
    return MLP()


loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def train(epochs=20, accumulate=2):
    model = build_model()
    opt = optimizer(model)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=epochs)
    for _ in range(epochs):
        model.train()
        for index, (x, y) in enumerate(train_loader):
            loss = loss_fn(model(x), y) / accumulate
            loss.backward()
            if index % accumulate == accumulate - 1:
                opt.step()
                opt.zero_grad()
        scheduler.step()
        model.eval()
        with torch.no_grad():
            right = sum((model(x).argmax(1) == y).sum().item() for x, y in val_loader)
        print(right / 297)


if __name__ == "__main__":
    train()
