from torch import nn


class Regressor(nn.Module):
    def __init__(self, width: int, depth: int = 2):
        super().__init__()
        layers = []
        for index in range(depth):
            layers += [nn.Linear(8 if index == 0 else width, width), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        return self.head(self.body(x)).squeeze(-1)


def build(config):
    return Regressor(config["width"], config["depth"])
