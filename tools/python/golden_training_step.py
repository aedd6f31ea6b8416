#!/usr/bin/env python3
"""Makes tests/NativeEngine.Tests/Golden/training_step.json: training steps of a tiny Llama, computed by PyTorch's autograd.

The model is written here from the architecture's definition, so that the engine's hand-written forward and backward passes have a judge
that shares no line with them. Everything is computed in float64 and rounded once to float32 for the file; the same steps are computed in
float32 too, and the largest difference is printed, which is what the tolerances of the test rest on.

    python3 tools/python/golden_training_step.py [OUTPUT.json]

Made with Python 3.11.2, PyTorch 1.13.0 and numpy 1.24.2 (Debian 12: apt-get install python3-torch python3-numpy). The numbers are drawn
from numpy's PCG64, so other versions give the same file up to the last digit of a few numbers.

Definitions (x is a row, matrices are [out, in]):
  RMSNorm    y = w * x / sqrt(mean(x^2) + eps)
  attention  q = Wq n, k = Wk n, v = Wv n, cut into heads of d; query head i reads key/value head i // (heads / kv_heads);
             rotary positions, half-split: pair (j, j + d/2) of q and k is turned by the angle position * theta^(-2j/d);
             softmax over the keys up to the query's own position of q.k / sqrt(d); the heads side by side, then Wo
  SwiGLU     Wdown (silu(Wgate n) * (Wup n))
  block      h += attention(RMSNorm(h)); h += SwiGLU(RMSNorm(h))
  output     logits = Wout RMSNorm(h); Wout is the embedding when tied
  LoRA       W x + (alpha / r) B (A x) on every projection, the base frozen
  loss       mean over all label tokens of the batch of -log softmax(logits)[target], natural logarithm
  clipping   g *= min(1, max_norm / (norm + 1e-6)), norm over all trained parameters (torch.nn.utils.clip_grad_norm_)
  schedule   step s of W warm-up steps: peak (s + 1) / W; after: peak (floor + (1 - floor) (1 + cos(pi (s - W) / (S - W))) / 2)
  AdamW      torch.optim.AdamW; decay of matrices only
  SGD        matrices p *= 1 - lr wd, then torch.optim.SGD with momentum and without decay of its own
  Lion       matrices p *= 1 - lr wd; p -= lr sign(b1 m + (1 - b1) g); m = b2 m + (1 - b2) g
"""
import json
import math
import pathlib
import sys

import numpy as np
import torch

PROJECTIONS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
STEPS = 3

CASES = [
    dict(
        name="tied_gqa", seed=1, tied=True, vocab=23, hidden=12, intermediate=20, layers=2, heads=4, kv_heads=2, head_dim=6,
        context=16, eps=1e-5, theta=10000.0, deviation=0.35,
        schedule=dict(peak=0.02, steps=6, warmup=2, floor=0.1),
        adamw=dict(beta1=0.9, beta2=0.95, eps=1e-3, weight_decay=0.1, max_norm=1.0)),
    dict(
        name="untied_mha", seed=2, tied=False, vocab=19, hidden=10, intermediate=14, layers=2, heads=3, kv_heads=3, head_dim=4,
        context=16, eps=1e-6, theta=500.0, deviation=0.35,
        schedule=dict(peak=0.01, steps=5, warmup=1, floor=0.0),
        adamw=dict(beta1=0.8, beta2=0.999, eps=1e-8, weight_decay=0.05, max_norm=1.0),
        sgd=dict(momentum=0.9, weight_decay=0.1, lr=[0.05, 0.03]),
        lion=dict(beta1=0.9, beta2=0.99, weight_decay=0.2, lr=[0.01, 0.004])),
    dict(
        name="lora", seed=3, tied=True, vocab=17, hidden=10, intermediate=14, layers=2, heads=4, kv_heads=2, head_dim=4,
        context=16, eps=1e-5, theta=10000.0, deviation=0.2, rank=3, alpha=5.0,
        schedule=dict(peak=0.02, steps=5, warmup=2, floor=0.0),
        adamw=dict(beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.1, max_norm=2.0)),
]


