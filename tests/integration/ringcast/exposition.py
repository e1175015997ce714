"""Prometheus text exposition, format 0.0.4, read more strictly than Prometheus does."""
import math
import re

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{((?:{_LABEL})(?:,{_LABEL})*)\}})? (\S+)")
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}


class Family:
    def __init__(self, name, kind):
        self.name, self.kind = name, kind
        self.samples = {}  # (name, sorted labels): value


def parse(text):
    """Families by name. Any deviation from the format fails: see the messages."""
    assert text.endswith("\n") and "\r" not in text
    families, current, helped = {}, None, None
    for line in text[:-1].split("\n"):
        if help_line := re.fullmatch(rf"# HELP ({_NAME}) (\S.*)", line):
            assert help_line[1] not in families, f"{help_line[1]} is described twice"
            current, helped = None, help_line[1]
        elif type_line := re.fullmatch(rf"# TYPE ({_NAME}) (counter|gauge|histogram|summary|untyped)", line):
            assert type_line[1] == helped, f"TYPE without HELP right before it: {line}"
            current = families[helped] = Family(helped, type_line[2])
        else:
            sample = _SAMPLE.fullmatch(line)
            assert sample, f"no sample: {line!r}"
            assert current is not None, f"a sample outside a family: {line}"
            names = {current.name + suffix for suffix in _SUFFIXES.get(current.kind, ("",))}
            assert sample[1] in names, f"{sample[1]} stands under {current.name}"
            labels = re.findall(_LABEL, sample[2] or "")
            assert len(labels) == len(dict(labels)), f"a label twice: {line}"
            key = (sample[1], tuple(sorted(labels)))
            assert key not in current.samples, f"a sample twice: {line}"
            current.samples[key] = float(sample[sample.lastindex])
    for family in families.values():
        _check(family)
    return families


def _check(family):
    if family.kind == "counter":
        assert family.name.endswith("_total"), f"the counter {family.name} does not end in _total"
        assert all(value >= 0 and math.isfinite(value) for value in family.samples.values()), family.name
    if family.kind == "histogram":
        series = {}
        for (name, labels), value in family.samples.items():
            rest = tuple(label for label in labels if label[0] != "le")
            series.setdefault(rest, {"buckets": []})
            if name.endswith("_bucket"):
                series[rest]["buckets"].append((float(dict(labels)["le"]), value))
            else:
                series[rest][name.removeprefix(family.name)] = value
        for rest, parts in series.items():
            bounds, counts = zip(*parts["buckets"])
            assert list(bounds) == sorted(set(bounds)), f"{family.name}{rest}: bounds out of order"
            assert list(counts) == sorted(counts), f"{family.name}{rest}: buckets are not cumulative"
            assert bounds[-1] == math.inf and counts[-1] == parts["_count"], f"{family.name}{rest}: +Inf"
            assert parts["_sum"] >= 0


def counters(families):
    """Every counter's samples (and those of histograms that only grow) summed over the cores."""
    return {name: sum(f.samples.values()) for name, f in families.items() if f.kind == "counter"}
