"""The Python module against the nengine program: python3 tools/python/native_engine_test.py [Case ...]

NENGINE is the program (default: the Release build of this repository). NENGINE_TEST_WITHOUT_NUMPY=1 hides NumPy from the module.
"""
from __future__ import annotations

import array
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

if os.environ.get("NENGINE_TEST_WITHOUT_NUMPY"):
    sys.modules["numpy"] = None  # type: ignore[assignment]

import native_engine as ne

try:
    import numpy as np
except ImportError:
    np = None

HERE = os.path.dirname(os.path.abspath(__file__))
NENGINE = os.environ.get("NENGINE", os.path.join(HERE, "..", "..", "src", "NativeEngine.Cli", "bin", "Release", "net10.0", "nengine"))


def nengine(*arguments: str):
    """Runs the program; its JSON."""
    run = subprocess.run([NENGINE, *arguments, "--json"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


def features(n: int, d: int, seed: int = 1) -> list:
    """Rows of small clusters; values that float32 holds exactly."""
    state, rows = seed, []
    for i in range(n):
        row = []
        for _ in range(d):
            state = (state * 1664525 + 1013904223) % (1 << 32)
            row.append((state >> 16) / 65536 + (i * i) % 7)
        rows.append(row)
    return rows


def write_npy(path: str, rows: list) -> None:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (len(rows), len(rows[0]))
    header += " " * ((54 - len(header)) % 64 if len(header) <= 54 else -(len(header) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + array.array("f", [x for row in rows for x in row]).tobytes())


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nengine-python-")
        self.addCleanup(self._folder.cleanup)

    def file(self, name: str) -> str:
        return os.path.join(self._folder.name, name)

    def write(self, name: str, text: str) -> str:
        with open(self.file(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.file(name)

    def same(self, selection: ne.Selection, expected: dict) -> None:
        self.assertEqual(list(selection.indices), expected["indices"])
        self.assertEqual(list(selection.weights), expected["weights"])
        self.assertEqual([None if g != g else g for g in selection.gains], expected["gains"])
        self.assertEqual((selection.objective, selection.upper_bound, selection.ratio), (expected["objective"], expected["certificate"]["upper_bound"], expected["certificate"]["ratio"]))
        self.assertEqual(selection.kept, len(expected["kept"]))
        self.assertEqual(selection.dropped, len(expected["dropped"]))


class Select(Case):
    def setUp(self) -> None:
        super().setUp()
        self.rows = features(150, 12)
        self.sources = [(i * 7) % 11 % 4 for i in range(150)]
        write_npy(self.file("f.npy"), self.rows)
        self.arguments = ["select", "--features", self.file("f.npy"), "--sources", self.write("s.txt", "".join(f"{s}\n" for s in self.sources))]

    def test_defaults(self) -> None:
        self.same(ne.select(self.rows, self.sources, "50%"), nengine(*self.arguments, "--budget", "50%"))

    def test_options(self) -> None:
        for options in (
            {"keep": "small", "metric": "l2"}, {"keep": "0,3", "top": 5, "quota": "balanced", "seed": 9}, {"metric": "cosine", "quota": "none"}, {"rounding": "ceil", "algorithm": "sparse"},
            {"algorithm": "stochastic", "neighbours": 9, "seed": 4}, {"algorithm": "partitioned", "parts": 3}, {"keep": "small", "overflow": "random"},
        ):
            with self.subTest(options):
                budget = 8 if "overflow" in options else 40
                given = [text for name, value in options.items() for text in ("--" + name, str(value))]
                self.same(ne.select(self.rows, self.sources, budget, **options), nengine(*self.arguments, "--budget", str(budget), *given))

    def test_names(self) -> None:
        names = ["web", "code", "math", "a"]
        self.write("s.txt", "".join(names[s] + "\n" for s in self.sources))
        self.same(ne.select(self.rows, [names[s] for s in self.sources], 30, keep="math"), nengine(*self.arguments, "--budget", "30", "--keep", "math"))

    def test_not_finite(self) -> None:
        self.rows[3][2] = float("nan")
        self.rows[77][0] = float("inf")
        write_npy(self.file("f.npy"), self.rows)
        expected = nengine(*self.arguments, "--budget", "30")
        self.assertEqual(len(expected["dropped"]), 2)
        self.same(ne.select(self.rows, self.sources, 30), expected)

    def test_history(self) -> None:
        state = self.file("state.safetensors")
        first = nengine(*self.arguments, "--budget", "30", "--adam", "--save-state", state)
        second = nengine(*self.arguments, "--budget", "30", "--adam", "--state", state, "--save-state", self.file("after.safetensors"))
        with ne.Selector(30, normalize="adam") as selector:
            self.same(selector.select(self.rows, self.sources), first)
            m, v = selector.state("m", 12), selector.state("v", 12)
            self.same(selector.select(self.rows, self.sources), second)
            self.assertEqual(selector.step, 2)
            selector.save(self.file("mine.safetensors"), 12)
        with open(self.file("after.safetensors"), "rb") as a, open(self.file("mine.safetensors"), "rb") as b:
            self.assertEqual(a.read(), b.read())
        with ne.Selector(30, normalize="adam") as again:
            again.load(state, 12)
            self.assertEqual(again.step, 1)
            self.same(again.select(self.rows, self.sources), second)
        with ne.Selector(30, normalize="adam") as third:
            third.set_state("m", m)
            third.set_state("v", v)
            third.step = 1
            self.same(third.select(self.rows, self.sources), second)

    def test_stream(self) -> None:
        expected = nengine(*self.arguments, "--budget", "30", "--keep", "small")
        results = []
        for chunk, rows in ((1, 60), (13, 60), (150, 60), (40, 150)):
            with ne.Stream(30, 12, rows=rows, keep="small") as stream:
                for first in range(0, 150, chunk):
                    stream.add(self.rows[first:first + chunk], self.sources[first:first + chunk])
                selection, report = stream.result()
            self.assertEqual(report.seen, 150)
            results.append(list(selection.indices))
        self.assertEqual(results[0], results[1])
        self.assertEqual(results[0], results[2])
        self.assertEqual(results[3], expected["indices"])

    def test_threads_at_once(self) -> None:
        expected = list(ne.select(self.rows, self.sources, 30).indices)
        results: list = []
        threads = [threading.Thread(target=lambda: results.extend([list(ne.select(self.rows, self.sources, 30).indices)] * 1 for _ in range(20))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(results), 80)
        self.assertTrue(all(result == [expected] for result in results))


@unittest.skipIf(np is None, "needs NumPy")
class NumPy(Case):
    def test_layouts(self) -> None:
        x = np.asarray(features(90, 10), dtype=np.float32)
        expected = list(ne.select(x, None, 20).indices)
        wide = np.zeros((90, 17), dtype=np.float32)
        wide[:, 3:13] = x
        for other in (x.astype(np.float64), np.asfortranarray(x), wide[:, 3:13], x[::-1][::-1], x.tolist(), memoryview(x), x.astype(">f4")):
            self.assertEqual(list(ne.select(other, None, 20).indices), expected)
        self.assertEqual(list(ne.select(x, np.zeros(90, dtype=np.int64), 20).indices), expected)

    def test_merge_arrays(self) -> None:
        a, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((2, 3), dtype=np.float32)
        np.testing.assert_array_equal(ne.merge_arrays([a, b], [1, 3]), ((a.astype(np.float64) + 3 * b) / 4).astype(np.float32))
        self.assertIs(ne.merge_arrays([a, b], [1, 1], normalize=False, out=a), a)
        np.testing.assert_array_equal(a, np.arange(6).reshape(2, 3) + 1)


class Models(Case):
    def setUp(self) -> None:
        super().setUp()
        self.train = self.write("train.jsonl", "".join(
            json.dumps({"source": "sums" if i % 4 else "words", "prompt": f"{i} + {i % 7}", "completion": str(i + i % 7)}) + "\n" for i in range(60)))
        self.options = ["--model", "preset:0.2m", "--data", self.train, "--eval-data", self.train, "--pool", "16", "--batch", "8", "--steps", "4", "--seed", "5"]

    def test_training_is_the_programs(self) -> None:
        done = nengine("train", *self.options, "--output", self.file("run"))
        with open(self.file("run/metrics.jsonl"), encoding="utf-8") as file:
            losses = [line["loss"] for line in map(json.loads, file) if "loss" in line]
        with ne.Model("preset:0.2m", trainable=True, seed=5) as model, model.dataset(self.train) as data, model.dataset(self.train, evaluation=True) as held:
            with ne.Trainer(model, data, 4, pool=16, batch=8, seed=5) as trainer:
                steps = [trainer.step(), trainer.step()]
                trainer.save(self.file("checkpoints"))
                steps += [trainer.step(), trainer.step()]
                self.assertEqual([s.loss for s in steps], losses)
                with self.assertRaises(ne.EngineError) as caught:
                    trainer.step()
                self.assertEqual(caught.exception.name, "NE_ERROR_STATE")
            total, sources = model.evaluate(held)
            self.assertEqual(total.mean_loss, done["eval"]["nll"])
            self.assertEqual({name: loss.mean_loss for name, loss in sources.items()}, {s["source"]: s["nll"] for s in done["eval"]["sources"]})
            model.save(self.file("model"))
            with open(self.file("model/model.safetensors"), "rb") as a, open(self.file("run/model.safetensors"), "rb") as b:
                self.assertEqual(a.read(), b.read())
        # From the checkpoint the last two steps have the same bits.
        with ne.Model("preset:0.2m", trainable=True, seed=5) as model, model.dataset(self.train) as data, ne.Trainer(model, data, 4, pool=16, batch=8, seed=5) as trainer:
            self.assertEqual(trainer.resume(self.file("checkpoints")), 2)
            self.assertEqual([trainer.step().loss, trainer.step().loss], losses[2:])
        with ne.Model("preset:0.2m", trainable=True, seed=5) as model, model.dataset(self.train) as data, ne.Trainer(model, data, 4, pool=16, batch=4, seed=5) as trainer:
            with self.assertRaisesRegex(ne.EngineError, "batch"):
                trainer.resume(self.file("checkpoints"))
        # Features of the folder, and a merge of two, as the program makes them.
        nengine("features", "--model", self.file("model"), "--data", self.train, "--output", self.file("f.npy"))
        with ne.Model(self.file("model")) as model, model.dataset(self.train) as data:
            rows = model.features(data)
            with open(self.file("f.npy"), "rb") as file:
                self.assertTrue(file.read().endswith(bytes(memoryview(rows))))
            self.assertEqual(model.generate("1 + 1", 5).startswith("1 + 1"), True)
            ids, index = data.rows()
            self.assertEqual([data.sources[i] for i in ids][:5], ["words", "sums", "sums", "sums", "words"])
            self.assertEqual(list(index), list(range(60)))
        weights = {self.file("model"): 0.25, self.file("run"): 0.75}
        nengine("merge", "--linear", *[f"{path}={weight}" for path, weight in weights.items()], "--output", self.file("theirs"))
        heard: list = []
        report = ne.merge(weights, self.file("ours"), progress=lambda work, done, total: heard.append((work, done, total)))
        self.assertEqual(heard[-1], ("merge", report["parameters"], report["parameters"]))
        with open(self.file("ours/model.safetensors"), "rb") as a, open(self.file("theirs/model.safetensors"), "rb") as b:
            self.assertEqual(a.read(), b.read())

    @staticmethod
    def options_of(names: dict) -> list:
        return [x for name, value in names.items() for x in ("--" + name.replace("_", "-"), value)]

    def test_field_names_are_the_programs_options(self) -> None:
        lines = [{"q": f"{i} + 1", "a": str(i + 1), "topic": i % 3} if i % 2 else {"body": f"the number {i}", "topic": i % 3} for i in range(20)]
        path = self.write("renamed.jsonl", "".join(json.dumps({**line, "uid": f"u{i * i}"}) + "\n" for i, line in enumerate(lines)))
        names = {"text_field": "body", "prompt_field": "q", "completion_field": "a", "source_field": "topic"}
        with ne.Model("preset:0.2m") as model, model.dataset(path, **names, id_field="uid") as data:
            self.assertEqual(data.ids(), [f"u{i * i}" for i in range(20)])
            picks = nengine("select", path, *self.options_of(names), "--id-field", "uid", "--budget", "6")
            self.assertEqual([data.ids()[i] for i in picks["indices"]], picks["ids"])
            model.save(self.file("model"))
            nengine("features", "--model", self.file("model"), "--data", path, *self.options_of(names), "--output", self.file("f.npy"))
            self.assertEqual(data.sources, ["0", "1", "2"])
            self.assertEqual(list(data.rows()[0]), [i % 3 for i in range(20)])
            with open(self.file("f.npy"), "rb") as file:
                self.assertTrue(file.read().endswith(bytes(memoryview(model.features(data)))))
            with self.assertRaises(ne.EngineError) as caught:
                model.dataset(path)
            self.assertEqual(caught.exception.hint, "text_field body, or prompt_field body completion_field uid")
            with self.assertRaisesRegex(ne.EngineError, 'renamed.jsonl:4: it has the name "0" of line 1 .name a field with id_field'):
                model.dataset(path, **names, id_field="topic")
            with model.dataset(path, **names) as nameless, self.assertRaisesRegex(ne.EngineError, "id_field"):
                nameless.ids()
            self.assertIn('renamed.jsonl:1: it has neither "prompt" with "completion" nor "text"', caught.exception.message)

    def test_texts_and_adapter(self) -> None:
        with ne.Model("preset:0.2m", trainable=True, lora_rank=2) as model:
            data = model.dataset([("2 + 2", "4", "sums"), (None, "hello", "words"), "plain"])
            self.assertEqual((data.sources, len(data)), (["default", "sums", "words"], 3))
            with ne.Trainer(model, data, 2, pool=3, batch=2, keep="none") as trainer:
                trainer.step()
                model.save(self.file("lora"))
                self.assertTrue(os.path.exists(self.file("lora/adapter/adapter_model.safetensors")))
                with self.assertRaises(ne.EngineError) as caught:
                    trainer.step()
                self.assertEqual(caught.exception.status, 13)


class Mistakes(Case):
    def refused(self, name: str, words: str, call) -> None:
        with self.assertRaises(ne.EngineError) as caught:
            call()
        self.assertEqual(caught.exception.name, name)
        self.assertIn(words, str(caught.exception))

    def test_sentences(self) -> None:
        x = features(20, 4)
        self.refused("NE_ERROR_ARGUMENT", "the budget is 0", lambda: ne.select(x, None, 0))
        self.refused("NE_ERROR_ARGUMENT", "the rule for kept sources", lambda: ne.select(x, None, 5, keep="tiny:"))
        self.refused("NE_ERROR_DEVICE", "cuda:9", lambda: ne.Device("cuda:9"))
        self.refused("NE_ERROR_INPUT", "/nowhere", lambda: ne.Model("/nowhere"))
        self.refused("NE_ERROR_WILL_NOT_FIT", "max_memory", lambda: ne.select(x, None, 5, max_memory=100))
        self.refused("NE_ERROR_WILL_NOT_FIT", "at least", lambda: ne.Stream(1000, 10, rows=100))
        closed = ne.Selector(5)
        closed.close()
        closed.close()
        self.refused("NE_ERROR_HANDLE", "NULL", lambda: closed.select(x))
        for wrong in (lambda: ne.select([1.0, 2.0], None, 1), lambda: ne.select(x, [1, 2], 5), lambda: ne.select(x, None, 5, metric="l3"), lambda: ne.select(x, [0.5] * 20, 5)):
            with self.assertRaises((TypeError, ValueError)):
                wrong()

    def test_progress(self) -> None:
        x = features(20, 4)
        self.refused("NE_ERROR_CANCELLED", "cancelled", lambda: ne.select(x, None, 5, progress=lambda *_: False))

        def boom(*_):
            raise KeyError("mine")

        with self.assertRaisesRegex(KeyError, "mine"):
            ne.select(x, None, 5, progress=boom)
        device = ne.Device("cpu", threads=1)
        errors = []

        def again(*_):
            try:
                ne.select(x, None, 5, device=device)
            except ne.EngineError as error:
                errors.append(error.name)

        self.assertEqual(len(ne.select(x, None, 5, device=device, progress=again)), 5)
        self.assertEqual(errors, ["NE_ERROR_BUSY"] * 2)

    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_fork(self) -> None:
        ne.select(features(20, 4), None, 5)
        child = os.fork()
        if child == 0:
            try:
                ne.select(features(20, 4), None, 5)
            except ne.EngineError as error:
                os._exit(error.status)
            os._exit(0)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 13)


class Torch(Case):
    def test_tensors(self) -> None:
        import torch

        x = torch.tensor(features(90, 10))
        expected = list(ne.select(x.tolist(), None, 20).indices)
        for other in (x, x.double(), x.t().contiguous().t(), torch.cat([x, x], dim=1)[:, :10], x.clone().requires_grad_()):
            self.assertEqual(list(ne.select(other, torch.zeros(90, dtype=torch.int64), 20).indices), expected)
        coarse = x.bfloat16()
        self.assertEqual(list(ne.select(coarse, None, 20).indices), list(ne.select(coarse.float(), None, 20).indices))
        a, b = torch.randn(5, 3), torch.randn(5, 3)
        self.assertTrue(torch.equal(ne.merge_arrays([a, b], [0.5, 0.5]), ((a.double() + b.double()) * 0.5).float()))

    def test_sampler(self) -> None:
        import torch

        count, pool = 640, 64
        x = torch.tensor(features(count, 6, seed=3))
        sources = [0 if i % 10 < 7 else 1 + i % 2 for i in range(count)]
        sampler = ne.CoresetBatchSampler(sources, lambda rows: x[rows], pool=pool, batch=32)
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, torch.arange(count)), batch_sampler=sampler)
        seen = []
        self.assertEqual(len(loader), 10)
        state = self.file("state.safetensors")
        for step, (values, rows) in enumerate(loader):
            self.assertTrue(torch.equal(values, x[rows]))
            # What the program selects from this pool, with the history of the batches before.
            write_npy(self.file("f.npy"), x[sampler.last_pool].tolist())
            self.write("s.txt", "".join(f"{sources[i]}\n" for i in sampler.last_pool))
            expected = nengine(
                "select", "--features", self.file("f.npy"), "--sources", self.file("s.txt"), "--budget", "32", "--keep", "1,2", "--adam", "--save-state", state, *(["--state", state] if step else []))
            self.assertEqual(rows.tolist(), [sampler.last_pool[i] for i in expected["indices"]])
            seen += sampler.last_pool
            if step == 2:
                break
        self.assertEqual(len(set(seen)), 3 * pool)


if __name__ == "__main__":
    unittest.main()