def weight_shapes(case):
    """Name and shape of every weight, as Hugging Face names them."""
    c, i = case["hidden"], case["intermediate"]
    q, kv = case["heads"] * case["head_dim"], case["kv_heads"] * case["head_dim"]
    shapes = {"model.embed_tokens.weight": (case["vocab"], c)}
    for layer in range(case["layers"]):
        sizes = [(q, c), (kv, c), (kv, c), (c, q), (i, c), (i, c), (c, i)]
        for part, shape in zip(PROJECTIONS, sizes):
            shapes[f"model.layers.{layer}.{part}.weight"] = shape
        shapes[f"model.layers.{layer}.input_layernorm.weight"] = (c,)
        shapes[f"model.layers.{layer}.post_attention_layernorm.weight"] = (c,)
    shapes["model.norm.weight"] = (c,)
    if not case["tied"]:
        shapes["lm_head.weight"] = (case["vocab"], c)
    return shapes


def adapter_shapes(case):
    """Name and shape of every low-rank factor, in PEFT's naming without its prefix."""
    shapes = {}
    for name, shape in weight_shapes(case).items():
        if "_proj" in name:
            stem = name[: -len(".weight")]
            shapes[f"{stem}.lora_A.weight"] = (case["rank"], shape[1])
            shapes[f"{stem}.lora_B.weight"] = (shape[0], case["rank"])
    return shapes


def draw(random, shapes, deviation):
    """Matrices normal, norm weights around one, so that no factor is trivially one; all exactly representable in float32."""
    return {
        name: np.float32(random.normal(0, deviation, shape) if len(shape) == 2 else random.normal(1, 0.3, shape)) for name, shape in shapes.items()
    }


def draw_batch(random, case):
    """Three sequences of different length, one of a single token; -1 masks a target: a prefix in one, scattered ones in another."""
    sequences = []
    for length, masked in ((9, range(4)), (1, ()), (13, (1, 2, 7, 12))):
        tokens = random.integers(0, case["vocab"], length)
        # Ids in the upper third never enter, so their embedding rows get gradients from the output side at most.
        tokens = tokens * 2 // 3
        targets = random.integers(0, case["vocab"], length)
        for position in masked:
            targets[position] = -1
        sequences.append((tokens.tolist(), targets.tolist()))
    return sequences


def rms_norm(x, weight, eps):
    return weight * x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps)


def rotate(x, theta):
    """x is [heads, positions, d]."""
    d = x.shape[-1]
    frequency = theta ** (-2.0 * torch.arange(d // 2, dtype=x.dtype) / d)
    angle = torch.arange(x.shape[1], dtype=x.dtype)[:, None] * frequency[None, :]
    first, second = x[..., : d // 2], x[..., d // 2 :]
    return torch.cat([first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()], -1)


def forward(case, weights, adapter, tokens):
    """Logits [positions, vocabulary] of one sequence."""

    def project(x, layer, part):
        stem = f"model.layers.{layer}.{part}"
        y = x @ weights[f"{stem}.weight"].T
        if adapter:
            y = y + case["alpha"] / case["rank"] * (x @ adapter[f"{stem}.lora_A.weight"].T) @ adapter[f"{stem}.lora_B.weight"].T
        return y

    def heads(x, count):
        return x.reshape(len(tokens), count, case["head_dim"]).transpose(0, 1)

    h = weights["model.embed_tokens.weight"][torch.tensor(tokens)]
    future = torch.ones(len(tokens), len(tokens), dtype=torch.bool).triu(1)
    for layer in range(case["layers"]):
        n = rms_norm(h, weights[f"model.layers.{layer}.input_layernorm.weight"], case["eps"])
        q = rotate(heads(project(n, layer, "self_attn.q_proj"), case["heads"]), case["theta"])
        k = rotate(heads(project(n, layer, "self_attn.k_proj"), case["kv_heads"]), case["theta"])
        v = heads(project(n, layer, "self_attn.v_proj"), case["kv_heads"])
        outputs = []
        for i in range(case["heads"]):
            g = i // (case["heads"] // case["kv_heads"])
            scores = (q[i] @ k[g].T / math.sqrt(case["head_dim"])).masked_fill(future, -math.inf)
            outputs.append(torch.softmax(scores, -1) @ v[g])
        h = h + project(torch.cat(outputs, -1), layer, "self_attn.o_proj")
        n = rms_norm(h, weights[f"model.layers.{layer}.post_attention_layernorm.weight"], case["eps"])
        gate = project(n, layer, "mlp.gate_proj")
        h = h + project(gate * torch.sigmoid(gate) * project(n, layer, "mlp.up_proj"), layer, "mlp.down_proj")
    n = rms_norm(h, weights["model.norm.weight"], case["eps"])
    return n @ weights["model.embed_tokens.weight" if case["tied"] else "lm_head.weight"].T


def label_losses(case, weights, adapter, batch):
    losses = []
    for tokens, targets in batch:
        logits = forward(case, weights, adapter, tokens)
        for row, target in zip(logits, targets):
            if target >= 0:
                losses.append(torch.logsumexp(row, 0) - row[target])
    return torch.stack(losses)


def learning_rate(schedule, step):
    peak, total, warmup, floor = (schedule[k] for k in ("peak", "steps", "warmup", "floor"))
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))))


