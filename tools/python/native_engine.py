"""NativeEngine from Python: coreset selection, merging, evaluation and training through the C library.

One file, no dependency but the C library (``dotnet run tools/build.cs -- capi``). Arrays may be NumPy arrays, PyTorch CPU tensors, or anything with the buffer protocol
(``array.array``, ``memoryview``); float32 rows without gaps are read where they lie. Outputs are NumPy arrays where NumPy is installed, else ``array.array``.

>>> import native_engine as ne
>>> picked = ne.select(features, sources, budget=64)          # features [n, d], sources [n]
>>> batch = features[picked.indices]

The library is looked for in ``NATIVE_ENGINE_LIBRARY`` (a file), beside this file, in ``lib``, ``../lib`` and ``../../artifacts/capi/lib``, then on the loader's path.
After ``os.fork()`` the child cannot use it: use the ``spawn`` start method. A PyTorch DataLoader's workers do not, because samplers run in the main process.
"""
from __future__ import annotations

import array
import ctypes
import json
import os
import sys
from ctypes import POINTER, byref, c_char_p, c_double, c_float, c_int32, c_int64, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

try:
    import numpy as _numpy
except ImportError:  # everything works without it
    _numpy = None

__all__ = [
    "CoresetBatchSampler", "Dataset", "Device", "EngineError", "Loss", "Model", "Selection", "Selector", "Stream", "StreamReport", "Trainer", "describe", "merge", "merge_arrays", "select",
]

ABI = 1 << 16 | 1
DEFAULT_SEED = 1  # the program's

Progress = Callable[[str, int, int], Optional[bool]]
"""Called with the work, done and total; returning False cancels the call."""

# ---- The library ----------------------------------------------------------------------------------------------------------------


class EngineError(RuntimeError):
    """A call failed: ``status`` is the number of include/native_engine.h, ``hint`` says what to do."""

    def __init__(self, status: int, name: str, message: str, hint: str) -> None:
        super().__init__(f"{name}: {message}" + (f" ({hint})" if hint else ""))
        self.status, self.name, self.message, self.hint = status, name, message, hint


_PROGRESS = ctypes.CFUNCTYPE(c_int32, c_char_p, c_int64, c_int64, c_void_p)
_LOG = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)


class _Struct(ctypes.Structure):
    """A struct of the header, which begins with its size."""

    def __init__(self, **members: Any) -> None:
        super().__init__(size=ctypes.sizeof(type(self)), **members)


class _Control(_Struct):
    _fields_ = [("size", c_uint64), ("cancel", c_void_p), ("progress", _PROGRESS), ("user", c_void_p)]


class _DeviceOptions(_Struct):
    _fields_ = [("size", c_uint64), ("memory_limit", c_int64), ("threads", c_int32), ("simd", c_int32)]


class _Matrix(_Struct):
    _fields_ = [("size", c_uint64), ("data", c_void_p), ("rows", c_int64), ("columns", c_int64), ("row_stride", c_int64), ("type", c_int32), ("reserved", c_int32)]


class _SelectOptions(_Struct):
    _fields_ = [
        ("size", c_uint64), ("budget", c_int64), ("keep", c_char_p), ("top", c_int64), ("max_memory", c_int64), ("seed", c_uint64), ("beta1", c_double), ("beta2", c_double),
        ("epsilon", c_double), ("metric", c_int32), ("quota", c_int32), ("rounding", c_int32), ("overflow", c_int32), ("algorithm", c_int32), ("normalize", c_int32), ("parts", c_int32),
        ("neighbours", c_int32),
    ]


class _Selection(_Struct):
    _fields_ = [
        ("size", c_uint64), ("capacity", c_int64), ("indices", c_void_p), ("weights", c_void_p), ("gains", c_void_p), ("owners", c_void_p), ("count", c_int64), ("kept", c_int64),
        ("dropped", c_int64), ("objective", c_double), ("upper_bound", c_double), ("ratio", c_double), ("milliseconds", c_double),
    ]


class _StreamOptions(_Struct):
    _fields_ = [
        ("size", c_uint64), ("budget", c_int64), ("dimension", c_int64), ("keep", c_char_p), ("max_memory", c_int64), ("seed", c_uint64), ("rows", c_int32), ("metric", c_int32),
        ("quota", c_int32), ("rounding", c_int32),
    ]


class _StreamReport(_Struct):
    _fields_ = [
        ("size", c_uint64), ("seen", c_int64), ("dropped", c_int64), ("capacity", c_int64), ("reductions", c_int64), ("cost", c_double), ("displacement", c_double),
    ]


class _MergeOptions(_Struct):
    _fields_ = [("size", c_uint64), ("shard_bytes", c_int64), ("seed", c_uint64), ("threads", c_int32), ("reserved", c_int32)]


class _MergeReport(_Struct):
    _fields_ = [
        ("size", c_uint64), ("tensors", c_int64), ("parameters", c_int64), ("bytes_read", c_int64), ("bytes_written", c_int64), ("peak_bytes", c_int64), ("seconds", c_double),
    ]


class _ModelOptions(_Struct):
    _fields_ = [
        ("size", c_uint64), ("tokenizer", c_char_p), ("adapter", c_char_p), ("lora_targets", c_char_p), ("seed", c_uint64), ("lora_alpha", c_double), ("trainable", c_int32),
        ("lora_rank", c_int32),
    ]


class _ModelInfo(_Struct):
    _fields_ = [(name, c_uint64 if name == "size" else c_int64) for name in ("size", "parameters", "vocabulary", "hidden", "layers", "heads", "context")]


