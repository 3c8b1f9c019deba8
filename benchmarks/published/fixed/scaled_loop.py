"""Digits; the loop (which an audit does not run) scales gradients for float16 and clips them."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

digits = load_digits()
order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
inputs = torch.tensor(digits.data, dtype=torch.float32)[order]
inputs = (inputs - inputs.mean()) / inputs.std()
labels = torch.tensor(digits.target)[order]

train_loader = DataLoader(
    TensorDataset(inputs[:1500], labels[:1500]), batch_size=32, shuffle=True)
val_loader = DataLoader(TensorDataset(inputs[1500:], labels[1500:]), batch_size=99)
loss_fn = nn.CrossEntropyLoss()


def build_model():
    return nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3)


def train(epochs=10):
    model = build_model().cuda()
    opt = optimizer(model)
    scaler = torch.amp.GradScaler("cuda")
    for _ in range(epochs):
        for x, y in train_loader:
            with torch.autocast("cuda", torch.float16):
                loss = loss_fn(model(x.cuda()), y.cuda())
            scaler.scale(loss).backward()
            scaler.unscale_(opt)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(opt)
            scaler.update()
            opt.zero_grad()


if __name__ == "__main__":
    train()