class Run:
    """One training run in one precision: the trained tensors and how their gradient is made."""

    def __init__(self, case, weights, adapter, batch, dtype):
        self.case, self.batch = case, batch
        self.weights = {name: torch.tensor(value, dtype=dtype) for name, value in weights.items()}
        self.adapter = {name: torch.tensor(value, dtype=dtype) for name, value in adapter.items()}
        self.trained = self.adapter or self.weights
        for tensor in self.trained.values():
            tensor.requires_grad_()

    def gradient(self):
        for tensor in self.trained.values():
            tensor.grad = None
        losses = label_losses(self.case, self.weights, self.adapter, self.batch)
        losses.mean().backward()
        return losses.detach().numpy().copy()

    def snapshot(self, of=lambda tensor: tensor.detach()):
        return {name: of(tensor).numpy().copy() for name, tensor in self.trained.items()}

    def decay(self, factor):
        with torch.no_grad():
            for tensor in self.trained.values():
                if tensor.dim() == 2:
                    tensor.mul_(factor)


def run_adamw(run):
    """The gradient of the first step, and the parameters after each step."""
    options, schedule = run.case["adamw"], run.case["schedule"]
    matrices = [t for t in run.trained.values() if t.dim() == 2]
    others = [t for t in run.trained.values() if t.dim() != 2]
    groups = [dict(params=matrices, weight_decay=options["weight_decay"])]
    groups += [dict(params=others, weight_decay=0.0)] if others else []
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(options["beta1"], options["beta2"]), eps=options["eps"])
    result = dict(norms=[], parameters=[])
    for step in range(STEPS):
        losses = run.gradient()
        if step == 0:
            result["losses"], result["gradients"] = losses, run.snapshot(of=lambda tensor: tensor.grad)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(schedule, step)
        result["norms"].append(float(torch.nn.utils.clip_grad_norm_(run.trained.values(), options["max_norm"])))
        optimizer.step()
        result["parameters"].append(run.snapshot())
    return result


def run_sgd(run):
    options = run.case["sgd"]
    optimizer = torch.optim.SGD(run.trained.values(), lr=1.0, momentum=options["momentum"])
    for rate in options["lr"]:
        run.gradient()
        run.decay(1 - rate * options["weight_decay"])
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    return run.snapshot()


