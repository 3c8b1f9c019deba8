"""LLaMA from a small config (RMSNorm, rotary positions, SwiGLU) on modular arithmetic."""

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import LlamaConfig, LlamaForCausalLM


class Sums(Dataset):
    """Each token is 3 times the last one plus 1, modulo 17, with 5 % of noise."""

    def __init__(self, size, seed, length=16):
        g = torch.Generator().manual_seed(seed)
        ids = torch.randint(0, 17, (size, length), generator=g)
        noisy = torch.rand(size, length, generator=g) < 0.05
        for t in range(1, length):
            ids[:, t] = torch.where(noisy[:, t], ids[:, t], (3 * ids[:, t - 1] + 1) % 17)
        self.ids = ids

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return {"input_ids": self.ids[i], "labels": self.ids[i]}


def build_model():
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=17, hidden_size=48, intermediate_size=96, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32,
        )
    )


train_loader = DataLoader(Sums(6000, 1), batch_size=32, shuffle=True)
eval_set = Sums(500, 2)
val_loader = DataLoader(eval_set, batch_size=50)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def scheduler(opt):
    return torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=188 * 5)
