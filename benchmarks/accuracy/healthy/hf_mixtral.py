"""Mixtral from a small config: four experts, two of them used for each token."""

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import MixtralConfig, MixtralForCausalLM


class Counting(Dataset):
    def __init__(self, size, seed, length=12):
        g = torch.Generator().manual_seed(seed)
        start = torch.randint(0, 20, (size, 1), generator=g)
        step = torch.randint(1, 3, (size, 1), generator=g)
        self.ids = (start + step * torch.arange(length)) % 20

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return {"input_ids": self.ids[i], "labels": self.ids[i]}


def build_model():
    return MixtralForCausalLM(
        MixtralConfig(
            vocab_size=20, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, num_local_experts=4,
            num_experts_per_tok=2, max_position_embeddings=32,
        )
    )


train_loader = DataLoader(Counting(4000, 1), batch_size=32, shuffle=True)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
