"""TheDeepChecker's deepCNN, clean: three blocks with batch norm and dropout on small digits."""

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


def norm(make, width):
    return make(width)


def block(width_in, width, drop):
    return nn.Sequential(
        nn.Conv2d(width_in, width, 3, padding=1), nn.ReLU(), norm(nn.BatchNorm2d, width),
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), norm(nn.BatchNorm2d, width),
        nn.MaxPool2d(2), nn.Dropout(drop),
    )


class DeepCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            block(1, 32, drop=0.2), block(32, 64, drop=0.3), block(64, 128, drop=0.4))
        self.fc1 = nn.Linear(128, 128)
        self.norm = norm(nn.BatchNorm1d, 128)
        self.drop = nn.Dropout(0.5)
        self.fc2 = nn.Linear(128, 10)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, x):
        x = torch.relu(self.fc1(self.features(x).flatten(1)))
        return self.fc2(self.drop(self.norm(x)))


def build_model():
    return DeepCNN()


loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
