"""GPT-2 from a small config; labels are the inputs, shifted by the model itself."""

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import GPT2Config, GPT2LMHeadModel

VOCAB, LENGTH = 32, 24


class Patterns(Dataset):
    """Counting upwards by 1, 2 or 3, modulo the size of the vocabulary."""

    def __init__(self, size, seed):
        g = torch.Generator().manual_seed(seed)
        step = torch.randint(1, 4, (size, 1), generator=g)
        start = torch.randint(0, VOCAB, (size, 1), generator=g)
        self.ids = (start + step * torch.arange(LENGTH)) % VOCAB

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return {"input_ids": self.ids[i], "labels": self.ids[i]}


def build_model():
    config = GPT2Config(
        vocab_size=VOCAB, n_positions=LENGTH, n_embd=48, n_layer=2, n_head=4,
        bos_token_id=0, eos_token_id=0,
    )
    return GPT2LMHeadModel(config)


train_loader = DataLoader(Patterns(4000, 1), batch_size=32, shuffle=True)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
