#!/usr/bin/python3
"""Counts the instructions of the server's own code, and holds them against bench/instructions/figures.json.

    bench/instructions/count.py                      fails when a figure has grown by more than 3 %
    bench/instructions/count.py --write              takes what it counts for the new figures
    bench/instructions/count.py --functions delivery where the instructions of one work go, by function

It runs build/bench/instructions (main.cc) under callgrind: the whole server of one worker on a ring that costs
nothing, 1,000 clients. Counted is the worker's turn without the ring. The figures hold for the compiler and the
build that they name, those of tools/test; for others it says so and ends with 77 (skipped).
"""
import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIGURES = HERE / "figures.json"
GROWTH_MAX = 0.03
OURS = re.compile(r"rc::bench::|rc::test::")  # the harness, the ring and the clock: not the server


def own_costs(lines):
    """{function: instructions that it took itself} of a callgrind file whose strings are not compressed."""
    costs, where, function, of_callee = {}, "", None, False
    for line in lines:
        if line.startswith("ob="):
            where = line.strip().rsplit("/", 1)[-1]
        elif line.startswith("fn="):
            function = line[3:].strip()
            if function.startswith("0x"):  # it has no name
                function = f"{where} {function}"
        elif line.startswith("calls="):
            of_callee = True  # the next line is the callee's
        elif function and re.match(r"[+*\-\d]", line):
            if not of_callee:
                costs[function] = costs.get(function, 0) + int(line.split()[-1])
            of_callee = False
    return {name: cost for name, cost in costs.items() if not OURS.match(name)}


def count(program):
    """(what it was built with, {work: (units, {function: instructions})} in the order in which they are done)"""
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            ["valgrind", "-q", "--tool=callgrind", "--collect-atstart=no", "--compress-strings=no",
             f"--callgrind-out-file={directory}/out", str(program)],
            env={"PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE, check=True, text=True)
        build, *units = done.stdout.splitlines()
        found = {}
        for part in Path(directory).glob("out.*"):
            text = part.read_text().splitlines()
            work = next((line.split(": ")[-1] for line in text if line.startswith("desc: Trigger: Client")), None)
            if work:
                found[work] = own_costs(text)
    return build, {work: (int(n), found[work]) for work, n in map(str.split, units)}


def per_unit(counted):
    return {work: round(sum(costs.values()) / units, 1) for work, (units, costs) in counted.items()}


def compare(figures, new):
    """(lines for a person, those that have grown too far)"""
    lines, grown = [], []
    for work in sorted(figures.keys() | new.keys(), key=list(new | figures).index):
        if work not in new or work not in figures:
            grown.append(work)
            lines.append(f"{work:24} {'is not counted any more' if work in figures else 'has no figure yet'}")
            continue
        change = new[work] / figures[work] - 1
        lines.append(f"{work:24} {new[work]:12,.1f}   was {figures[work]:12,.1f}   {change:+7.2%}")
        if new[work] > figures[work] * (1 + GROWTH_MAX):
            grown.append(work)
    return lines, grown


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--functions", metavar="WORK")
    arguments = parser.parse_args()

    build, counted = count(Path(arguments.build) / "bench" / "instructions")
    if arguments.functions:
        units, costs = counted[arguments.functions]
        for name, cost in sorted(costs.items(), key=lambda item: -item[1])[:60]:
            print(f"{cost / units:10.1f}  {name}")
        return 0
    kept = json.loads(FIGURES.read_text())
    if not arguments.write and build != kept["build"]:
        print(f"skipped: the figures are of {kept['build']}, this is {build}")
        return 77
    new = per_unit(counted)
    lines, grown = compare(kept["instructions"], new)
    print("\n".join(["instructions of our code, each:"] + lines))
    if arguments.write:
        kept = {"command": "bench/instructions/count.py --write", "build": build, "instructions": new}
        FIGURES.write_text(json.dumps(kept, indent=2) + "\n")
        return 0
    if grown:
        print(f"\nmore than {GROWTH_MAX:.0%} over bench/instructions/figures.json: {', '.join(grown)}\n"
              f"Where they go: bench/instructions/count.py --functions {grown[0]}\n"
              "On purpose: bench/instructions/count.py --write, and say in the commit what it buys.")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