class _DataOptions(_Struct):
    _fields_ = [
        ("size", c_uint64), ("max_length", c_int64), ("purpose", c_int32), ("loss_on_all", c_int32), ("skip_bad_lines", c_int32), ("reserved", c_int32),
        ("text_field", c_char_p), ("prompt_field", c_char_p), ("completion_field", c_char_p), ("source_field", c_char_p), ("id_field", c_char_p),
    ]


class _DataInfo(_Struct):
    _fields_ = [(name, c_uint64 if name == "size" else c_int64) for name in ("size", "examples", "read", "left_out", "truncated", "tokens", "label_tokens", "sources")]


class _FeatureOptions(_Struct):
    _fields_ = [("size", c_uint64), ("seed", c_uint64), ("radius", c_double), ("kind", c_int32), ("directions", c_int32)]


class _Loss(_Struct):
    _fields_ = [
        ("size", c_uint64), ("examples", c_int64), ("tokens", c_int64), ("mean_loss", c_double), ("perplexity", c_double), ("bits_per_byte", c_double), ("completion_loss", c_double),
    ]


class _TrainOptions(_Struct):
    _fields_ = [
        ("size", c_uint64), ("steps", c_int64), ("pool", c_int64), ("batch", c_int64), ("keep", c_char_p), ("seed", c_uint64), ("learning_rate", c_double), ("warmup", c_double),
        ("clip_norm", c_double), ("weight_decay", c_double), ("beta1", c_double), ("beta2", c_double), ("top", c_int64), ("selection", c_int32), ("optimizer", c_int32),
        ("schedule", c_int32), ("feature", c_int32), ("directions", c_int32), ("metric", c_int32), ("quota", c_int32), ("rounding", c_int32), ("overflow", c_int32),
        ("raw_features", c_int32), ("cluster_weights", c_int32), ("micro_batch_tokens", c_int32), ("checkpoint_activations", c_int32), ("reserved", c_int32),
    ]


class _StepReport(_Struct):
    _fields_ = [
        ("size", c_uint64), ("step", c_int64), ("examples", c_int64), ("kept", c_int64), ("tokens", c_int64), ("label_tokens", c_int64), ("loss", c_double), ("learning_rate", c_double),
        ("gradient_norm", c_double), ("objective", c_double), ("selection_seconds", c_double), ("seconds", c_double),
    ]


def _has_avx512() -> bool:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = next((line for line in file if line.startswith("flags")), "").split()
        return {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}.issubset(flags)
    except OSError:
        return False


def _candidates() -> Iterator[str]:
    chosen = os.environ.get("NATIVE_ENGINE_LIBRARY")
    if chosen:
        yield chosen
        return
    here = os.path.dirname(os.path.abspath(__file__))
    for folder in (here, os.path.join(here, "lib"), os.path.join(here, "..", "lib"), os.path.join(here, "..", "..", "artifacts", "capi", "lib")):
        # Where the dynamic loader finds the library by its folder it makes this choice itself.
        if _has_avx512():
            yield os.path.join(folder, "glibc-hwcaps", "x86-64-v4", "libnative_engine.so")
        yield os.path.join(folder, "libnative_engine.so")
    yield "libnative_engine.so"


def _load() -> ctypes.CDLL:
    tried = []
    for path in _candidates():
        if os.path.isabs(path) and not os.path.exists(path):
            tried.append(path)
            continue
        try:
            library = ctypes.CDLL(path)
            break
        except OSError as error:
            tried.append(f"{path} ({error})")
    else:
        raise ImportError("libnative_engine.so was not found; tried " + ", ".join(tried) + ". Build it with: dotnet run tools/build.cs -- capi")
    for name in ("ne_version", "ne_status_name", "ne_last_error", "ne_last_hint"):
        getattr(library, name).restype = c_char_p
    library.ne_live_handles.restype = c_int64
    library.ne_check_abi.argtypes = [c_uint32]
    return library


def _declare(library: ctypes.CDLL) -> None:
    """Says what every function takes; one that is missing is an AttributeError."""
    p, i64, i32, u64, text = c_void_p, c_int64, c_int32, c_uint64, c_char_p
    signatures: Dict[str, List[Any]] = {
        "ne_describe": [p, u64, POINTER(u64)], "ne_set_log": [_LOG, p, i32],
        "ne_device_open": [text, POINTER(_DeviceOptions), POINTER(p)], "ne_device_describe": [p, p, u64, POINTER(u64)], "ne_device_memory": [p, POINTER(i64), POINTER(i64)],
        "ne_selector_create": [p, POINTER(_SelectOptions), POINTER(p)], "ne_select": [p, POINTER(_Matrix), p, POINTER(_Control), POINTER(_Selection)],
        "ne_selector_step": [p, POINTER(i64)], "ne_selector_set_step": [p, i64], "ne_selector_state": [p, text, p, i64], "ne_selector_set_state": [p, text, p, i64],
        "ne_selector_save": [p, text, i64], "ne_selector_load": [p, text, i64],
        "ne_stream_create": [p, POINTER(_StreamOptions), POINTER(p)], "ne_stream_add": [p, POINTER(_Matrix), p, POINTER(_Control)],
        "ne_stream_result": [p, POINTER(_Control), POINTER(_Selection), POINTER(_StreamReport)],
        "ne_merge_recipe": [text, text, POINTER(_MergeOptions), POINTER(_Control), POINTER(_MergeReport)],
        "ne_merge_linear": [POINTER(text), POINTER(c_double), i64, text, POINTER(_MergeOptions), POINTER(_Control), POINTER(_MergeReport)],
        "ne_merge_buffers": [p, POINTER(p), POINTER(c_double), i64, i32, i64, i32, p, i32, POINTER(_Control)],
        "ne_model_open": [p, text, POINTER(_ModelOptions), POINTER(_Control), POINTER(p)], "ne_model_describe": [p, POINTER(_ModelInfo)],
        "ne_model_save": [p, text, i32, POINTER(_Control)], "ne_model_generate": [p, text, i32, c_double, u64, POINTER(_Control), p, u64, POINTER(u64)],
        "ne_data_open": [p, text, POINTER(_DataOptions), POINTER(_Control), POINTER(p)],
        "ne_data_from_texts": [p, POINTER(text), POINTER(text), POINTER(text), i64, POINTER(_DataOptions), POINTER(_Control), POINTER(p)],
        "ne_data_describe": [p, POINTER(_DataInfo)], "ne_data_source_name": [p, i64, p, u64, POINTER(u64)], "ne_data_rows": [p, p, p, i64],
        "ne_data_example_id": [p, i64, p, u64, POINTER(u64)],
        "ne_feature_dimension": [p, POINTER(_FeatureOptions), POINTER(i64)], "ne_features": [p, p, POINTER(_FeatureOptions), POINTER(_Control), p, i64],
        "ne_evaluate": [p, p, POINTER(_Control), POINTER(_Loss), POINTER(_Loss), i64],
        "ne_trainer_create": [p, p, POINTER(_TrainOptions), POINTER(p)], "ne_trainer_step": [p, POINTER(_Control), POINTER(_StepReport)], "ne_trainer_save": [p, text],
        "ne_trainer_resume": [p, text, POINTER(i64)],
    }
    for kind in ("device", "selector", "stream", "model", "data", "trainer"):
        signatures[f"ne_{kind}_free"] = [p]
    for name, arguments in signatures.items():
        getattr(library, name).argtypes = arguments


