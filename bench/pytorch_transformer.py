"""The paper's Transformer in PyTorch, written for speed on a CPU: the peer of the benchmarks in this folder."""
import torch
from torch import nn
from torch.nn import functional as F


class Transformer(nn.Module):
    """One embedding for both sides and the head, sinusoidal positions, post-norm. Sentences may be padded at their end."""

    def __init__(self, vocabulary, width, inner, heads, layers, longest, dropout, smoothing, pad=None):
        super().__init__()
        self.width, self.dropout, self.smoothing, self.pad = width, dropout, smoothing, pad
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=width ** -0.5)
        self.encoder = nn.ModuleList(Layer(width, inner, heads, dropout, decoder=False) for _ in range(layers))
        self.decoder = nn.ModuleList(Layer(width, inner, heads, dropout, decoder=True) for _ in range(layers))
        angles = torch.arange(longest)[:, None] / 10000 ** (torch.arange(0, width, 2) / width)
        self.register_buffer("positions", torch.cat([angles.sin(), angles.cos()], 1))

    def embed(self, ids):
        return F.dropout(self.embedding(ids) * self.width ** 0.5 + self.positions[:ids.shape[1]], self.dropout)

    def forward(self, source, target, labels):
        # The causal mask keeps a target's words from its padding; labels of padding do not count.
        mask = None if self.pad is None else (source != self.pad)[:, None, None, :]
        memory, x = self.embed(source), self.embed(target)
        for layer in self.encoder:
            memory = layer(memory, mask=mask)
        for layer in self.decoder:
            x = layer(x, memory, mask)
        logits = F.linear(x, self.embedding.weight).flatten(0, 1)
        return F.cross_entropy(logits, labels.flatten(), ignore_index=-100, label_smoothing=self.smoothing)


class Attention(nn.Module):
    def __init__(self, width, heads, cross):
        super().__init__()
        self.heads, self.cross = heads, cross
        self.inputs = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, 2 * width)] if cross else
                                    [nn.Linear(width, 3 * width)])
        self.out = nn.Linear(width, width)

    def split(self, x, parts):
        return x.view(x.shape[0], x.shape[1], parts, self.heads, -1).permute(2, 0, 3, 1, 4)

    def forward(self, x, memory=None, mask=None, causal=False):
        if self.cross:
            (q,), (k, v) = self.split(self.inputs[0](x), 1), self.split(self.inputs[1](memory), 2)
        else:
            q, k, v = self.split(self.inputs[0](x), 3)
        a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        return self.out(a.transpose(1, 2).reshape(x.shape))


class Layer(nn.Module):
    def __init__(self, width, inner, heads, dropout, decoder):
        super().__init__()
        self.dropout = dropout
        self.attention = Attention(width, heads, False)
        self.cross = Attention(width, heads, True) if decoder else None
        self.inner, self.outer = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if decoder else 2))

    def forward(self, x, memory=None, mask=None):
        if memory is None:
            x = self.norms[0](x + F.dropout(self.attention(x, mask=mask), self.dropout))
        else:
            x = self.norms[0](x + F.dropout(self.attention(x, causal=True), self.dropout))
            x = self.norms[1](x + F.dropout(self.cross(x, memory, mask), self.dropout))
        return self.norms[-1](x + F.dropout(self.outer(F.relu(self.inner(x))), self.dropout))


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98), fused=True)


def make_step(model, optimizer, compiled=False, bf16=False):
    """A function that makes one update of `model` with a batch of source, target and labels, and gives the loss."""
    forward = torch.compile(model, dynamic=model.pad is not None) if compiled else model

    def step(batch):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = forward(*batch)
        loss.backward()
        optimizer.step()
        return loss.item()
    return step
