"""Tags for the words of padded sentences: a word's tag hangs on it and on the one before it."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

g = torch.Generator().manual_seed(0)
size, longest, words, tags = 1600, 24, 40, 6
tokens = torch.randint(1, words, (size, longest), generator=g)
kinds = torch.randint(1, tags, (words,), generator=g)
before = torch.cat([torch.zeros(size, 1, dtype=torch.long), tokens[:, :-1]], dim=1)
targets = (kinds[tokens] + before % 2) % (tags - 1) + 1
lengths = torch.randint(4, longest + 1, (size, 1), generator=g)
padded = torch.arange(longest) >= lengths
tokens[padded], targets[padded] = 0, 0

train_loader = DataLoader(TensorDataset(tokens[:1300], targets[:1300]), batch_size=32, shuffle=True)
val_loader = DataLoader(TensorDataset(tokens[1300:], targets[1300:]), batch_size=100)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(words, 32, padding_idx=0)
        self.gru = nn.GRU(32, 48, batch_first=True)
        self.head = nn.Linear(48, tags)

    def forward(self, x):
        states, _ = self.gru(self.embed(x))
        return self.head(states).transpose(1, 2)


def build_model():
    return Tagger()


loss_fn = nn.CrossEntropyLoss(ignore_index=0)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
