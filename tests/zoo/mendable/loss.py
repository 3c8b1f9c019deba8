import torch
from torch.utils.data import DataLoader, TensorDataset

def blobs(count=2000, seed=0):
  g = torch.Generator().manual_seed(seed)
  y = torch.randperm(count, generator=g) % 4
  x = 1.2 * torch.randn(4, 20, generator=g)[y] + torch.randn(count, 20, generator=g)
  return TensorDataset(x / x.std(), y)

# two spaces, no blank lines
model = torch.nn.Sequential(
  torch.nn.Linear(20, 64), torch.nn.ReLU(),
  torch.nn.Linear(64, 4),  # raw scores
)
loss = torch.nn.NLLLoss(reduction='mean')  # expects log-probabilities
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
loader = DataLoader(blobs(), batch_size=50, shuffle=True)
