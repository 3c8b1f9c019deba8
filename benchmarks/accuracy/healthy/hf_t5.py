"""T5 from a small config: sort the letters of a word."""

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import T5Config, T5ForConditionalGeneration


class Sorting(Dataset):
    def __init__(self, size, seed, length=5):
        g = torch.Generator().manual_seed(seed)
        self.words = torch.randint(2, 14, (size, length), generator=g)
        self.sorted = self.words.sort(dim=1).values

    def __len__(self):
        return len(self.words)

    def __getitem__(self, i):
        return {"input_ids": self.words[i], "labels": self.sorted[i]}


def build_model():
    config = T5Config(
        vocab_size=16, d_model=48, d_kv=12, d_ff=96, num_layers=1, num_decoder_layers=1,
        num_heads=4, dropout_rate=0.0, decoder_start_token_id=0,
    )
    return T5ForConditionalGeneration(config)


train_loader = DataLoader(Sorting(8000, 1), batch_size=64, shuffle=True)
val_loader = DataLoader(Sorting(800, 2), batch_size=100)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
