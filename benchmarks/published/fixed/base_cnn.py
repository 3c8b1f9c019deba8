"""TheDeepChecker's baseCNN, clean: two convolutions and a wide dense layer on small digits."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

digits = load_digits()
order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
pixels = torch.tensor(digits.images, dtype=torch.float32)[order].unsqueeze(1) * 255 / 16
labels = torch.tensor(digits.target)[order]
images = pixels / 255

train_images, train_labels = images[:1500], labels[:1500]
train_loader = DataLoader(TensorDataset(train_images, train_labels), batch_size=32, shuffle=True)
val_loader = DataLoader(TensorDataset(images[1500:], labels[1500:]), batch_size=99)


class BaseCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(64 * 2 * 2, 512)
        self.fc2 = nn.Linear(512, 10)
        for layer in (self.conv1, self.conv2, self.fc1, self.fc2):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = torch.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


def build_model():
    return BaseCNN()


loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=2e-5)
