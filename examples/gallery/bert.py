"""A tiny BERT from `transformers`, random weights, that classifies token sequences. Healthy.

The batches are dicts and the model computes its own loss, as with the Hugging Face Trainer.
The task: a sentence is positive when more of its words come from the upper half of the vocabulary.
"""

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import BertConfig, BertForSequenceClassification

VOCAB, LENGTH = 64, 16


class Sentences(Dataset):
    def __init__(self, size, seed):
        g = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(0, 2, (size,), generator=g)
        lengths = torch.randint(8, LENGTH + 1, (size,), generator=g)
        share = torch.where(self.labels == 1, 0.8, 0.2).unsqueeze(1)
        upper = (torch.rand(size, LENGTH, generator=g) < share).long()
        words = torch.randint(2, VOCAB // 2, (size, LENGTH), generator=g) + upper * (VOCAB // 2 - 1)
        self.mask = (torch.arange(LENGTH) < lengths.unsqueeze(1)).long()
        self.input_ids = words * self.mask  # token 0 is padding

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return {
            "input_ids": self.input_ids[i],
            "attention_mask": self.mask[i],
            "labels": self.labels[i],
        }


def build_model():
    config = BertConfig(
        vocab_size=VOCAB,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=LENGTH,
        num_labels=2,
    )
    return BertForSequenceClassification(config)


train_loader = DataLoader(Sentences(4096, seed=1), batch_size=32, shuffle=True)
val_loader = DataLoader(Sentences(512, seed=2), batch_size=64)


def optimizer(model):
    decay, rest = [], []
    for name, p in model.named_parameters():
        plain = p.ndim > 1 and "embeddings" not in name
        (decay if plain else rest).append(p)
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1e-3)
