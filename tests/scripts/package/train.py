"""Classes in a package; settings in a dictionary that main() is given; the loss is a sum."""

import torch
from torch import nn
from torch.optim import AdamW

from shapes.data import make_loaders
from shapes.models import build

CONFIG = {"width": 32, "depth": 2, "lr": 3e-3, "batch_size": 32, "l1": 1e-6}


def penalty(model):
    return sum(p.abs().sum() for p in model.parameters())


def run(config, epochs=3):
    device = "cpu"
    trainloader, valloader = make_loaders(config["batch_size"])
    net = build(config)
    net.to(device)
    decayed = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    opt = AdamW([{"params": decayed}, {"params": others, "weight_decay": 0.0}], lr=config["lr"])
    criterion = nn.MSELoss()
    for epoch in range(epochs):
        net.train()
        for inputs, targets in trainloader:
            inputs, targets = inputs.to(device), targets.to(device)
            opt.zero_grad()
            predictions = net(inputs)
            loss = criterion(predictions, targets) + config["l1"] * penalty(net)
            loss.backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            scores = [criterion(net(inputs), targets).item() for inputs, targets in valloader]
        print(epoch, sum(scores) / len(scores))


if __name__ == "__main__":
    run(CONFIG)
