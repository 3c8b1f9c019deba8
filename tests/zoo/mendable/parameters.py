import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(20, 64), nn.ReLU(),
                                  nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, 4)

    def forward(self, x):
        return self.head(self.body(x))


g = torch.Generator().manual_seed(0)
y = torch.randperm(2000, generator=g) % 4
x = 1.2 * torch.randn(4, 20, generator=g)[y] + torch.randn(2000, 20, generator=g)

net = Net()
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(net.head.parameters(),  # only the head?
                       lr=3e-3)
train_loader = DataLoader(TensorDataset(x / x.std(), y), batch_size=50, shuffle=True)
