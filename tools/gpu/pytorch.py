"""The goals' work in PyTorch on the same card: seconds of each as one JSON object. python3 pytorch.py cuda:0 full|quick"""
import json
import sys

import torch
import torch.nn.functional as F

device, full = torch.device(sys.argv[1]), sys.argv[2] == "full"
if not torch.cuda.is_available():
    sys.exit("PyTorch sees no CUDA device")
torch.backends.cuda.matmul.allow_tf32 = False


def seconds(work, times=10):
    for _ in range(3):
        work()
    best = float("inf")
    for _ in range(5):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(times):
            work()
        end.record()
        torch.cuda.synchronize()
        best = min(best, start.elapsed_time(end) / times * 1e-3)
    return best


out = {"version": torch.__version__, "card": torch.cuda.get_device_name(device)}
n = 8192 if full else 256
a, b = torch.randn(n, n, device=device), torch.randn(n, n, device=device)
out["matmul_fp32"] = seconds(lambda: a @ b, 3)
ah, bh = a.bfloat16(), b.bfloat16()
out["matmul_bf16"] = seconds(lambda: ah @ bh)
del a, b, ah, bh

rows = 16384 if full else 128
x = torch.randn(rows, 2560 if full else 256, device=device)
out["l1"] = seconds(lambda: torch.cdist(x, x, p=1), 1)
del x

B, H, T = (8, 12, 1024) if full else (1, 2, 128)
q, k, v = (torch.randn(B, H, T, 64, device=device, requires_grad=True) for _ in range(3))
out["attention"] = seconds(lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True))
y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
g = torch.randn_like(y)
out["attention_backward"] = seconds(lambda: torch.autograd.grad(y, (q, k, v), g, retain_graph=True))
del q, k, v, y, g

count = 124_000_000 if full else 1 << 18
p = torch.nn.Parameter(torch.randn(count, device=device))
p.grad = torch.randn(count, device=device)
optimizer = torch.optim.AdamW([p], lr=1e-4, fused=True)
out["adamw"] = seconds(optimizer.step)
del p, optimizer


class Block(torch.nn.Module):
    """A Llama-style block in eager PyTorch."""

    def __init__(self, c, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = torch.nn.LayerNorm(c, bias=False), torch.nn.LayerNorm(c, bias=False)
        self.qkv, self.out = torch.nn.Linear(c, 3 * c, bias=False), torch.nn.Linear(c, c, bias=False)
        self.up, self.down = torch.nn.Linear(c, 2 * (8 * c // 3), bias=False), torch.nn.Linear(8 * c // 3, c, bias=False)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (z.view(b, t, self.heads, c // self.heads).transpose(1, 2) for z in self.qkv(self.norm1(x)).chunk(3, -1))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, c))
        gate, up = self.up(self.norm2(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


C, L, V, batch, length = (768, 12, 50257, 8, 1024) if full else (96, 2, 256, 1, 64)
embed = torch.nn.Embedding(V, C).to(device)
blocks = torch.nn.ModuleList([Block(C, C // 64 if full else 2) for _ in range(L)]).to(device)
parameters = list(embed.parameters()) + list(blocks.parameters())
optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
tokens = torch.randint(V, (batch, length + 1), device=device)


def step():
    with torch.autocast("cuda", torch.bfloat16):
        h = embed(tokens[:, :-1])
        for block in blocks:
            h = block(h)
        loss = F.cross_entropy((h @ embed.weight.T).float().flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()


out["step_tokens_per_second"] = batch * length / seconds(step, 3)
print(json.dumps(out))
