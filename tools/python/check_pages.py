#!/usr/bin/env python3
"""Looks at reports with other eyes: python3 check_pages.py PAGE.html|FOLDER... [--no-browser] [--chromium PATH]

Numbers: of every figure, as its own file and as the page shows it on a desk and on a phone, each bar, dot, vertex and cell is read back by the ticks and labels
of its own axes and compared with numbers.json beside it: right place, none missing, none too many, none beyond the plot; the CSV says the same as the JSON.
Looks: chromium lays every page out at 390 and 1280 pixels, light and dark: no two texts of a figure touch, none leaves its figure, nothing but a scrolling table is
wider than the page, no mark covers a text, every text has a contrast of 4.5 to what is behind it.

Only the standard library and, for the looks, chromium; without it the second part is skipped and says so. Exit code 1: something is off.
"""
import csv, html, io, json, math, os, re, shutil, subprocess, sys, tempfile
import xml.etree.ElementTree as xml

SVG = "{http://www.w3.org/2000/svg}"
PIXEL = 0.08  # places are written with two decimals; an axis is read from two to eight of them


def parse(label):
    """The number that a label tells: 20k, 1.5 MiB, 0.01; None for words."""
    m = re.fullmatch(r"(-?[\d.]+(?:E[+-]?\d+)?)\s*(k|M|G|B|KiB|MiB|GiB)?", label)
    scale = {None: 1, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "B": 1, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
    return float(m[1]) * scale[m[2]] if m else None


class Axis:
    """Where values stand, from (position, value) of the labelled ticks: a straight line through the values or through their logarithms."""

    def __init__(self, ticks, name):
        self.name, self.ticks = name, sorted(set(ticks))
        if len({v for _, v in self.ticks}) < 2:
            raise ValueError(f"the {name} axis has {len(self.ticks)} labelled ticks: its values cannot be read")
        fits = [self._fit(lambda v: v)]
        if all(v > 0 for _, v in self.ticks) and len(self.ticks) > 2:
            fits.append(self._fit(math.log10))
        self.error, self.slope, self.offset, self.of = min(fits, key=lambda f: f[0])
        if self.error > PIXEL:
            raise ValueError(f"the {name} axis is neither linear nor logarithmic: a tick is {self.error:.2f} pixels off ({self.ticks})")

    def _fit(self, of):
        xs, ys = [of(v) for _, v in self.ticks], [p for p, _ in self.ticks]
        mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
        slope = sum((x - mx) * (y - my) for x, y in zip(xs, ys)) / sum((x - mx) ** 2 for x in xs)
        return max(abs(my + slope * (x - mx) - y) for x, y in zip(xs, ys)), slope, my - slope * mx, of

    @property
    def log(self):
        return self.of is math.log10

    def at(self, value):
        return self.offset + self.slope * self.of(value)


class Figure:
    """One drawing and the table that it was drawn from."""

    def __init__(self, root, table, where):
        self.root, self.table, self.where, self.marks, self.findings = root, table, where, 0, []
        self.parent = {child: parent for parent in root.iter() for child in parent}
        self.columns = table["columns"]
        self.names = [c["name"] for c in self.columns]

    def off(self, text):
        self.findings.append(f"{self.where}: {text}")

    def all(self, tag, css=""):
        want = set(css.split())
        return [e for e in self.root.iter(SVG + tag) if want <= set(e.get("class", "").split()) and "swatch" not in e.get("class", "")]

    def title(self, mark):
        t = self.parent[mark].find(SVG + "title")
        return "" if t is None else t.text or ""

    def colour(self, mark):
        css = (mark.get("class") or self.parent[mark].get("class")).split()
        if len(css) == 1:
            css = self.parent[mark].get("class").split()
        return next((c for c in css if re.fullmatch("[a-f]", c)), None)

    def legend(self):
        texts = {(t.get("x"), t.get("y")): t.text for t in self.all("text", "small")}
        found = {}
        for r in self.root.iter(SVG + "rect"):
            css = r.get("class", "").split()
            if "swatch" in css:
                name = next((t for (x, y), t in texts.items() if abs(float(x) - float(r.get("x")) - 18) < 0.02 and abs(float(y) - float(r.get("y")) - 9) < 0.02), None)
                found[next(c for c in css if re.fullmatch("[a-f]", c))] = name
        return found

    def same(self, axis, position, value, what, slack=0.0):
        """Whether a mark stands where its value belongs."""
        self.marks += 1
        wanted = axis.at(value)
        if not abs(wanted - position) <= PIXEL + slack:
            self.off(f"{what}: drawn at {position:g}, {value!r} belongs at {wanted:.2f} on the {axis.name} axis")

    def axes(self):
        """The plots: edges (left, top, right, bottom), horizontal axis, vertical axis or None where it has no values."""
        grid, labels = self.all("line", "grid"), [(float(t.get("x")), float(t.get("y")), t.get("text-anchor"), parse(t.text or "")) for t in self.all("text", "small quiet")]
        plots = {}
        for line in grid:
            x1, y1, x2, y2 = (float(line.get(n)) for n in ("x1", "y1", "x2", "y2"))
            if x1 == x2:
                plots.setdefault((min(y1, y2), max(y1, y2)), []).append(x1)
        found = []
        for (top, bottom), places in sorted(plots.items()):
            across = [(x, v) for x in places for lx, ly, a, v in labels if a == "middle" and v is not None and abs(lx - x) < 0.02 and 8 < ly - bottom < 24]
            base = next(l for l in self.all("line", "axis") if l.get("y1") == l.get("y2") and abs(float(l.get("y1")) - bottom) < 0.02)
            left, right = float(base.get("x1")), float(base.get("x2"))
            up = []
            for line in grid:
                x1, y1, x2, y2 = (float(line.get(n)) for n in ("x1", "y1", "x2", "y2"))
                if y1 == y2 and top - 0.5 <= y1 <= bottom + 0.5:
                    up += [(y1, v) for lx, ly, a, v in labels if a == "end" and v is not None and abs(ly - 4 - y1) < 0.02 and lx <= x1]
            found.append(((left, top, right, bottom), Axis(across, "horizontal"), Axis(up, "vertical") if up else None))
        return found

    def inside(self, box, x, y, what):
        if not (box[0] - 0.6 <= x <= box[2] + 0.6 and box[1] - 0.6 <= y <= box[3] + 0.6):
            self.off(f"{what} lies beyond the plot: {x:g}, {y:g} in {box}")

    def check(self):
        words = [all(v is None or isinstance(v, str) for v in c["values"]) and any(isinstance(v, str) for v in c["values"]) for c in self.columns]
        if self.table["name"] == "roofline":
            self.roofline()
        elif self.all("rect", "cell"):
            self.heat()
        elif len(words) == 4 and self.names[1] == "class":
            self.scatter()
        elif words and words[0]:
            self.bars()
        else:
            self.lines()
        return self

    # Bars and dots: the marks carry the name of their row and come in the rows' order.
    def bars(self):
        (box, x, _), = self.axes()
        col = {n: c["values"] for n, c in zip(self.names, self.columns)}
        labels, values = self.columns[0]["values"], self.columns[1]["values"]
        low, high, kinds = col.get("low"), col.get("high"), col.get("kind")
        whole = next((c["values"] for c in self.columns[2:] if c["name"] not in ("low", "high", "kind")), None)
        more = sum(int(m[1]) for t in self.all("text", "small quiet") if (m := re.fullmatch(r"and (\d+) more, in the data", t.text or "")))
        rows = range(len(labels) - more)
        drawn = lambda v: v is not None and (not x.log or v > 0)
        dots = [(self.title(c), float(c.get("cx")), float(c.get("cy")), self.colour(c)) for c in self.all("circle")]
        bars = [(self.title(r), r, float(r.get("y")) + float(r.get("height")) / 2, self.colour(r)) for r in self.all("rect", "bar")]
        marks, wanted = dots or bars, [i for i in rows if drawn(values[i])]
        if len(marks) != len(wanted):
            self.off(f"{len(marks)} marks for {len(wanted)} values")
            return
        if marks != sorted(marks, key=lambda m: m[2]):
            self.off("rows are not in the data's order")
        legend, names = self.legend(), [t for t in self.all("text", "small") if t.get("text-anchor") == "end" and "quiet" not in t.get("class")]
        spans = {round(float(l.get("y1")), 2): (float(l.get("x1")), float(l.get("x2"))) for l in self.all("line", "whisker") + self.all("line", "error")}
        parts = {round(float(r.get("y")) + 7, 2): r for r in self.all("rect", "whole")}
        spanned = 0
        for i, (tell, mark, y, colour) in zip(wanted, marks):
            what = f"row {labels[i]!r}"
            if not tell.startswith(labels[i] + ": "):
                self.off(f"{what}: its mark says {tell!r}")
            if dots:
                self.same(x, mark, values[i], what)
                self.inside(box, mark, y, what)
            else:
                ends = sorted((x.at(0), x.at(values[i])))
                left, wide = float(mark.get("x")), float(mark.get("width"))
                self.same(x, left + wide if values[i] > 0 else left, values[i], what)
                if abs(left - ends[0]) > 2 * PIXEL or abs(left + wide - ends[1]) > 2 * PIXEL:
                    self.off(f"{what}: the bar is from {left:g} to {left + wide:g}, not from zero to its value")
                self.inside(box, left + wide, y, what)
                self.inside(box, left, y, what)
            if low and low[i] is not None and (not dots or not x.log or low[i] > 0):
                span = next((s for at, s in spans.items() if abs(at - y) < 0.03), None)
                if span is None:
                    self.off(f"{what}: no interval is drawn")
                else:
                    spanned += 1
                    self.same(x, span[0], low[i], what + ", low end")
                    self.same(x, span[1], high[i], what + ", high end")
                    self.inside(box, span[0], y, what)
                    self.inside(box, span[1], y, what)
            if whole and whole[i] is not None:
                r = next((r for at, r in parts.items() if abs(at - y) < 0.03), None)
                if r is None:
                    self.off(f"{what}: its whole is not drawn")
                else:
                    self.same(x, float(r.get("x")) + float(r.get("width")), whole[i], what + ", whole")
            if kinds and legend.get(colour) != kinds[i]:
                self.off(f"{what} is {kinds[i]!r} in the data, {legend.get(colour)!r} by its colour")
        if spanned != len(spans):
            self.off(f"{len(spans)} intervals are drawn, {spanned} are in the data")
        # Names on several lines stand around their row.
        written = re.sub(r"\s", "", "".join(t.text for t in sorted(names, key=lambda t: float(t.get("y")))))
        for i in rows:
            name = re.sub(r"\s", "", labels[i])
            size = next((k for k in range(len(name), -1, -1) if written.startswith(name[:k])), 0)
            if size < len(name) and written[size:size + 1] != "…":
                self.off(f"row {labels[i]!r} is named {written[:len(name)]!r}")
                break
            written = written[size + (size < len(name)):]

    def heat(self):
        names, rows = self.columns[0]["values"], len(self.columns[0]["values"])
        cells = [r for r in self.root.iter(SVG + "rect") if set(r.get("class", "").split()) & {"cell", "none"}]
        scale, cells = cells[:5], cells[5:]
        both = any("b" in c.get("class").split() for c in scale)
        for c, share in zip(scale, (1, 0.5, 0, 0.5, 1) if both else (0, 0.25, 0.5, 0.75, 1)):
            if abs(float(c.get("fill-opacity")) - (0.06 + 0.94 * share)) > 0.011:
                self.off(f"the scale has shade {c.get('fill-opacity')} for {share} of the largest value")
        columns = self.columns[1:]
        if len(cells) != rows * len(columns):
            self.off(f"{len(cells)} cells for {rows} x {len(columns)} values")
            return
        quiet = self.all("text", "small quiet")
        after = [t for t in quiet if abs(float(t.get("y")) - float(scale[0].get("y")) - 9) < 0.02 and float(t.get("x")) > float(scale[4].get("x"))]
        values = [v for c in columns for v in c["values"] if v is not None]
        told = after[0].text if after else ""
        number = float(re.match(r"-?[\d.,E+-]+", told)[0].replace(",", "")) / (100 if told.endswith("%") else 1) if re.match(r"-?[\d.]", told) else math.nan
        if min(values, default=0) < 0 and not any("b" in c.get("class").split() for c in scale):
            self.off("the scale does not show the colour of negative values")
        texts = {}
        for t in self.all("text", "small"):
            if "quiet" not in t.get("class") and t.get("text-anchor") == "middle":
                texts[(round(float(t.get("x")), 1), round(float(t.get("y")), 1))] = t.text
        lefts = [float(cells[c].get("x")) for c in range(len(columns))]
        for r in range(rows):
            for c, column in enumerate(columns):
                cell, value, what = cells[r * len(columns) + c], column["values"][r], f"cell {names[r]!r}, {column['name']!r}"
                self.marks += 1
                if abs(float(cell.get("x")) - lefts[c]) > 0.02 or cell.get("y") != cells[r * len(columns)].get("y"):
                    self.off(f"{what} is not in its row and column")
                if ("none" in cell.get("class")) != (value is None):
                    self.off(f"{what}: {value!r} is drawn as {cell.get('class')!r}")
                if value is None:
                    continue
                if cell.get("class") != ("cell b" if value < 0 else "cell a"):
                    self.off(f"{what}: {value!r} has the other sign's colour")
                shade = 0.06 + 0.94 * min(1, abs(value) / number) if number > 0 else math.nan
                if not abs(shade - float(cell.get("fill-opacity"))) <= 0.02:
                    self.off(f"{what}: {value!r} has shade {cell.get('fill-opacity')}, by the scale to {told!r} it is {shade:.3f}")
                tell = self.title(cell) if self.parent[cell].get("class") == "hint" else None
                if tell is not None and (not tell.startswith(names[r] + ", ") or not math.isclose(float(tell.rsplit(": ", 1)[1]), value, rel_tol=1e-5, abs_tol=1e-12)):
                    self.off(f"{what}: {value!r} is told as {tell!r}")
                wide = (lefts[1] - lefts[0]) if len(lefts) > 1 else float(cell.get("width")) + 1
                tall = float(cell.get("height")) + 1
                middle, line = lefts[c] + wide / 2, float(cell.get("y")) + tall / 2 + 4
                shown = next((t for (tx, ty), t in texts.items() if abs(tx - middle) < 0.2 and abs(ty - line) < 0.2), None)
                if shown is not None:
                    digits = shown.removesuffix(" %").replace(",", "")
                    unit = 100 if shown.endswith("%") else 1
                    step = 10.0 ** -len(digits.partition(".")[2]) if "E" not in digits else abs(float(digits)) * 1e-3
                    step = max(step, 1) if "." not in digits and len(digits) > 4 else step
                    if abs(float(digits) - unit * value) > 0.500001 * step:
                        self.off(f"{what}: {value!r} is written as {shown!r}")
        centres = [x + ((lefts[1] - lefts[0]) if len(lefts) > 1 else float(cells[0].get("width")) + 1) / 2 for x in lefts]
        bottom = max(float(c.get("y")) + float(c.get("height")) for c in cells) if cells else 0
        title = max(quiet, key=lambda t: float(t.get("y")))
        for t in quiet:
            if t is title or float(t.get("y")) <= bottom:
                continue
            c = min(range(len(centres)), key=lambda k: abs(centres[k] - float(t.get("x")) + (4 if t.get("transform") else 0)))
            name = columns[c]["name"].removeprefix(title.text + " ")
            name = re.sub(r" \d+$", "", name) if not name.startswith(t.text.rstrip("…")) else name
            if abs(centres[c] - float(t.get("x")) + (4 if t.get("transform") else 0)) > 0.1 or not (t.text == name or t.text.endswith("…") and name.startswith(t.text[:-1])):
                self.off(f"the column at {t.get('x')} is labelled {t.text!r}, its data {columns[c]['name']!r}")

    def scatter(self):
        (box, x, y), = self.axes()
        legend = self.legend()
        wanted, drawn = {}, {}
        for tell, name, px, py in zip(*(c["values"] for c in self.columns)):
            wanted.setdefault(name, []).append((px, py, tell))
        for c in self.all("circle"):
            drawn.setdefault(legend.get(self.colour(c)), []).append((float(c.get("cx")), float(c.get("cy")), self.title(c)))
        for p in self.all("path", "points"):
            drawn.setdefault(legend.get(self.colour(p)), []).extend((float(a), float(b), None) for a, b in re.findall(r"M([-\d.]+) ([-\d.]+)h0", p.get("d")))
        for name in wanted.keys() | drawn.keys():
            should, has = wanted.get(name, []), drawn.get(name, [])
            if len(should) != len(has):
                self.off(f"{len(has)} points of {name!r} are drawn, {len(should)} are in the data")
                continue
            for (vx, vy, tell), (px, py, says) in zip(should, has):
                self.same(x, px, vx, f"point {tell!r}")
                self.same(y, py, vy, f"point {tell!r}")
                self.inside(box, px, py, f"point {tell!r}")
                if says is not None and says != tell:
                    self.off(f"point {tell!r} says {says!r}")

    def roofline(self):
        (above, ax, ay), (below, bx, _) = self.axes()
        col = dict(zip(self.names, (c["values"] for c in self.columns)))
        who = [f"{k} {s}: " for k, s in zip(col["kernel"], col["size"])]
        for box, part in ((above, [i for i in range(len(who)) if (col["G operations/s"][i] or 0) > 0]), (below, range(len(who)))):
            dots = [c for c in self.all("circle") if self.parent[c].find(SVG + "title") is not None and box[1] - 1 <= float(c.get("cy")) <= box[3] + 1]
            if len(dots) != len(part):
                self.off(f"{len(dots)} dots for {len(part)} measurements")
                continue
            for i in part:
                mine = [c for c in dots if self.title(c).startswith(who[i])]
                if len(mine) != 1:
                    self.off(f"{len(mine)} dots say {who[i]!r}")
                    continue
                px, py = float(mine[0].get("cx")), float(mine[0].get("cy"))
                self.inside(box, px, py, who[i])
                if box is above:
                    self.same(ax, px, col["operations per byte"][i], who[i])
                    self.same(ay, py, col["G operations/s"][i], who[i])
                else:
                    self.same(bx, px, col["% of the roof"][i], who[i])

    def lines(self):
        (box, x, y), = self.axes()
        xs, legend = self.columns[0]["values"], self.legend()
        groups = [g for g in self.root.iter(SVG + "g") if g.get("class") == "series"]
        areas = [g for g in groups if any("fill" in p.get("class").split() for p in g.iter(SVG + "path"))]
        stacked = len(areas) > 1 and len(areas) == len(self.columns) - 1
        running = [0.0] * len(xs)
        circles, columns = self.all("circle"), self.all("rect", "bar")
        for k, column in enumerate(self.columns[1:]):
            values, name, colour = column["values"], column["name"], chr(ord("a") + k % 6)
            if stacked:
                running = values = [None if v is None or r is None else v + r for v, r in zip(values, running)]
            points = [(px, v) for px, v in zip(xs, values) if v is not None and px is not None and not (x.log and px <= 0) and not (y.log and v <= 0)]
            if legend and legend.get(colour) is not None and not (legend[colour] == name or legend[colour].endswith("…") or name.startswith(legend[colour])):
                self.off(f"the legend calls {name!r} {legend[colour]!r}")
            paths = [p for g in groups if (g.find(SVG + "title").text or "") in (name, re.sub(r" \d+$", "", name)) for p in g.iter(SVG + "path") if set(p.get("class").split()) >= {"line", colour}]
            if columns and not groups:
                bars = [r for r in columns if self.colour(r) == colour]
                full = [(px, v) for px, v in points if v > 0]
                if len(bars) != len(full):
                    self.off(f"{len(bars)} columns for {len(full)} values")
                    continue
                for r, (px, v) in zip(bars, full):
                    self.same(x, float(r.get("x")) + float(r.get("width")) / 2, px, f"column at {px:g}")
                    self.same(y, float(r.get("y")), v, f"column at {px:g}")
                    self.same(y, float(r.get("y")) + float(r.get("height")), 0, f"foot of the column at {px:g}")
                    self.inside(box, float(r.get("x")), float(r.get("y")), f"column at {px:g}")
                    self.inside(box, float(r.get("x")) + float(r.get("width")), float(r.get("y")), f"column at {px:g}")
                continue
            if paths:
                drawn = [(float(a), float(b)) for p in paths for a, b in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", p.get("d"))]
            else:
                drawn = [(float(c.get("cx")), float(c.get("cy"))) for c in circles if self.colour(c) == colour]
            for px, py in drawn:
                self.inside(box, px, py, f"a vertex of {name!r}")
            if len(drawn) == len(points):
                for (px, v), (dx, dy) in zip(points, drawn):
                    self.same(x, dx, px, f"{name!r} at {px:g}")
                    self.same(y, dy, v, f"{name!r} at {px:g}")
            elif len(points) > 2 * (box[2] - box[0]) > 0 and drawn:
                self.thinned(x, y, name, points, drawn)
            else:
                self.off(f"{name!r} has {len(drawn)} vertices for {len(points)} values")

    def thinned(self, x, y, name, points, drawn):
        """More values than pixels: every vertex is a value, and every pixel has its least and greatest."""
        known = {}
        for px, v in points:
            known.setdefault(round(x.at(px)), []).append((x.at(px), y.at(v)))
        near = lambda dx, dy: any(abs(a - dx) <= PIXEL and abs(b - dy) <= PIXEL for k in (-1, 0, 1) for a, b in known.get(round(dx) + k, ()))
        for dx, dy in drawn:
            self.marks += 1
            if not near(dx, dy):
                self.off(f"{name!r} has a vertex at {dx:g}, {dy:g} where no value belongs")
        for pixel, here in known.items():
            close = [dy for dx, dy in drawn if abs(dx - pixel) <= 1.6]
            for extreme in (min(b for _, b in here), max(b for _, b in here)):
                if not close or (min(close) > extreme + PIXEL or max(close) < extreme - PIXEL):
                    self.off(f"{name!r}: an extreme at {extreme:.2f} near {pixel} is not drawn")


def same_csv(table, path):
    """Findings where the CSV differs from the JSON."""
    rows = list(csv.reader(io.StringIO(open(path, encoding="utf-8", newline="").read())))
    found = []
    plain = lambda cell: cell[1:] if cell[:2] in ("'=", "'+", "'@", "'\t") else cell
    if [plain(n) for n in rows[0]] != [c["name"] for c in table["columns"]] or len(rows) - 1 != max((len(c["values"]) for c in table["columns"]), default=0):
        return [f"{path}: its header or number of rows is not the JSON's"]
    for k, column in enumerate(table["columns"]):
        for i, value in enumerate(column["values"]):
            cell = rows[i + 1][k]
            if not (cell == "" if value is None else plain(cell) == value if isinstance(value, str) else cell != "" and float(cell) == value):
                found.append(f"{path}: row {i + 1}, {column['name']!r}: {cell!r} and {value!r}")
    return found


def tables_of(document):
    """The tables of numbers.json by name, columns as [{name, values}]."""
    tables = {}
    for section in document["sections"]:
        for t in section["data"]:
            columns = t["columns"]
            if isinstance(columns, dict):
                columns = [{"name": n, "values": v} for n, v in columns.items()]
            tables[t["name"]] = {"name": t["name"], "columns": columns}
    return tables


def check_numbers(page):
    """(figures, marks, findings) of a page and the folder beside it."""
    folder = page[: page.rindex(".")] + "_files"
    tables = tables_of(json.load(open(os.path.join(folder, "numbers.json"), encoding="utf-8")))
    text, figures, marks, findings = open(page, encoding="utf-8").read(), 0, 0, []
    for name, table in tables.items():
        findings += same_csv(table, os.path.join(folder, name + ".csv"))
    drawings = {f[:-4] for f in os.listdir(folder) if f.endswith(".svg")}
    shown = set(re.findall(r'<figure id="([^"]+)">', text))
    if drawings != shown or not drawings <= tables.keys():
        findings.append(f"{page}: figures {sorted(shown)} of the page, files {sorted(drawings)}, data {sorted(tables)}")
    for name in sorted(drawings & shown):
        alone = open(os.path.join(folder, name + ".svg"), encoding="utf-8").read()
        part = text[text.index(f'<figure id="{name}">'):]
        part = part[: part.index("</figure>")]
        desk, phone = (m[0] for m in re.finditer(r"<svg .*?</svg>", part, re.S))
        if alone[alone.index("</style>") + 8:].strip() != desk[desk.index('<rect class="ground"'):].strip():
            findings.append(f"{page}: {name} is not the same figure in the page and as a file")
        for svg, where in ((alone, f"{folder}/{name}.svg"), (phone, f"{page}#{name} on a phone")):
            try:
                figure = Figure(xml.fromstring(svg), tables[name], where).check()
                figures, marks, findings = figures + 1, marks + figure.marks, findings + figure.findings
            except (ValueError, KeyError, StopIteration, TypeError) as e:
                findings.append(f"{where}: cannot be read back: {type(e).__name__}: {e}")
    return figures, marks, findings


SCRIPT = r"""
const luminance = c => { const f = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; return 0.2126 * f(c[0]) + 0.7152 * f(c[1]) + 0.0722 * f(c[2]); };
const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
const colour = s => { const m = s.match(/[\d.]+/g).map(Number); return s === 'none' ? [0, 0, 0, 0] : [m[0], m[1], m[2], m.length > 3 ? m[3] : 1]; };
const over = (a, alpha, b) => [0, 1, 2].map(i => alpha * a[i] + (1 - alpha) * b[i]);
function quad(text) {
  const b = text.getBBox(), m = text.transform.baseVal.consolidate()?.matrix, px = 0.4, py = 0.19 * b.height;
  return [[b.x + px, b.y + py], [b.x + b.width - px, b.y + py], [b.x + b.width - px, b.y + b.height - py], [b.x + px, b.y + b.height - py]]
    .map(([x, y]) => m ? [m.a * x + m.c * y + m.e, m.b * x + m.d * y + m.f] : [x, y]);
}
function apart(p, q) {
  for (const s of [p, q]) for (let i = 0; i < 4; i++) {
    const n = [s[(i + 1) % 4][1] - s[i][1], s[i][0] - s[(i + 1) % 4][0]], on = r => r.map(v => v[0] * n[0] + v[1] * n[1]);
    if (Math.max(...on(p)) <= Math.min(...on(q)) || Math.max(...on(q)) <= Math.min(...on(p))) return true;
  }
  return false;
}
function look(win, name, found) {
  const doc = win.document, wide = win.innerWidth;
  let texts = 0;
  doc.querySelectorAll('details').forEach(d => d.open = true);
  if (doc.scrollingElement.scrollWidth > wide) found.push(`${name}: the page is ${doc.scrollingElement.scrollWidth} pixels wide`);
  for (const svg of doc.querySelectorAll('svg')) {
    if (svg.getClientRects().length === 0) continue;
    const where = `${name} ${svg.closest('figure').id}`, view = svg.viewBox.baseVal, order = [...svg.querySelectorAll('rect,circle,path,text')];
    const ground = colour(win.getComputedStyle(svg.querySelector('.ground')).fill), all = order.filter(e => e.tagName === 'text').map(e => [e, quad(e)]);
    texts += all.length;
    all.forEach(([text, box], i) => {
      const says = JSON.stringify(text.textContent);
      if (!text.textContent.trim()) found.push(`${where}: an empty text`);
      if (box.some(([x, y]) => x < -0.1 || y < -0.1 || x > view.width + 0.1 || y > view.height + 0.1)) found.push(`${where}: ${says} leaves the figure`);
      for (const [other, its] of all.slice(i + 1)) if (!apart(box, its)) found.push(`${where}: ${says} touches ${JSON.stringify(other.textContent)}`);
      const style = win.getComputedStyle(text), ink = colour(style.fill), at = order.indexOf(text), halo = text.classList.contains('halo');
      for (const t of [0.05, 0.35, 0.65, 0.95]) {
        const x = box[0][0] + t * (box[1][0] - box[0][0]), y = (box[0][1] + box[2][1]) / 2;
        let behind = ground;
        order.forEach((e, k) => {
          if (e.tagName === 'text' || e === svg.querySelector('.ground')) return;
          const s = win.getComputedStyle(e), p = svg.createSVGPoint(); p.x = x; p.y = y;
          if (s.fill === 'none' || !e.isPointInFill(p)) return;
          if (k > at) found.push(`${where}: ${says} is covered by a ${e.tagName} ${e.getAttribute('class') ?? ''}`);
          else if (!halo) behind = over(colour(s.fill), s.fillOpacity * colour(s.fill)[3], behind);
        });
        const c = contrast(ink, behind);
        if (c < 4.5) { found.push(`${where}: ${says} has contrast ${c.toFixed(2)}`); break; }
      }
    });
  }
  const walk = doc.createTreeWalker(doc.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode());) {
    const e = node.parentElement;
    if (!node.data.trim() || e.closest('svg,script,style')) continue;
    const range = doc.createRange(); range.selectNodeContents(node);
    const rects = [...range.getClientRects()];
    if (rects.length === 0) continue;
    texts++;
    const scroll = e.closest('.scroll'), says = JSON.stringify(node.data.trim().slice(0, 60));
    if (!scroll && rects.some(r => r.left < -0.5 || r.right > wide + 0.5)) found.push(`${name}: ${says} is cut by the page`);
    if (scroll && rects.some(r => r.right - scroll.getBoundingClientRect().left + scroll.scrollLeft > scroll.scrollWidth + 0.5)) found.push(`${name}: ${says} is cut by its table`);
    if (e.tagName === 'CAPTION' && scroll && scroll.scrollWidth > scroll.clientWidth) found.push(`${name}: the heading ${says} scrolls away with its table`);
    let behind = [255, 255, 255]; const chain = [];
    for (let a = e; a; a = a.parentElement) chain.unshift(a);
    for (const a of chain) { const c = colour(win.getComputedStyle(a).backgroundColor); behind = over(c, c[3], behind); }
    const c = contrast(colour(win.getComputedStyle(e).color), behind);
    if (c < 4.5) found.push(`${name}: ${says} has contrast ${c.toFixed(2)}`);
  }
  return texts;
}
window.addEventListener('load', () => {
  const found = []; let texts = 0, failed = '';
  try { for (const frame of document.querySelectorAll('iframe')) texts += look(frame.contentWindow, frame.name, found); } catch (e) { failed = String(e.stack); }
  document.body.innerHTML = ''; document.body.textContent = 'LOOKED' + JSON.stringify({ found, texts, failed }) + 'END';
});
"""


def check_looks(pages, chromium):
    """(texts, findings) of the pages laid out by chromium."""
    frames = []
    for page in pages:
        text = open(page, encoding="utf-8").read()
        for width in (390, 1280):
            for theme, query in (("light", "@media not all"), ("dark", "@media all")):
                as_seen = html.escape(text.replace("@media (prefers-color-scheme:dark)", query))
                frames.append(f'<iframe name="{html.escape(page)} at {width}, {theme}:" width="{width}" height="900" style="border:0" srcdoc="{as_seen}"></iframe>')
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "look.html")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f'<!doctype html><meta charset="utf-8"><script>{SCRIPT}</script><body>{"".join(frames)}</body>')
        run = subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile", "--window-size=1400,1000", "--dump-dom", "file://" + path],
                             capture_output=True, text=True, timeout=300)
    m = re.search(r"LOOKED(\{.*)END", run.stdout, re.S)
    if not m:
        return 0, [f"chromium (exit code {run.returncode}) did not look at the pages: {run.stderr[-400:]}"]
    told = json.loads(html.unescape(m[1]))
    return told["texts"], list(dict.fromkeys(told["found"])) + ([told["failed"]] if told["failed"] else [])


