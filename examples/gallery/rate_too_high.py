"""The LeNet with a learning rate of 0.1 for Adam, a hundred times what it can bear."""

import torch
from mnist import loader
from torch import nn

train_loader = loader(0, 4000, shuffle=True)
val_loader = loader(4000, 5000)
loss_fn = nn.CrossEntropyLoss()


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
        x = torch.relu(self.fc1(x.flatten(1)))
        x = torch.relu(self.fc2(x))
        return self.fc3(x)


def build_model():
    return LeNet()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.1)