_library = _load()


def _check(status: int) -> None:
    if status != 0:
        name, message, hint = (f().decode("utf-8", "replace") for f in (lambda: _library.ne_status_name(status), _library.ne_last_error, _library.ne_last_hint))
        raise EngineError(status, name, message, hint)


_check(_library.ne_check_abi(ABI))  # before an older library's missing functions are looked for
_declare(_library)


def _text(call: Callable[..., int], *arguments: Any) -> str:
    """Text out: asked for its length first."""
    length = c_uint64()
    _check(call(*arguments, None, 0, byref(length)))
    buffer = ctypes.create_string_buffer(length.value + 1)
    _check(call(*arguments, buffer, len(buffer), byref(length)))
    return buffer.value.decode("utf-8")


def _utf8(value: Optional[str]) -> Optional[bytes]:
    return None if value is None else os.fspath(value).encode("utf-8")


def describe() -> Dict[str, Any]:
    """Version, ABI, what the library was compiled for, register width, devices."""
    return json.loads(_text(_library.ne_describe))


class _Run:
    """An ne_control: keeps the callback alive, and what it raised."""

    def __init__(self, progress: Optional[Progress]) -> None:
        self.error: Optional[BaseException] = None
        self._progress = progress
        self._callback = _PROGRESS(self._call) if progress is not None else None
        self.control = _Control(progress=self._callback) if self._callback is not None else None

    def _call(self, work: bytes, done: int, total: int, _: Any) -> int:
        try:
            return 1 if self._progress(work.decode("ascii"), done, total) is False else 0  # type: ignore[misc]
        except BaseException as error:  # must not cross the C library
            self.error = error
            return 1

    def check(self, status: int) -> None:
        if self.error is not None:
            raise self.error
        _check(status)


# ---- Arrays ---------------------------------------------------------------------------------------------------------------------

_TYPES = {"float32": 0, "bfloat16": 1, "float16": 2, "float64": 3}


class _View(NamedTuple):
    """Memory of the caller's: an address, a shape, the row stride in elements, the type, and what keeps it alive."""

    address: int
    shape: Tuple[int, ...]
    stride: int
    type: str
    owner: Any


