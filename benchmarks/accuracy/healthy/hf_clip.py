"""CLIP from small configs: digits and their names as short token sequences."""

import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig


class Captions(Dataset):
    """Caption: two words for the digit, two filler words, end of text."""

    def __init__(self, part, seed):
        g = torch.Generator().manual_seed(seed)
        data = load_digits()
        order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))[part]
        x = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1)
        self.x = ((x - 4.88) / 6.02)[order]
        y = torch.tensor(data.target)[order]
        filler = torch.randint(30, 40, (len(y), 2), generator=g)
        words = torch.stack([y + 2, y + 15], dim=1)
        end = torch.full((len(y), 1), 41)
        self.ids = torch.cat([words, filler, end], dim=1)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"pixel_values": self.x[i], "input_ids": self.ids[i]}


def build_model():
    text = CLIPTextConfig(
        vocab_size=42, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=4, max_position_embeddings=8, eos_token_id=41, bos_token_id=0,
        pad_token_id=1, projection_dim=24,
    )
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
        image_size=8, patch_size=2, num_channels=1, projection_dim=24,
    )
    parts = dict(text_config=text.to_dict(), vision_config=vision.to_dict())
    return CLIPModel(CLIPConfig(**parts, projection_dim=24))


def training_step(model, batch):
    return model(**batch, return_loss=True).loss


train_loader = DataLoader(Captions(slice(0, 1400), 1), batch_size=32, shuffle=True, drop_last=True)
val_loader = DataLoader(Captions(slice(1400, None), 2), batch_size=32, drop_last=True)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
