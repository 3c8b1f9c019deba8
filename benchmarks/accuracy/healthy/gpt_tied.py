"""A tiny GPT of one's own with tied weights; the text is a noisy walk over an alphabet."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

VOCAB, CONTEXT = 24, 24


class Walks(Dataset):
    """The next token follows from the last one, except for 10 % of surprises."""

    def __init__(self, size, seed):
        g = torch.Generator().manual_seed(seed)
        tokens = torch.zeros(size, CONTEXT + 1, dtype=torch.long)
        tokens[:, 0] = torch.randint(0, VOCAB, (size,), generator=g)
        for t in range(1, CONTEXT + 1):
            rule = (5 * tokens[:, t - 1] + 3) % VOCAB
            surprise = torch.randint(0, VOCAB, (size,), generator=g)
            odd = torch.rand(size, generator=g) < 0.1
            tokens[:, t] = torch.where(odd, surprise, rule)
        self.tokens = tokens

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, i):
        return self.tokens[i, :-1], self.tokens[i, 1:]


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim, bias=False)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(a.transpose(1, 2).reshape(n, t, d))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    def __init__(self, dim=48, depth=2, heads=4):
        super().__init__()
        self.wte = nn.Embedding(VOCAB, dim)
        self.wpe = nn.Embedding(CONTEXT, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.ln_f = nn.LayerNorm(dim)
        self.lm_head = nn.Linear(dim, VOCAB, bias=False)
        self.apply(self._init)
        self.lm_head.weight = self.wte.weight

    def _init(self, m):
        if isinstance(m, (nn.Linear, nn.Embedding)):
            nn.init.normal_(m.weight, std=0.02)
        if isinstance(m, nn.Linear) and m.bias is not None:
            nn.init.zeros_(m.bias)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.lm_head(self.ln_f(x))


def build_model():
    return GPT()


def loss_fn(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


train_loader = DataLoader(Walks(4000, 1), batch_size=32, shuffle=True)
val_loader = DataLoader(Walks(500, 2), batch_size=50)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3, betas=(0.9, 0.95))
