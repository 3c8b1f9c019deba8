"""DistilBERT that tags every token; padding is marked -100 in the labels."""

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import DistilBertConfig, DistilBertForTokenClassification


class Tags(Dataset):
    """Words 5..44 have a tag each (word mod 4), but after word 2 the tag is always 4."""

    def __init__(self, size, seed, length=18):
        g = torch.Generator().manual_seed(seed)
        ids = torch.randint(5, 45, (size, length), generator=g)
        ids[torch.rand(size, length, generator=g) < 0.15] = 2
        tags = ids % 4
        tags[:, 1:][ids[:, :-1] == 2] = 4
        lengths = torch.randint(10, length + 1, (size, 1), generator=g)
        self.mask = (torch.arange(length) < lengths).long()
        self.ids = ids * self.mask
        self.tags = tags.masked_fill(self.mask == 0, -100)

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return {"input_ids": self.ids[i], "attention_mask": self.mask[i], "labels": self.tags[i]}


def build_model():
    config = DistilBertConfig(
        vocab_size=45, dim=48, n_layers=2, n_heads=4, hidden_dim=96,
        max_position_embeddings=18, num_labels=5,
    )
    return DistilBertForTokenClassification(config)


train_loader = DataLoader(Tags(4000, 1), batch_size=32, shuffle=True)
val_loader = DataLoader(Tags(400, 2), batch_size=50)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
