"""RoBERTa from a small config as a masked language model."""

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import RobertaConfig, RobertaForMaskedLM

MASK, LENGTH = 3, 16


class Masked(Dataset):
    """Five topics of four words each; a hidden word must come from the topic of the others."""

    def __init__(self, size, seed):
        g = torch.Generator().manual_seed(seed)
        topic = torch.randint(0, 5, (size, 1), generator=g)
        ids = 4 + 4 * topic + torch.randint(0, 4, (size, LENGTH), generator=g)
        hidden = torch.rand(size, LENGTH, generator=g) < 1 / 6
        hidden[:, 0] |= ~hidden.any(1)
        self.labels = ids.masked_fill(~hidden, -100)
        self.ids = ids.masked_fill(hidden, MASK)

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return {
            "input_ids": self.ids[i],
            "attention_mask": torch.ones(LENGTH, dtype=torch.long),
            "labels": self.labels[i],
        }


def build_model():
    return RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=24, hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=96, max_position_embeddings=LENGTH + 2, pad_token_id=1,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )
    )


train_loader = DataLoader(Masked(8000, 1), batch_size=64, shuffle=True)
val_loader = DataLoader(Masked(800, 2), batch_size=100)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