def run_lion(run):
    """Also the smallest |b1 m + (1 - b1) g| over the steps, which says where the sign is beyond doubt."""
    options = run.case["lion"]
    m = {name: torch.zeros_like(tensor) for name, tensor in run.trained.items()}
    margin = {name: np.full(tuple(tensor.shape), np.inf) for name, tensor in run.trained.items()}
    for rate in options["lr"]:
        run.gradient()
        run.decay(1 - rate * options["weight_decay"])
        with torch.no_grad():
            for name, tensor in run.trained.items():
                direction = options["beta1"] * m[name] + (1 - options["beta1"]) * tensor.grad
                tensor -= rate * torch.sign(direction)
                m[name] = options["beta2"] * m[name] + (1 - options["beta2"]) * tensor.grad
                margin[name] = np.minimum(margin[name], direction.abs().numpy())
    return run.snapshot(), margin


def numbers(values):
    """The shortest decimals that read back as the float32 nearest to each value."""
    return [float(str(np.float32(v))) for v in np.asarray(values).ravel()]


def tensors(values):
    return {name: numbers(value) for name, value in values.items()}


def largest(a, b):
    return max(float(np.abs(a[name] - b[name]).max()) for name in a)


def make(case):
    random = np.random.default_rng(case["seed"])
    weights = draw(random, weight_shapes(case), case["deviation"])
    adapter = draw(random, adapter_shapes(case), case["deviation"]) if "rank" in case else {}
    batch = draw_batch(random, case)

    def start(dtype):
        return Run(case, weights, adapter, batch, dtype)

    exact, single = run_adamw(start(torch.float64)), run_adamw(start(torch.float32))
    print(f"{case['name']}: {sum(v.size for v in weights.values())} weights, {sum(v.size for v in adapter.values())} adapter weights, "
          f"mean loss {exact['losses'].mean():.6f}, gradient norms {', '.join(f'{n:.4f}' for n in exact['norms'])}")
    print(f"  float32 against float64: losses {np.abs(exact['losses'] - single['losses']).max():.2e}, "
          f"gradients {largest(exact['gradients'], single['gradients']):.2e}, "
          f"parameters {', '.join(f'{largest(a, b):.2e}' for a, b in zip(exact['parameters'], single['parameters']))}")
    result = {key: case[key] for key in ("name", "tied", "vocab", "hidden", "intermediate", "layers", "heads", "kv_heads", "head_dim", "context", "eps", "theta")}
    result["weights"] = tensors(weights)
    if adapter:
        result |= dict(rank=case["rank"], alpha=case["alpha"], adapter=tensors(adapter))
    result["sequences"] = [dict(tokens=tokens, targets=targets) for tokens, targets in batch]
    result["losses"] = numbers(exact["losses"])
    result["gradients"] = tensors(exact["gradients"])
    result["schedule"] = case["schedule"] | dict(rates=[learning_rate(case["schedule"], s) for s in range(case["schedule"]["steps"])])
    result["adamw"] = case["adamw"] | dict(
        norms=numbers(exact["norms"]), after_1=tensors(exact["parameters"][0]), after_3=tensors(exact["parameters"][2]))
    if "sgd" in case:
        result["sgd"] = case["sgd"] | dict(after_2=tensors(run_sgd(start(torch.float64))))
        after, margin = run_lion(start(torch.float64))
        doubtful = {name: np.flatnonzero((value > 0) & (value < 1e-6)).tolist() for name, value in margin.items()}
        result["lion"] = case["lion"] | dict(after_2=tensors(after), doubtful={name: where for name, where in doubtful.items() if where})
    return result


def main():
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    root = pathlib.Path(__file__).resolve().parents[2]
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "tests" / "NativeEngine.Tests" / "Golden" / "training_step.json"
    cases = [make(case) for case in CASES]
    clipped = [norm > case["adamw"]["max_norm"] for case in cases for norm in case["adamw"]["norms"]]
    assert any(clipped) and not all(clipped), "the cases must show both an active and an inactive clip"
    head = json.dumps(dict(source="tools/python/golden_training_step.py", torch=torch.__version__, numpy=np.__version__))
    body = ",\n".join(json.dumps(case, separators=(",", ":")).replace('"model.', '\n"model.') for case in cases)
    output.write_text(f"{head[:-1]}, \"cases\": [\n{body}\n]}}\n")
    print(f"{output}: {output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
