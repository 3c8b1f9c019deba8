"""Q-learning on a fixed replay memory: the targets come from a slow copy of the net itself."""

import copy

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.online = nn.Sequential(
            nn.Linear(4, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2))
        self.slow = copy.deepcopy(self.online).requires_grad_(False)

    def forward(self, state):
        return self.online(state)


def build_model():
    return Agent()


def training_step(model, batch):
    state, action, reward, following, over = batch
    with torch.no_grad():
        if model.training:
            for old, new in zip(model.slow.parameters(), model.online.parameters(), strict=True):
                old.lerp_(new, 0.005)
        target = reward + 0.99 * (1 - over) * model.slow(following).amax(1)
    value = model(state).gather(1, action[:, None]).squeeze(1)
    return nn.functional.smooth_l1_loss(value, target)


def load(count, seed):
    """A point on a line that is pushed left or right and lost beyond two units."""
    drawn = torch.Generator().manual_seed(seed)
    state = torch.randn(count, 4, generator=drawn)
    action = torch.randint(0, 2, (count,), generator=drawn)
    push = (action * 2.0 - 1)[:, None] * torch.tensor([0.0, 0.2, 0.0, -0.3])
    following = state + 0.1 * state.roll(-1, 1) + push
    over = (following[:, 0].abs() > 2).float()
    return TensorDataset(state, action, torch.ones(count), following, over)


train_loader = DataLoader(load(12800, 0), batch_size=128, shuffle=True)
val_loader = DataLoader(load(1280, 1), batch_size=128)


def make_optimizer(model):
    return torch.optim.AdamW(model.online.parameters(), lr=3e-4, amsgrad=True)
