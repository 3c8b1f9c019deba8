#!/usr/bin/env python
# coding: utf-8

# # Two moons

# In[1]:


get_ipython().run_line_magic('matplotlib', 'inline')
import math
import torch
import torch.nn as nn
import torch.optim as optim


# In[2]:


def moons(n, seed):
    g = torch.Generator().manual_seed(seed)
    angle = torch.rand(n, generator=g) * math.pi
    label = torch.randint(0, 2, (n,), generator=g)
    side = 1 - 2 * label
    x = torch.stack([torch.cos(angle) * side + label, torch.sin(angle) * side + 0.5 * label], 1)
    return x + 0.1 * torch.randn(n, 2, generator=g), label

X, y = moons(1000, 0)
X.shape


# In[3]:


BATCH = 50
dataset = torch.utils.data.TensorDataset(X[:800], y[:800].float())
loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH, shuffle=True)
X_val, y_val = X[800:], y[800:].float()


# In[4]:


class MoonNet(nn.Module):
    def __init__(self):
        super(MoonNet, self).__init__()
        self.a = nn.Linear(2, 64)
        self.b = nn.Linear(64, 1)

    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))

model = MoonNet()
print(model)


# In[5]:


criterion = nn.BCEWithLogitsLoss()
optimizer = optim.Adam(model.parameters(), lr=0.01)

losses = []
for epoch in range(20):
    for xb, yb in loader:
        out = model(xb).squeeze(1)
        loss = criterion(out, yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())


# In[6]:


get_ipython().run_line_magic('timeit', 'model(X_val)')
acc = ((model(X_val).squeeze(1) > 0) == y_val.bool()).float().mean()
acc
