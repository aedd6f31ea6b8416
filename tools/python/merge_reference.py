#!/usr/bin/env python3
"""Merges safetensors files with numpy alone, from the formulas, and compares with what the engine wrote: a merger that shares no line with ours.

    python3 tools/python/merge_reference.py JOB.json

JOB.json: {"method": "ties", "models": ["a/model.safetensors", ...], "base": "b/model.safetensors" or null, "weights": [...],
"parameters": {"density": 0.5, ...}, "result": "out/model.safetensors"}. Prints one JSON object: {"tensors": n, "elements": n,
"different": elements whose stored bits differ, "worst": largest |difference| / (1 + |expected|)}.

Everything is float64, added in the order of the models, and rounded once to the stored type. Methods: linear, slerp, nuslerp,
multislerp, karcher, task_arithmetic, ties, breadcrumbs, breadcrumbs_ties, model_stock, sce, nearswap, passthrough. (dare and della draw at random; their
masks are tested by their statistics.) Needs numpy.
"""
import json
import sys

import numpy as np

from read_safetensors import read


def unit(v):
    norm = np.linalg.norm(v)
    return v / norm if norm > 1e-8 else v


def spherical(v0, v1, t, straight):
    cosine = np.clip(unit(v0) @ unit(v1), -1, 1)
    if straight(cosine):
        return (1 - t) * v0 + t * v1
    angle = np.arccos(cosine)
    return np.sin((1 - t) * angle) / np.sin(angle) * v0 + np.sin(t * angle) / np.sin(angle) * v1


def weighted(vectors, weights):
    total = np.zeros_like(vectors[0])
    for vector, weight in zip(vectors, weights):
        total = total + weight * vector
    return total


def kept(delta, first, count):
    """Zeroes all but the ranks first .. first+count-1 of descending magnitude, ties to the lowest index."""
    order = np.argsort(-np.abs(delta), kind="stable")[first : first + count]
    result = np.zeros_like(delta)
    result[order] = delta[order]
    return result


def agree(vectors, weights, normalize):
    elected = np.where(weighted(vectors, [1] * len(vectors)) >= 0, 1, -1)
    masks = [np.sign(v) == elected for v in vectors]
    total = weighted([np.where(m, v, 0) for m, v in zip(masks, vectors)], [1] * len(vectors))
    divisor = weighted([m.astype(float) for m in masks], weights)
    return total / np.where(divisor == 0, 1, divisor) if normalize else total


def karcher(vectors, steps, tolerance):
    norms = [np.linalg.norm(v) for v in vectors]
    units = [v / n for v, n in zip(vectors, norms) if n > 0]
    u = unit(sum(units))
    for _ in range(steps):
        tangent = np.zeros_like(u)
        for v in units:
            cosine = np.clip(u @ v, -1, 1)
            angle = np.arccos(cosine)
            tangent += (angle / np.sin(angle) if angle > 1e-8 else 1.0) * (v - cosine * u) / len(units)
        length = np.linalg.norm(tangent)
        if length < tolerance:
            break
        u = unit(np.cos(length) * u + np.sin(length) * tangent / length)
    return np.mean(norms) * u


