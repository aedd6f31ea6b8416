"""A training step of this project's architecture in PyTorch eager: RMSNorm, rotary positions, SwiGLU, no biases, tied embeddings.

The shapes, and so the floating-point operations, are those of the engine's step: every token carries loss, no dropout, no clipping.
"""

import torch
import torch.nn.functional as functional

from common import measure, options, report, start


class Block(torch.nn.Module):
    def __init__(self, width, heads, middle):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = torch.nn.Parameter(torch.ones(width)), torch.nn.Parameter(torch.ones(width))
        self.q, self.k, self.v, self.o = (matrix(width, width) for _ in range(4))
        self.gate, self.up, self.down = matrix(middle, width), matrix(middle, width), matrix(width, middle)

    def forward(self, x, cos, sin, mask):
        batch, length, width = x.shape
        normed = rms_norm(x, self.norm1)
        q, k, v = (functional.linear(normed, w).view(batch, length, self.heads, -1).transpose(1, 2) for w in (self.q, self.k, self.v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        scores = (q @ k.transpose(2, 3)) * q.shape[-1] ** -0.5 + mask
        attended = (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(batch, length, width)
        x = x + functional.linear(attended, self.o)
        normed = rms_norm(x, self.norm2)
        return x + functional.linear(functional.silu(functional.linear(normed, self.gate)) * functional.linear(normed, self.up), self.down)


class Model(torch.nn.Module):
    def __init__(self, layers, width, heads, middle, vocabulary, length):
        super().__init__()
        self.embedding = matrix(vocabulary, width)
        self.blocks = torch.nn.ModuleList(Block(width, heads, middle) for _ in range(layers))
        self.norm = torch.nn.Parameter(torch.ones(width))
        half = width // heads // 2
        angles = torch.arange(length).float()[:, None] * 10000.0 ** (-torch.arange(half).float() / half)
        self.cos, self.sin = torch.cat([angles.cos()] * 2, dim=1), torch.cat([angles.sin()] * 2, dim=1)
        self.mask = torch.full((length, length), float("-inf")).triu(1)

    def forward(self, tokens, targets):
        x = functional.embedding(tokens, self.embedding)
        for block in self.blocks:
            x = block(x, self.cos, self.sin, self.mask)
        logits = functional.linear(rms_norm(x, self.norm), self.embedding)
        return functional.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def matrix(rows, columns):
    return torch.nn.Parameter(torch.randn(rows, columns) * (2 / (5 * columns)) ** 0.5)


def rms_norm(x, weight):
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-5) * weight


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-b, a], dim=-1) * sin


def main():
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--middle", type=int, default=1024)
    parser.add_argument("--vocabulary", type=int, default=256)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--forward", action="store_true", help="losses only, without gradients")
    arguments = parser.parse_args()
    start(arguments)
    model = Model(arguments.layers, arguments.width, arguments.heads, arguments.middle, arguments.vocabulary, arguments.length)
    tokens = torch.randint(arguments.vocabulary, (arguments.batch, arguments.length))
    targets = torch.randint(arguments.vocabulary, (arguments.batch, arguments.length))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.1, foreach=True)
    losses = []

    def forward():
        with torch.no_grad():
            losses.append(model(tokens, targets).item())

    def step():
        optimizer.zero_grad(set_to_none=False)
        loss = model(tokens, targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    samples = measure(forward if arguments.forward else step, arguments)
    report("forward" if arguments.forward else "step", samples, loss=losses[0], parameters=sum(p.numel() for p in model.parameters()))


if __name__ == "__main__":
    main()
