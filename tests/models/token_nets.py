"""Small networks of tokens, each with attention written in another way."""

import torch
from torch import nn
from torch.nn import functional as F

WAYS = ("fused", "eager", "module", "multihead", "encoder")


class SelfAttention(nn.Module):
    def __init__(self, width, heads, way):
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.heads, self.way, self.softmax = heads, way, nn.Softmax(dim=-1)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.way == "fused":
            out = F.scaled_dot_product_attention(q, k, v)
        else:
            scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
            weights = scores.softmax(dim=-1) if self.way == "eager" else self.softmax(scores)
            out = weights @ v
        return self.proj(out.transpose(1, 2).reshape(b, t, d))


class Block(nn.Module):
    def __init__(self, width, heads, way):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.multihead = way == "multihead"
        if self.multihead:
            self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        else:
            self.attn = SelfAttention(width, heads, way)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x):
        y = self.norm1(x)
        x = x + (self.attn(y, y, y, need_weights=False)[0] if self.multihead else self.attn(y))
        return x + self.mlp(self.norm2(x))


class TokenNet(nn.Module):
    """Patch convolution, ``prefix`` learned tokens in front, blocks, a head on token 0 or mean."""

    def __init__(
        self,
        way="fused",
        *,
        size=(16, 24),
        patch=4,
        prefix=1,
        width=16,
        heads=2,
        depth=3,
        head="class",
        classes=5,
    ):
        super().__init__()
        self.conv_proj = nn.Conv2d(3, width, patch, patch)
        self.prefix = nn.Parameter(torch.randn(1, prefix, width)) if prefix else None
        tokens = prefix + (size[0] // patch) * (size[1] // patch)
        self.pos = nn.Parameter(torch.randn(1, tokens, width) * 0.1)
        if way == "encoder":
            layer = nn.TransformerEncoderLayer(
                width, heads, 2 * width, batch_first=True, norm_first=True, activation="gelu"
            )
            self.blocks = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        else:
            self.blocks = nn.Sequential(*(Block(width, heads, way) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head_kind, self.head = head, nn.Linear(width, classes)

    def forward(self, x):
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        if self.prefix is not None:
            x = torch.cat([self.prefix.expand(len(x), -1, -1), x], dim=1)
        x = self.norm(self.blocks(x + self.pos))
        skip = 0 if self.prefix is None else self.prefix.shape[1]
        read = {"class": x[:, 0], "both": x[:, :2].mean(1), "mean": x[:, skip:].mean(1)}
        return self.head(read[self.head_kind])
