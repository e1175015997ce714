#!/usr/bin/env python3
"""count_tests.py TESTLOG.json...: sums the logs of `meson test` to one line, `N passed, N failed`.

A test that says how many cases it ran (GoogleTest, pytest, node --test) counts as that many, another as one.
Status 1 when anything failed, or when nothing ran.
"""
import json
import re
import sys

# How a runner's closing lines tell what passed and what failed.
RUNNERS = [
    (r"^\[  PASSED  \] (\d+) tests?\.", r"^\[  FAILED  \] (\d+) tests?, listed below"),
    (r"^(?=.* in \d[\d.]*s\b).*?\b(\d+) passed", r"^(?=.* in \d[\d.]*s\b).*?\b(\d+) (?:failed|errors?)\b"),
    (r"^\S* ?pass (\d+)$", r"^\S* ?fail (\d+)$"),
]


def cases(text):
    """(passed, failed) as the test itself tells, or None."""
    for patterns in RUNNERS:
        found = [re.findall(pattern, text, re.MULTILINE) for pattern in patterns]
        if any(found):
            return tuple(int(numbers[-1]) if numbers else 0 for numbers in found)
    return None


def main(logs):
    passed = failed = 0
    for log in logs:
        try:
            with open(log, encoding="utf-8") as file:
                tests = [json.loads(line) for line in file]
        except FileNotFoundError:
            tests = []  # no test of the suite exists
        for test in tests:
            if test["result"] == "SKIP":
                continue
            good = test["result"] in ("OK", "EXPECTEDFAIL")
            ok, bad = cases(test.get("stdout", "")) or (int(good), int(not good))
            if not good and bad == 0:
                bad = 1  # it ended before it could tell: a crash, a timeout, a sanitizer's report
            passed += ok
            failed += bad
            if not good:
                print(f"failed: {log.split('/')[-1].removesuffix('.json')}: {test['name']} ({test['result']})")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