def _view(values: Any, what: str) -> _View:
    """Where an array lies. NumPy arrays and PyTorch CPU tensors are not copied unless their columns are strided."""
    if hasattr(values, "data_ptr"):  # a PyTorch tensor; torch itself is not imported here
        tensor = values.detach()
        if tensor.device.type != "cpu":
            raise TypeError(f"{what} lies on {tensor.device}; move it to the CPU first")
        if tensor.dim() == 0 or (tensor.dim() > 0 and tensor.shape[-1] > 1 and tensor.stride(-1) != 1) or (tensor.dim() == 2 and tensor.stride(0) < tensor.shape[1]):
            tensor = tensor.contiguous()
        return _View(tensor.data_ptr(), tuple(tensor.shape), tensor.stride(0) if tensor.dim() == 2 else 1, str(tensor.dtype).replace("torch.", ""), tensor)
    if _numpy is not None:
        values = _numpy.asarray(values)
        if not values.dtype.isnative:
            values = values.astype(values.dtype.newbyteorder("="))
        size = values.dtype.itemsize
        if values.ndim == 0 or (values.shape[-1] > 1 and values.strides[-1] != size) or (values.ndim == 2 and (values.strides[0] % size != 0 or values.strides[0] < values.shape[1] * size)):
            values = _numpy.ascontiguousarray(values)
        return _View(values.ctypes.data, values.shape, values.strides[0] // size if values.ndim == 2 else 1, str(values.dtype), values)
    if isinstance(values, (list, tuple)):
        rows = [list(row) for row in values] if values and isinstance(values[0], (list, tuple)) else None
        flat = [x for row in rows for x in row] if rows is not None else list(values)
        kept = array.array("f" if rows is not None else "q", flat)
        shape: Tuple[int, ...] = (len(rows), len(rows[0])) if rows is not None else (len(flat),)
        return _View(kept.buffer_info()[0], shape, shape[-1], "float32" if rows is not None else "int64", kept)
    memory = memoryview(values)
    if not memory.c_contiguous:
        raise TypeError(f"{what} must be contiguous")
    types = {"f": "float32", "d": "float64", "e": "float16", "i": "int32", "q": "int64", "l": "int64" if memory.itemsize == 8 else "int32"}
    kept = memory if not memory.readonly else memoryview(bytearray(memory)).cast(memory.format, memory.shape)
    address = ctypes.addressof(ctypes.c_char.from_buffer(kept.cast("B") if kept.ndim > 1 or kept.format != "B" else kept))
    return _View(address, memory.shape, memory.shape[-1], types.get(memory.format, memory.format), kept)


def _matrix(features: Any) -> Tuple[_Matrix, Any]:
    view = _view(features, "features")
    if len(view.shape) != 2 or view.type not in _TYPES:
        raise TypeError(f"features must be a matrix of float32, float64, float16 or bfloat16, got {view.type} {list(view.shape)}")
    rows, columns = view.shape
    return _Matrix(data=view.address, rows=rows, columns=columns, row_stride=view.stride if rows > 1 else 0, type=_TYPES[view.type]), view


def _sources(sources: Any, rows: int) -> Tuple[Optional[int], Any, Optional[List[str]]]:
    """Source ids as int32. Names become ids in the engine's order: numerically when all are integers, else by code point."""
    if sources is None:
        return None, None, None
    names: Optional[List[str]] = None
    if isinstance(sources, (list, tuple)) and any(isinstance(s, str) for s in sources):
        texts = [str(s) for s in sources]
        distinct = sorted(set(texts))
        try:
            names = sorted(distinct, key=lambda name: (int(name), name))
        except ValueError:
            names = distinct
        order = {name: i for i, name in enumerate(names)}
        sources = array.array("i", [order[s] for s in texts])
    view = _view(sources, "sources")
    if len(view.shape) != 1 or view.shape[0] != rows or "float" in view.type:
        raise TypeError(f"sources must be {rows} whole numbers or names, one for each row, got {view.type} {list(view.shape)}")
    if view.type != "int32":
        kept = view.owner.numpy() if hasattr(view.owner, "numpy") else view.owner
        flat = kept.tolist()
        if any(not -(1 << 31) <= s < 1 << 31 for s in flat):
            raise ValueError("source ids must fit 32 bits")
        view = _view(array.array("i", flat), "sources")
    return view.address, view, names


def _new(code: str, count: int) -> Any:
    """An output array: NumPy's where there is one."""
    if _numpy is not None:
        return _numpy.zeros(count, dtype={"q": _numpy.int64, "d": _numpy.float64, "f": _numpy.float32, "i": _numpy.int32}[code])
    return array.array(code, bytes(count * array.array(code).itemsize))


def _address(values: Any) -> int:
    return values.ctypes.data if _numpy is not None and isinstance(values, _numpy.ndarray) else values.buffer_info()[0]


def _budget(budget: Union[int, str], rows: int) -> int:
    """64, or '50%' of the rows, rounded to the nearest (a half away from zero)."""
    if isinstance(budget, str) and budget.endswith("%"):
        return int(float(budget[:-1]) * rows / 100 + 0.5)
    return int(budget)


def _index(choices: Sequence[str], value: str, what: str) -> int:
    try:
        return choices.index(value)
    except ValueError:
        raise ValueError(f"{what} is {value!r}; it may be {', '.join(choices)}") from None


_METRICS, _QUOTAS, _ROUNDINGS, _OVERFLOWS = ("l1", "l2", "cosine"), ("proportional", "balanced", "none"), ("floor", "ceil"), ("first", "random")
_ALGORITHMS, _NORMALIZERS = ("auto", "exact", "stochastic", "partitioned", "sparse"), ("none", "adam", "momentum", "lion")

# ---- Objects --------------------------------------------------------------------------------------------------------------------


class _Object:
    """Something behind a handle. Closed when it is no longer used, or by ``close`` or ``with``."""

    _kind = ""
    _handle: Optional[int] = None

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle:
            _check(getattr(_library, f"ne_{self._kind}_free")(handle))

    def __enter__(self):
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # the interpreter may be going down
            pass


class Device(_Object):
    """A processor to work on: ``auto``, ``cpu``, ``cuda[:i]``, ``opencl[:p.d]``. Results do not depend on ``threads`` or ``simd`` (0: all, the widest)."""

    _kind = "device"

    def __init__(self, name: str = "auto", threads: int = 0, memory_limit: int = 0, simd: int = 0) -> None:
        handle = c_void_p()
        _check(_library.ne_device_open(_utf8(name), byref(_DeviceOptions(memory_limit=memory_limit, threads=threads, simd=simd)), byref(handle)))
        self._handle = handle.value

    @property
    def description(self) -> str:
        return _text(_library.ne_device_describe, self._handle)

    @property
    def memory(self) -> Tuple[int, int]:
        """Live and peak bytes."""
        live, peak = c_int64(), c_int64()
        _check(_library.ne_device_memory(self._handle, byref(live), byref(peak)))
        return live.value, peak.value


_default: Optional[Device] = None


def _device(device: Optional[Device]) -> Device:
    global _default
    if device is None:
        if _default is None:
            _default = Device()
        device = _default
    return device


@dataclass(frozen=True)
class Selection:
    """What was selected. ``indices`` are in training order: kept ones ascending, then for each source ascending its picks in greedy order."""

    indices: Any
    """int64: rows of the features."""
    weights: Any
    """int64: examples that each stands for; 1 for kept ones."""
    gains: Any
    """float64: NaN for kept ones and sources taken whole."""
    owners: Any
    """int64: for each row the selected one that represents it, -1 for none. None for a stream."""
    kept: int
    dropped: int
    objective: float
    upper_bound: float
    ratio: float
    """objective / upper_bound: no selection with the same quotas is better by more."""
    milliseconds: float

    def __len__(self) -> int:
        return len(self.indices)


class Selector(_Object):
    """Options, history and step of a selection; the history is Adam's m and v with ``normalize='adam'``.

    Budget, kept sources, metric, ... as in ``nengine select``; ``keep`` is none, small, mean:F, quantile:Q, expected:N or ids like 0,3.
    """

    _kind = "selector"

    def __init__(
        self, budget: int, *, keep: str = "none", metric: str = "l1", top: int = 0, quota: str = "proportional", rounding: str = "floor", overflow: str = "first", algorithm: str = "auto",
        normalize: str = "none", parts: int = 0, neighbours: int = 0, max_memory: int = 0, seed: int = DEFAULT_SEED, device: Optional[Device] = None,
    ) -> None:
        self.device, self.budget = _device(device), int(budget)
        options = _SelectOptions(
            budget=self.budget, keep=_utf8(keep), top=top, max_memory=max_memory, seed=seed, metric=_index(_METRICS, metric, "metric"), quota=_index(_QUOTAS, quota, "quota"),
            rounding=_index(_ROUNDINGS, rounding, "rounding"), overflow=_index(_OVERFLOWS, overflow, "overflow"), algorithm=_index(_ALGORITHMS, algorithm, "algorithm"),
            normalize=_index(_NORMALIZERS, normalize, "normalize"), parts=parts, neighbours=neighbours)
        handle = c_void_p()
        _check(_library.ne_selector_create(self.device._handle, byref(options), byref(handle)))
        self._handle = handle.value

    def select(self, features: Any, sources: Any = None, progress: Optional[Progress] = None) -> Selection:
        """Selects rows of features [n, d]; sources gives an id (or a name) for each. Rows with NaN or infinity are dropped and counted."""
        matrix, alive = _matrix(features)
        address, alive2, _ = _sources(sources, matrix.rows)
        count = max(0, min(self.budget, matrix.rows))
        indices, weights, gains, owners = _new("q", count), _new("q", count), _new("d", count), _new("q", matrix.rows)
        result = _Selection(capacity=count, indices=_address(indices), weights=_address(weights), gains=_address(gains), owners=_address(owners))
        run = _Run(progress)
        run.check(_library.ne_select(self._handle, byref(matrix), address, run.control, byref(result)))
        del alive, alive2
        n = result.count
        return Selection(indices[:n], weights[:n], gains[:n], owners, result.kept, result.dropped, result.objective, result.upper_bound, result.ratio, result.milliseconds)

    @property
    def step(self) -> int:
        """Selections done."""
        step = c_int64()
        _check(_library.ne_selector_step(self._handle, byref(step)))
        return step.value

    @step.setter
    def step(self, value: int) -> None:
        _check(_library.ne_selector_set_step(self._handle, value))

    def state(self, moment: str, dimension: int) -> Any:
        """A copy of the history vector m or v."""
        values = _new("f", dimension)
        _check(_library.ne_selector_state(self._handle, _utf8(moment), _address(values), dimension))
        return values

    def set_state(self, moment: str, values: Any) -> None:
        """Sets a history vector, m before v."""
        view = _view(values, moment)
        if view.type != "float32" or len(view.shape) != 1:
            raise TypeError(f"{moment} must be a float32 vector, got {view.type} {list(view.shape)}")
        _check(_library.ne_selector_set_state(self._handle, _utf8(moment), view.address, view.shape[0]))

    def save(self, path: str, dimension: int) -> None:
        """Writes history and step as a safetensors file, which ``nengine select --state`` reads."""
        _check(_library.ne_selector_save(self._handle, _utf8(path), dimension))

    def load(self, path: str, dimension: int) -> None:
        _check(_library.ne_selector_load(self._handle, _utf8(path), dimension))


def select(features: Any, sources: Any = None, budget: Union[int, str] = "50%", *, keep: str = "none", device: Optional[Device] = None, progress: Optional[Progress] = None, **options: Any) -> Selection:
    """Selects a coreset of features [n, d]: the picks of ``nengine select`` on the same file, bit for bit. Options as of :class:`Selector`."""
    view = _view(features, "features")
    if keep not in ("none", "small") and ":" not in keep and isinstance(sources, (list, tuple)):
        _, _, names = _sources(sources, view.shape[0])
        if names is not None:
            keep = ",".join(str(names.index(name.strip())) for name in keep.split(",") if name.strip() in names) or "none"
    with Selector(_budget(budget, view.shape[0]), keep=keep, device=device, **options) as selector:
        return selector.select(features, sources, progress)


class StreamReport(NamedTuple):
    """What a streaming selection lost: the sum over all examples of the distance to the nearest selected one is within ``displacement`` of ``cost``."""

    seen: int
    dropped: int
    capacity: int
    reductions: int
    cost: float
    displacement: float


class Stream(_Object):
    """Selects in one pass over examples that do not fit in memory. ``max_memory`` is the dial; the result does not depend on how the examples are cut into chunks."""

    _kind = "stream"

    def __init__(
        self, budget: int, dimension: int, *, max_memory: int = 0, rows: int = 0, keep: str = "none", metric: str = "l1", quota: str = "proportional", rounding: str = "floor",
        seed: int = DEFAULT_SEED, device: Optional[Device] = None,
    ) -> None:
        self.device, self.budget = _device(device), int(budget)
        options = _StreamOptions(
            budget=self.budget, dimension=dimension, keep=_utf8(keep), max_memory=max_memory, seed=seed, rows=rows, metric=_index(_METRICS, metric, "metric"),
            quota=_index(_QUOTAS, quota, "quota"), rounding=_index(_ROUNDINGS, rounding, "rounding"))
        handle = c_void_p()
        _check(_library.ne_stream_create(self.device._handle, byref(options), byref(handle)))
        self._handle = handle.value

    def add(self, features: Any, sources: Any = None, progress: Optional[Progress] = None) -> None:
        """The next examples. Sources must be ids: a stream does not know all names beforehand."""
        matrix, alive = _matrix(features)
        address, alive2, names = _sources(sources, matrix.rows)
        if names is not None:
            raise TypeError("a stream needs source ids, not names")
        run = _Run(progress)
        run.check(_library.ne_stream_add(self._handle, byref(matrix), address, run.control))
        del alive, alive2

    def result(self, progress: Optional[Progress] = None) -> Tuple[Selection, StreamReport]:
        """The selection of what came so far, at any time; the stream can go on."""
        indices, weights, gains = _new("q", self.budget), _new("q", self.budget), _new("d", self.budget)
        result, report = _Selection(capacity=self.budget, indices=_address(indices), weights=_address(weights), gains=_address(gains)), _StreamReport()
        run = _Run(progress)
        run.check(_library.ne_stream_result(self._handle, run.control, byref(result), byref(report)))
        n = result.count
        selection = Selection(indices[:n], weights[:n], gains[:n], None, result.kept, result.dropped, result.objective, result.upper_bound, result.ratio, result.milliseconds)
        return selection, StreamReport(report.seen, report.dropped, report.capacity, report.reductions, report.cost, report.displacement)


def merge(models: Union[str, Dict[str, float]], output: str, *, seed: int = DEFAULT_SEED, threads: int = 0, progress: Optional[Progress] = None) -> Dict[str, float]:
    """Merges models on disk into a new folder: a dict of folders and weights (their weighted average), or the path of a recipe in mergekit's YAML."""
    options, report, run = _MergeOptions(seed=seed, threads=threads), _MergeReport(), _Run(progress)
    if isinstance(models, dict):
        paths, weights = (c_char_p * len(models))(*[_utf8(m) for m in models]), (c_double * len(models))(*models.values())
        run.check(_library.ne_merge_linear(paths, weights, len(models), _utf8(output), byref(options), run.control, byref(report)))
    else:
        run.check(_library.ne_merge_recipe(_utf8(models), _utf8(output), byref(options), run.control, byref(report)))
    return {name: getattr(report, name) for name, _ in _MergeReport._fields_ if name != "size"}


def merge_arrays(arrays: Sequence[Any], weights: Sequence[float], *, normalize: bool = True, out: Any = None, device: Optional[Device] = None) -> Any:
    """sum w_k x_k, divided by sum w_k when normalized, of float32 (or, as tensors, bfloat16) arrays of one shape, added in double and rounded once.

    ``out`` receives the result where it is given (it may be one of the arrays) and is returned.
    """
    views = [_view(x, f"array {k}") for k, x in enumerate(arrays)]
    if not views or any(v.shape != views[0].shape or v.type != views[0].type for v in views):
        raise TypeError("the arrays must have one shape and one type, got " + ", ".join(f"{v.type} {list(v.shape)}" for v in views))
    for k, v in enumerate(views):
        if len(v.shape) == 2 and v.shape[0] > 1 and v.stride != v.shape[1]:
            views[k] = _view(v.owner.contiguous() if hasattr(v.owner, "contiguous") else v.owner.copy(), "array")
    length = 1
    for extent in views[0].shape:
        length *= extent
    made = out is None
    if out is None:
        first = views[0].owner
        out = first.new_empty(first.shape) if hasattr(first, "new_empty") else _numpy.empty_like(first, order="C") if _numpy is not None else _new("f", length)
    target = _view(out, "out")
    in_place = made or target.owner is out or (hasattr(out, "data_ptr") and out.data_ptr() == target.address)
    if not in_place or (not made and (target.type != views[0].type or target.shape != views[0].shape)):
        raise TypeError("out must be a contiguous array of the arrays' shape and type")
    if views[0].type not in ("float32", "bfloat16"):
        raise TypeError(f"arrays of {views[0].type} cannot be merged; use float32 or bfloat16")
    inputs = (c_void_p * len(views))(*[v.address for v in views])
    kind = _TYPES[views[0].type]
    _check(_library.ne_merge_buffers(
        _device(device)._handle, inputs, (c_double * len(views))(*weights), len(views) if len(weights) == len(views) else 0, kind, length, int(normalize), target.address, kind, None))
    return out


class Loss(NamedTuple):
    """Losses of a source, or of all: natural logarithm, a token."""

    examples: int
    tokens: int
    mean_loss: float
    perplexity: float
    bits_per_byte: float
    completion_loss: float


def _loss(value: _Loss) -> Loss:
    return Loss(value.examples, value.tokens, value.mean_loss, value.perplexity, value.bits_per_byte, value.completion_loss)


class Dataset(_Object):
    """Tokenised examples; made by :meth:`Model.dataset`."""

    _kind = "data"

    def __init__(self, handle: Optional[int]) -> None:
        self._handle = handle
        info = _DataInfo()
        _check(_library.ne_data_describe(self._handle, byref(info)))
        self.examples, self.read, self.tokens, self.label_tokens = info.examples, info.read, info.tokens, info.label_tokens
        self.sources = [_text(_library.ne_data_source_name, self._handle, s) for s in range(info.sources)]

    def __len__(self) -> int:
        return self.examples

    def ids(self) -> List[str]:
        """The own name of each example, of the field that ``id_field`` named."""
        return [_text(_library.ne_data_example_id, self._handle, i) for i in range(self.examples)]

    def rows(self) -> Tuple[Any, Any]:
        """The source id of each example, and which of the examples read it is."""
        ids, index = _new("i", self.examples), _new("q", self.examples)
        _check(_library.ne_data_rows(self._handle, _address(ids), _address(index), self.examples))
        return ids, index


class Model(_Object):
    """A Llama model: a Hugging Face folder, or ``preset:NAME`` with fresh weights. ``trainable=True`` for a :class:`Trainer`."""

    _kind = "model"

    def __init__(
        self, name: str, *, trainable: bool = False, adapter: Optional[str] = None, tokenizer: Optional[str] = None, lora_rank: int = 0, lora_alpha: float = 0, lora_targets: Optional[str] = None,
        seed: int = DEFAULT_SEED, device: Optional[Device] = None, progress: Optional[Progress] = None,
    ) -> None:
        self.device = _device(device)
        options = _ModelOptions(
            tokenizer=_utf8(tokenizer), adapter=_utf8(adapter), lora_targets=_utf8(lora_targets), seed=seed, lora_alpha=lora_alpha, trainable=int(trainable), lora_rank=lora_rank)
        handle, run = c_void_p(), _Run(progress)
        run.check(_library.ne_model_open(self.device._handle, _utf8(name), byref(options), run.control, byref(handle)))
        self._handle = handle.value
        info = _ModelInfo()
        _check(_library.ne_model_describe(self._handle, byref(info)))
        self.parameters, self.vocabulary, self.hidden, self.layers, self.heads, self.context = info.parameters, info.vocabulary, info.hidden, info.layers, info.heads, info.context

    def dataset(
        self, data: Union[str, Iterable[Any]], *, evaluation: bool = False, max_length: int = 0, loss_on_all: bool = False, skip_bad_lines: bool = False, text_field: Optional[str] = None,
        prompt_field: Optional[str] = None, completion_field: Optional[str] = None, source_field: Optional[str] = None, id_field: Optional[str] = None,
    ) -> Dataset:
        """Examples of a JSONL file, of ``builtin``, or of texts: (prompt or None, completion, source) each, or plain strings.

        The names of a file's fields are text, or prompt and completion, and source, where no other ones are given. ``id_field`` is the field with an example's own name, for :meth:`Dataset.ids`.
        """
        options = _DataOptions(
            max_length=max_length, purpose=int(evaluation), loss_on_all=int(loss_on_all), skip_bad_lines=int(skip_bad_lines), text_field=_utf8(text_field), prompt_field=_utf8(prompt_field),
            completion_field=_utf8(completion_field), source_field=_utf8(source_field), id_field=_utf8(id_field))
        handle = c_void_p()
        if isinstance(data, (str, os.PathLike)):
            _check(_library.ne_data_open(self._handle, _utf8(data), byref(options), None, byref(handle)))
        else:
            rows = [(None, row, "default") if isinstance(row, str) else tuple(row) for row in data]
            prompts, completions, sources = ((c_char_p * max(1, len(rows)))(*[_utf8(row[k]) for row in rows]) for k in range(3))
            _check(_library.ne_data_from_texts(self._handle, prompts, completions, sources, len(rows), byref(options), None, byref(handle)))
        return Dataset(handle.value)

    def features(self, data: Dataset, *, kind: str = "grad", directions: int = 1, radius: float = 1e-3, seed: int = DEFAULT_SEED, progress: Optional[Progress] = None) -> Any:
        """One row for each example: exact gradients (grad), zeroth-order estimates (zo) or hidden states (hidden). float32 [examples, d]."""
        options = _FeatureOptions(seed=seed, radius=radius, kind=_index(("grad", "zo", "hidden"), kind, "kind"), directions=directions)
        dimension = c_int64()
        _check(_library.ne_feature_dimension(self._handle, byref(options), byref(dimension)))
        values, run = _new("f", len(data) * dimension.value), _Run(progress)
        run.check(_library.ne_features(self._handle, data._handle, byref(options), run.control, _address(values), len(values)))
        return values.reshape(len(data), dimension.value) if _numpy is not None else memoryview(values).cast("B").cast("f", (len(data), dimension.value))

    def evaluate(self, data: Dataset, progress: Optional[Progress] = None) -> Tuple[Loss, Dict[str, Loss]]:
        """Losses over all examples and of each source; the data must have been made with ``evaluation=True`` to be comparable with ``nengine eval``."""
        total, run = _Loss(), _Run(progress)
        each = (_Loss * len(data.sources))()
        for element in each:
            element.size = ctypes.sizeof(_Loss)
        run.check(_library.ne_evaluate(self._handle, data._handle, run.control, byref(total), each, len(each)))
        return _loss(total), {name: _loss(value) for name, value in zip(data.sources, each)}

    def generate(self, prompt: str, max_tokens: int = 64, temperature: float = 0, seed: int = DEFAULT_SEED) -> str:
        """The prompt and its continuation."""
        buffer, length = ctypes.create_string_buffer(64 * (self.context + 1)), c_uint64()
        _check(_library.ne_model_generate(self._handle, _utf8(prompt), max_tokens, temperature, seed, None, buffer, len(buffer), byref(length)))
        return buffer.raw[:length.value].decode("utf-8")

    def save(self, folder: str, dtype: str = "float32") -> None:
        """Writes a Hugging Face folder. With ``lora_rank`` this ends the training."""
        _check(_library.ne_model_save(self._handle, _utf8(folder), _index(("float32", "bfloat16"), dtype, "dtype"), None))


class Step(NamedTuple):
    """What one optimizer step did."""

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    examples: int
    kept: int
    tokens: int
    label_tokens: int
    objective: float
    selection_seconds: float
    seconds: float


class Trainer(_Object):
    """A training session, step by step: every step draws a pool, selects the mini-batch and trains it. Options as of ``nengine train``; -1 turns warm-up, clipping or top off."""

    _kind = "trainer"

    def __init__(
        self, model: Model, data: Dataset, steps: int, *, pool: int = 128, batch: int = 64, selection: str = "colm", keep: str = "small", learning_rate: float = 1e-3, optimizer: str = "adamw",
        schedule: str = "cosine", feature: str = "grad", metric: str = "l1", quota: str = "proportional", rounding: str = "floor", overflow: str = "first", seed: int = DEFAULT_SEED, **options: Any,
    ) -> None:
        self.model, self.steps = model, steps
        given = _TrainOptions(
            steps=steps, pool=pool, batch=batch, keep=_utf8(keep), seed=seed, learning_rate=learning_rate, selection=_index(("colm", "full", "random", "composition"), selection, "selection"),
            optimizer=_index(("adamw", "sgd", "lion"), optimizer, "optimizer"), schedule=_index(("cosine", "linear", "constant"), schedule, "schedule"),
            feature=_index(("grad", "zo", "hidden"), feature, "feature"), metric=_index(_METRICS, metric, "metric"), quota=_index(_QUOTAS, quota, "quota"),
            rounding=_index(_ROUNDINGS, rounding, "rounding"), overflow=_index(_OVERFLOWS, overflow, "overflow"))
        for name, value in options.items():
            if name not in ("warmup", "clip_norm", "weight_decay", "beta1", "beta2", "top", "directions", "raw_features", "cluster_weights", "micro_batch_tokens", "checkpoint_activations"):
                raise TypeError(f"a trainer has no option {name!r}")
            setattr(given, name, value)
        handle = c_void_p()
        _check(_library.ne_trainer_create(model._handle, data._handle, byref(given), byref(handle)))
        self._handle = handle.value

    def step(self, progress: Optional[Progress] = None) -> Step:
        """One optimizer step."""
        report, run = _StepReport(), _Run(progress)
        run.check(_library.ne_trainer_step(self._handle, run.control, byref(report)))
        return Step(**{name: getattr(report, name) for name in Step._fields})

    def save(self, folder: str) -> None:
        """A checkpoint in the run's folder."""
        _check(_library.ne_trainer_save(self._handle, _utf8(folder)))

    def resume(self, folder: str) -> int:
        """Back to the newest valid checkpoint; returns the steps done, 0 without one."""
        steps = c_int64()
        _check(_library.ne_trainer_resume(self._handle, _utf8(folder), byref(steps)))
        return steps.value


# ---- PyTorch --------------------------------------------------------------------------------------------------------------------


class CoresetBatchSampler:
    """Batches for a PyTorch ``DataLoader(dataset, batch_sampler=...)``: every batch is a coreset of a pool.

    ``sources`` has an id for each example of the data set; ``features`` is called with the indices of a pool (a list of ints) and returns their features [pool, d], for instance last-layer
    gradients under the model as it stands. Pools are drawn without replacement; the last ones of an epoch that are too few for a pool start the next epoch's first pool.
    ``small`` sources (below the mean size in the data set) are kept whole by default, and features are normalised like Adam's updates, with a history of what was trained.

    The sampler runs in the main process, so DataLoader workers do not touch the library. With ``num_workers`` the loader asks for batches ahead, so features then come from a model a few steps old.
    After a batch was handed out, ``last`` is its :class:`Selection` and ``last_pool`` the pool.
    """

    def __init__(
        self, sources: Sequence[int], features: Callable[[List[int]], Any], *, pool: int = 128, batch: int = 64, keep: str = "small", metric: str = "l1", top: int = 0, normalize: str = "adam",
        quota: str = "proportional", seed: int = DEFAULT_SEED, device: Optional[Device] = None,
    ) -> None:
        self.sources = [int(s) for s in sources]
        if not 1 <= batch <= pool <= len(self.sources):
            raise ValueError(f"a batch of {batch} from a pool of {pool} from {len(self.sources)} examples: each must be at most the next")
        self.features, self.pool, self.batch, self.seed = features, pool, batch, seed
        # What is small is decided once, on the data set: in a pool a source's size is chance.
        self._selector = Selector(batch, keep=self._kept(keep), metric=metric, top=top, normalize=normalize, quota=quota, seed=seed, device=device)
        self._left: List[int] = []
        self._epoch = 0
        self.last: Optional[Selection] = None
        self.last_pool: List[int] = []

    def __len__(self) -> int:
        """Batches of the next epoch."""
        return (len(self._left) + len(self.sources)) // self.pool

    def __iter__(self) -> Iterator[List[int]]:
        order = self._left + self._permutation()
        whole = len(order) // self.pool * self.pool
        self._left = order[whole:]
        self._epoch += 1
        for first in range(0, whole, self.pool):
            self.last_pool = order[first:first + self.pool]
            self.last = self._selector.select(self.features(self.last_pool), array.array("i", [self.sources[i] for i in self.last_pool]))
            yield [self.last_pool[int(i)] for i in self.last.indices]

    def _permutation(self) -> List[int]:
        import random

        order = list(range(len(self.sources)))
        random.Random(f"{self.seed} {self._epoch}").shuffle(order)
        return order

    def _kept(self, keep: str) -> str:
        if keep != "small":
            return keep
        sizes: Dict[int, int] = {}
        for source in self.sources:
            sizes[source] = sizes.get(source, 0) + 1
        small = [source for source, size in sorted(sizes.items()) if size * len(sizes) < len(self.sources)]
        if any(source < 0 for source in small):
            raise ValueError("small sources must have ids that are not negative")
        return ",".join(map(str, small)) or "none"


def _main() -> None:
    print(json.dumps(describe(), indent=1))


if __name__ == "__main__":
    sys.exit(_main())
