"""A PyTorch model trained on coreset mini-batches: CoresetBatchSampler in a DataLoader.

    python3 tools/python/example_sampler.py [--json]

A classifier of three imbalanced sources learns from 64 of 256 examples a step. What stands for an example is the gradient of its loss in the logits under the model as it
stands (softmax - one-hot, times the last hidden activations it meets): cheap, and enough to tell examples that teach the same from examples that do not.
"""
from __future__ import annotations

import json
import sys

import torch

import native_engine as ne

CLASSES, SIZE, POOL, BATCH, EPOCHS = 10, 16, 256, 64, 12


def data(count: int, seed: int):
    """Gaussian classes seen through three sources: 85 % plain, 10 % rotated, 5 % with labels shifted, so that a model needs all three."""
    generator = torch.Generator().manual_seed(seed)
    centers = torch.randn(CLASSES, SIZE, generator=torch.Generator().manual_seed(7)) * 1.5
    rotation, _ = torch.linalg.qr(torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(8)))
    labels = torch.randint(CLASSES, (count,), generator=generator)
    sources = torch.bucketize(torch.rand(count, generator=generator), torch.tensor([0.85, 0.95]))
    x = centers[labels] + torch.randn(count, SIZE, generator=generator)
    x = torch.where((sources == 1)[:, None], x @ rotation, x)
    labels = torch.where(sources == 2, (labels + 1) % CLASSES, labels)
    # The model sees which source it is, as a language model sees it in the text.
    return torch.cat([x, torch.nn.functional.one_hot(sources, 3).float()], dim=1), labels, sources


class Classifier(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = torch.nn.Sequential(torch.nn.Linear(SIZE + 3, 64), torch.nn.ReLU())
        self.head = torch.nn.Linear(64, CLASSES)

    def forward(self, x):
        return self.head(self.hidden(x))

    @torch.no_grad()
    def features(self, x, y):
        """[n, 10 * 64]: each example's exact gradient of the head's weight."""
        a = self.hidden(x)
        error = torch.softmax(self.head(a), dim=1) - torch.nn.functional.one_hot(y, CLASSES)
        return (error[:, :, None] * a[:, None, :]).flatten(1)


class RandomBatches:
    """What the coreset is compared with: the same pools, BATCH of each at random."""

    def __init__(self, count: int) -> None:
        self.generator, self.count = torch.Generator().manual_seed(3), count

    def __iter__(self):
        order = torch.randperm(self.count, generator=self.generator)
        for first in range(0, self.count - POOL + 1, POOL):
            yield order[first:first + BATCH].tolist()


def train(model, batches, x, y, after_step=lambda: None) -> None:
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_sampler=batches)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(EPOCHS):
        for inputs, labels in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
            after_step()


def main() -> None:
    torch.set_num_threads(1)
    x, y, sources = data(6144, seed=1)
    held_x, held_y, held_sources = data(4096, seed=2)

    def accuracy(model):
        with torch.no_grad():
            right = model(held_x).argmax(1) == held_y
        each = {name: right[held_sources == s].float().mean().item() for s, name in enumerate(("plain", "rotated", "shifted"))}
        return {**each, "mean over sources": sum(each.values()) / 3}

    torch.manual_seed(0)
    model = Classifier()
    picks, small = [], []
    sampler = ne.CoresetBatchSampler(sources.tolist(), lambda pool: model.features(x[pool], y[pool]), pool=POOL, batch=BATCH, top=256)

    def note():
        picks.append([sampler.last_pool[int(i)] for i in sampler.last.indices])
        small.append(sampler.last.kept)

    train(model, sampler, x, y, note)
    torch.manual_seed(0)
    other = Classifier()
    train(other, RandomBatches(len(x)), x, y)

    result = {"steps": len(picks), "kept": sum(small) / len(small), "coreset": accuracy(model), "random": accuracy(other), "first": picks[0], "last": picks[-1]}
    if "--json" in sys.argv[1:]:
        print(json.dumps(result))
        return
    print(f"{result['steps']} steps on {BATCH} of {POOL} examples, {result['kept']:.1f} of them of small sources, kept whole")
    for arm in ("coreset", "random"):
        print(f"held-out accuracy, {arm:8}" + ", ".join(f"{name} {value:.3f}" for name, value in result[arm].items()))


if __name__ == "__main__":
    main()