def main(arguments):
    browser, chromium, pages = "--no-browser" not in arguments, shutil.which("chromium") or shutil.which("chromium-browser"), []
    if "--chromium" in arguments:
        at = arguments.index("--chromium")
        chromium = arguments[at + 1]
        del arguments[at:at + 2]
    for a in (a for a in arguments if not a.startswith("--")):
        inside = [os.path.join(folder, f) for folder, _, files in os.walk(a) for f in files if f.endswith(".html")] if os.path.isdir(a) else [a]
        pages += sorted(p for p in inside if os.path.isdir(os.path.splitext(p)[0] + "_files"))
    if not pages:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    figures, marks, findings = 0, 0, []
    for page in pages:
        try:
            f, m, off = check_numbers(page)
        except (OSError, ValueError, KeyError) as e:
            f, m, off = 0, 0, [f"{page}: cannot be read: {type(e).__name__}: {e}"]
        figures, marks, findings = figures + f, marks + m, findings + off
    print(f"numbers: {len(pages)} pages, {figures} figures, {marks} marks compared, {len(findings) or 'none'} off")
    if not browser or not chromium:
        print(f"looks: skipped: {'not asked for' if not browser else 'chromium is missing (apt-get install chromium)'}")
    else:
        texts, off = 0, []
        for first in range(0, len(pages), 4):
            t, o = check_looks(pages[first:first + 4], chromium)
            texts, off = texts + t, off + o
        print(f"looks: {len(pages)} pages at 390 and 1280 pixels, light and dark: {texts} texts, {len(off) or 'none'} off")
        findings += off
    for finding in findings:
        print("  " + finding, file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
