"""A bidirectional GRU over packed sequences of different lengths (collate_fn, dict batches)."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset


class Brackets(Dataset):
    """Tokens 1..20; the label says which of three motifs is planted somewhere."""

    MOTIFS = torch.tensor([[3, 7], [11, 5], [17, 2]])

    def __init__(self, size, seed):
        g = torch.Generator().manual_seed(seed)
        self.items = []
        for _ in range(size):
            n = int(torch.randint(8, 20, (), generator=g))
            label = int(torch.randint(0, 3, (), generator=g))
            tokens = torch.randint(1, 21, (n,), generator=g)
            for _ in range(2):
                at = int(torch.randint(0, n - 1, (), generator=g))
                tokens[at : at + 2] = self.MOTIFS[label]
            self.items.append((tokens, label))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def collate(items):
    tokens, labels = zip(*items)
    return {
        "tokens": pad_sequence(tokens, batch_first=True),
        "lengths": torch.tensor([len(t) for t in tokens]),
        "label": torch.tensor(labels),
    }


class GRUClassifier(nn.Module):
    def __init__(self, dim=24, hidden=32):
        super().__init__()
        self.embed = nn.Embedding(21, dim, padding_idx=0)
        self.gru = nn.GRU(dim, hidden, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * hidden, 3)

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(
            self.embed(tokens), lengths, batch_first=True, enforce_sorted=False
        )
        _, h = self.gru(packed)
        return self.out(torch.cat([h[0], h[1]], dim=1))


train_loader = DataLoader(Brackets(4000, 1), batch_size=50, shuffle=True, collate_fn=collate)
val_loader = DataLoader(Brackets(600, 2), batch_size=60, collate_fn=collate)


def training_step(model, batch):
    logits = model(batch["tokens"], batch["lengths"])
    return nn.functional.cross_entropy(logits, batch["label"])


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
