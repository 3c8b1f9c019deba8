"""BERT from a small config on dict batches; the model computes its own loss."""

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import BertConfig, BertForSequenceClassification

VOCAB, LENGTH = 64, 16


class Topics(Dataset):
    """Each of three topics prefers eight words of its own; the rest is common to all."""

    def __init__(self, size, seed):
        g = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(0, 3, (size,), generator=g)
        common = torch.randint(30, VOCAB, (size, LENGTH), generator=g)
        own = 3 + 8 * self.labels.unsqueeze(1) + torch.randint(0, 8, (size, LENGTH), generator=g)
        words = torch.where(torch.rand(size, LENGTH, generator=g) < 0.35, own, common)
        words[:, 0] = 1
        lengths = torch.randint(10, LENGTH + 1, (size, 1), generator=g)
        self.mask = (torch.arange(LENGTH) < lengths).long()
        self.words = words * self.mask

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return dict(input_ids=self.words[i], attention_mask=self.mask[i], labels=self.labels[i])


def build_model():
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=VOCAB, hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=96, max_position_embeddings=LENGTH, num_labels=3,
        )
    )


train_loader = DataLoader(Topics(4000, 1), batch_size=32, shuffle=True)
val_loader = DataLoader(Topics(600, 2), batch_size=60)


def optimizer(model):
    no_decay = ("bias", "LayerNorm", "embeddings")
    named = list(model.named_parameters())
    groups = [
        {"params": [p for n, p in named if not any(k in n for k in no_decay)]},
        {"params": [p for n, p in named if any(k in n for k in no_decay)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=2e-3, weight_decay=0.01)
