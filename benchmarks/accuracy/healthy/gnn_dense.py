"""A graph net on dense adjacency matrices: does a small graph hold a triangle-rich cluster?"""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

NODES = 12


class Graphs(Dataset):
    """Label 1: edges cluster in two groups; label 0: the same density everywhere."""

    def __init__(self, size, seed):
        g = torch.Generator().manual_seed(seed)
        self.y = torch.randint(0, 2, (size,), generator=g)
        group = torch.randint(0, 2, (size, NODES), generator=g)
        same = (group.unsqueeze(1) == group.unsqueeze(2)).float()
        p = torch.where(self.y.view(-1, 1, 1) == 1, 0.1 + 0.7 * same, torch.tensor(0.45))
        upper = torch.triu((torch.rand(size, NODES, NODES, generator=g) < p).float(), 1)
        self.adj = upper + upper.transpose(1, 2)
        self.features = torch.randn(size, NODES, 4, generator=g)
        self.features += 1.5 * (2 * group - 1).unsqueeze(-1)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.features[i] / 1.8, self.adj[i], self.y[i]


class GraphConv(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.own = nn.Linear(d_in, d_out)
        self.around = nn.Linear(d_in, d_out, bias=False)

    def forward(self, x, adj):
        degree = adj.sum(-1, keepdim=True).clamp(min=1)
        return self.own(x) + self.around(adj @ x / degree)


class GNN(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.conv1 = GraphConv(4, dim)
        self.conv2 = GraphConv(dim, dim)
        self.readout = nn.Linear(dim, 2)

    def forward(self, x, adj):
        x = torch.relu(self.conv1(x, adj))
        x = torch.relu(self.conv2(x, adj))
        return self.readout(x.mean(1))


train_loader = DataLoader(Graphs(5000, 1), batch_size=64, shuffle=True)
val_loader = DataLoader(Graphs(600, 2), batch_size=100)


def training_step(model, batch):
    x, adj, y = batch
    return nn.functional.cross_entropy(model(x, adj), y)


def build_model():
    return GNN()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
