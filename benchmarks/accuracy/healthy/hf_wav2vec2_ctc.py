"""Wav2Vec2 from a small config with a CTC head: name the tones of a short signal."""

import math

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC


class Tones(Dataset):
    """Three tones in a row out of four pitches; label 0 is the blank."""

    def __init__(self, size, seed):
        g = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(1, 5, (size, 3), generator=g)
        t = torch.arange(64) / 64
        pitch = (4 * self.labels).unsqueeze(-1)
        wave = torch.sin(2 * math.pi * pitch * t).flatten(1)
        wave = wave + 0.1 * torch.randn(wave.shape, generator=g)
        self.wave = (wave - wave.mean()) / wave.std()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return {"input_values": self.wave[i], "labels": self.labels[i]}


def build_model():
    config = Wav2Vec2Config(
        vocab_size=5, hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=64, conv_dim=(32, 32), conv_kernel=(8, 4), conv_stride=(4, 4),
        num_feat_extract_layers=2, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=4,
        feat_extract_norm="layer", conv_bias=False, pad_token_id=0, ctc_loss_reduction="mean",
        mask_time_prob=0.0, layerdrop=0.0, hidden_dropout=0.0, attention_dropout=0.0,
        activation_dropout=0.0, feat_proj_dropout=0.0, final_dropout=0.0,
    )
    return Wav2Vec2ForCTC(config)


train_loader = DataLoader(Tones(3000, 1), batch_size=32, shuffle=True)
val_loader = DataLoader(Tones(320, 2), batch_size=32)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
