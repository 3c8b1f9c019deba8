"""The learning rate stands as a constant at the top, and is far too high."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

LR = 6.0   # fast
BATCH, FEATURES, CLASSES = 50, 20, 4

generator = torch.Generator().manual_seed(0)
labels  = torch.randperm(2000, generator=generator) % CLASSES
centres = 1.2 * torch.randn(CLASSES, FEATURES, generator=generator)
inputs  = centres[labels] + torch.randn(2000, FEATURES, generator=generator)
train_loader = DataLoader(TensorDataset(inputs / inputs.std(), labels), BATCH, shuffle=True)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(FEATURES, 64)
        self.out    = nn.Linear(64, CLASSES)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x)))


criterion = nn.CrossEntropyLoss()


def configure_optimizers(model):
    return torch.optim.SGD(model.parameters(),
                           LR,             # see above
                           momentum=0.9)
