"""A small GPT-2 from `transformers`, random weights, that learns to continue sums. Healthy.

The batches are dicts and the model computes its own loss, as with the Hugging Face Trainer.
A text is `a+b=c` with three digits each, such as `173+048=221`, one token a character.
"""

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import GPT2Config, GPT2LMHeadModel

CHARACTERS = "0123456789+=."
LENGTH = 13


class Sums(Dataset):
    def __init__(self, size, seed):
        g = torch.Generator().manual_seed(seed)
        pairs = torch.randint(0, 500, (size, 2), generator=g).tolist()
        texts = [f"{a:03d}+{b:03d}={a + b:03d}.." for a, b in pairs]
        self.ids = torch.tensor([[CHARACTERS.index(c) for c in text] for text in texts])

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return {"input_ids": self.ids[i], "labels": self.ids[i]}


def build_model():
    config = GPT2Config(
        vocab_size=len(CHARACTERS),
        n_positions=LENGTH,
        n_embd=64,
        n_layer=2,
        n_head=4,
        bos_token_id=None,
        eos_token_id=None,
    )
    return GPT2LMHeadModel(config)


train_loader = DataLoader(Sums(4096, seed=1), batch_size=32, shuffle=True)
val_loader = DataLoader(Sums(512, seed=2), batch_size=64)


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