def merge(method, models, base, w, p):
    flat = [m.ravel() for m in models]
    b = None if base is None else base.ravel()
    deltas = None if b is None else [m - b for m in flat]
    n = flat[0].size
    if method == "linear":
        return weighted(flat, w) / (sum(w) if p.get("normalize", True) else 1)
    if method == "passthrough":
        return flat[0] * p.get("scale", 1)
    if method == "slerp":
        return spherical(b, flat[0], p["t"], lambda c: abs(c) > 0.9995)
    if method == "nuslerp":
        straight = lambda c: np.sqrt(max(0, 1 - c * c)) < 1e-8
        t = w[1] / (w[0] + w[1])
        x, y = [v.reshape(models[0].shape) for v in (flat if b is None else deltas)]
        if p.get("nuslerp_flatten", True) or x.ndim < 2:
            merged = spherical(x.ravel(), y.ravel(), t, straight)
        elif p.get("nuslerp_row_wise", False):
            merged = np.stack([spherical(r, s, t, straight) for r, s in zip(x, y)]).ravel()
        else:
            merged = np.stack([spherical(r, s, t, straight) for r, s in zip(x.T, y.T)]).T.ravel()
        return merged if b is None else merged + b
    if method == "multislerp":
        v = flat if b is None else deltas
        w = [x / sum(w) for x in w] if p.get("normalize_weights", True) else w
        eps = p.get("eps", 1e-8)
        norms = [np.linalg.norm(x) for x in v]
        units = [x / (norm + eps) for x, norm in zip(v, norms)]
        mean = weighted(units, w)
        mean = mean / np.linalg.norm(mean)
        tangent = weighted([u - (u @ mean) * mean for u in units], w)
        length = np.linalg.norm(tangent) + eps
        merged = (mean * np.cos(length) + tangent * np.sin(length) / length) * sum(x * norm for x, norm in zip(w, norms))
        return merged if b is None else merged + b
    if method == "karcher":
        return karcher(flat, p.get("max_iter", 10), p.get("tol", 1e-5))
    if method == "model_stock":
        k = len(flat)
        cosines = [
            np.clip(deltas[i] @ deltas[j] / max(np.linalg.norm(deltas[i]) * np.linalg.norm(deltas[j]), 1e-6), -1, 1)
            for i in range(k) for j in range(i)
        ]
        c = np.mean(cosines)
        t = k * c / (1 + (k - 1) * c)
        return t * np.mean(flat, axis=0) + (1 - t) * b
    if method == "nearswap":
        k = np.clip(p["t"] / np.maximum(np.abs(b - flat[0]), 1e-6), 0, 1)
        return k * flat[0] + (1 - k) * b
    if method == "sce":
        d = np.stack(deltas)
        if p.get("select_topk", 1) < 1:
            mask = kept(np.var(d, axis=0) + 1e-300, 0, int(p["select_topk"] * n)) != 0
            d = d * mask
        weights = np.mean(d * d, axis=1)
        weights = weights / weights.sum() if weights.sum() >= 1e-6 else np.full(len(d), 1 / len(d))
        masks = np.sign(d) == np.where(d.sum(axis=0) >= 0, 1, -1)
        divisor = np.maximum((masks * weights[:, None]).sum(axis=0), 1e-6)
        return b + (d * masks * weights[:, None]).sum(axis=0) / divisor
    consensus = method in ("ties", "breadcrumbs_ties")
    normalize = p.get("normalize", method == "ties")
    sparse = []
    for d in deltas:
        s = d
        if method != "task_arithmetic":
            keep = int(p.get("density", 1) * n)
            top = min(int(p.get("gamma", 0.01) * n), n - keep) if method.startswith("breadcrumbs") else 0
            s = kept(d, top, keep)
        if p.get("rescale", False) and np.abs(s).sum() > 0:
            s = s * (np.abs(d).sum() / np.abs(s).sum())
        sparse.append(s)
    x = [weight * s for weight, s in zip(w, sparse)]
    if consensus:
        total = agree(x, w, normalize)
    else:
        total = weighted(x, [1] * len(x))
        total = total / sum(w) if normalize and abs(sum(w)) >= 1e-8 else total
    return b + p.get("lambda", 1) * total


def main():
    job = json.load(open(sys.argv[1]))
    models = [read(path) for path in job["models"]]
    base = read(job["base"]) if job.get("base") else None
    result = read(job["result"])
    assert set(result) == set(models[0]), "the result has other tensors than the first model"
    elements, different, worst = 0, 0, 0.0
    for name, (kind, got) in result.items():
        inputs = [m[name][1].astype(np.float64) for m in models]
        b = None if base is None else base[name][1].astype(np.float64)
        expected = merge(job["method"], inputs, b, job.get("weights") or [1.0] * len(inputs), job["parameters"]).reshape(got.shape)
        if kind == "BF16":
            # One rounding: the float32 nearest towards zero with a sticky lowest bit, then half-up on the cut bits, ties to even.
            near = expected.astype(np.float32)
            bits = near.view(np.uint32) - (np.abs(near.astype(np.float64)) > np.abs(expected)).astype(np.uint32)
            bits = np.where(near.astype(np.float64) == expected, near.view(np.uint32), bits | 1).astype(np.uint64)
            rounded = (((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) << 16).astype(np.uint32).view(np.float32)
        else:
            rounded = expected.astype(np.float32)
        elements += got.size
        different += int((rounded.view(np.uint32) != got.view(np.uint32)).sum())
        worst = max(worst, float((np.abs(got.astype(np.float64) - expected) / (1 + np.abs(expected))).max(initial=0)))
    json.dump({"tensors": len(result), "elements": elements, "different": different, "worst": worst}, sys.stdout)


if __name__ == "__main__":
    main()
