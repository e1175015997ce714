#!/usr/bin/env python3
"""Holds the rooms of the house apart: who may include whom, and which door each foreign library has.

    includes.py ROOT         checks ROOT/src, ROOT/include and ROOT/tools; one line a finding, status 1 if any
    includes.py --self-test  plants one violation of each kind, and its permitted twin, and expects just the first
"""

import re
import sys
import tempfile
from pathlib import Path

# Folder: the folders that it may include. A folder stands below all that it may include.
MAY_INCLUDE = {
    "base": "",
    "metrics": "base",
    "io": "base",
    "proto": "base",
    "reactor": "base metrics io",
    "net": "base metrics io reactor",
    "http": "base metrics io reactor net",
    "ws": "base io reactor net http",
    "hub": "base metrics reactor",
    "store": "base metrics reactor",
    "auth": "base proto",
    "server": "base metrics io proto reactor net http ws hub store auth",
    "main": "base server",  # base for the log and for results, the words in which server answers
}
MAY_INCLUDE = {folder: names.split() for folder, names in MAY_INCLUDE.items()}

# A foreign header (regular expression, from its start): the only places that may include it.
DOORS = {
    r"(liburing|linux/io_uring)": ["src/io/uring"],
    r"simdjson": ["src/proto"],
    r"wslay": ["src/ws"],
    r"openssl/": ["src/ws", "src/auth"],
    r"absl/": ["src/hub", "include/ringcast/hub"],
    r"boost/": ["src/http"],
    r"(toml\+\+/|toml\.hpp)": ["src/server"],
    r"CLI/": ["src/main"],
    r"systemd/": ["src/main"],
    r"mimalloc": ["src/main"],
    r"spdlog/": ["src/base"],
    r"sqlite3": ["src/store"],
    r"(curl/|rhonabwy)": ["src/auth"],
}

# What only the ports may do, so that a seed can replay a run, and so that no core ever waits.
PORTS = ["src/base/log.cc", "src/io/uring"]
WORDS = {
    r"std::(recursive_|timed_|recursive_timed_|shared_|shared_timed_)?mutex\b": PORTS,
    r"std::condition_variable": PORTS,
    r"\bthis_thread::sleep": PORTS,
    r"::now\(\)": PORTS,
    r"\b(clock_gettime|gettimeofday)\s*\(": PORTS,
    r"\bs?rand\s*\(": PORTS,
    r"\b(random_device|getrandom|getentropy)\b": PORTS,
    r"\b(pthread_setaffinity_np|sched_setaffinity)\b": ["src/reactor"],
}

# These programs are the connection engine without users and topics: the proof that the engine knows of neither.
ENGINE_TOOLS = re.compile(r"echo|load")
ENGINE_TOOLS_NEVER = ["hub", "store", "auth", "server", "main"]

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT_OR_STRING = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL)


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def without_comments(text):
    return COMMENT_OR_STRING.sub(lambda m: blank(m) if m.group()[0] == "/" else m.group(), text)


def without_comments_and_strings(text):
    return COMMENT_OR_STRING.sub(blank, text)


def is_in(path, places):
    return any(path == place or path.startswith(place + "/") for place in places)


def folder_of(path):
    """The room that a source belongs to: src/<folder>/ or include/ringcast/<folder>/; None for tools."""
    parts = path.split("/")
    if parts[0] == "src":
        return parts[1] if len(parts) > 2 else ""
    if parts[:2] == ["include", "ringcast"]:
        return parts[2] if len(parts) > 3 else ""
    return None


def check_include(root, path, folder, kind, header):
    """What is wrong with one #include line, or None."""
    room = re.match(r"ringcast/([^/]+)/", header)
    if room:
        target = room.group(1)
        if folder is None:
            if ENGINE_TOOLS.search(path) and target in ENGINE_TOOLS_NEVER:
                return f"the engine's tools never include {target}"
            return None
        if target != folder and target not in MAY_INCLUDE[folder]:
            return f"{folder} may not include {target}"
        return None
    if kind == '"':
        home = root / path.split("/")[0] / (folder or "")
        beside = (root / path).parent / header
        if folder is None:
            reaches_src = beside.resolve().is_relative_to((root / "src").resolve())
            return f'"{header}" reaches into src' if reaches_src else None
        if path.startswith("include/"):
            return f'a public header includes "ringcast/<folder>/..." only, not "{header}"'
        for place in (beside, home / header):
            if place.is_file() and place.resolve().is_relative_to(home.resolve()):
                return None
        return f'"{header}" is no private header of {folder}'
    if folder is None:
        return None
    for foreign, places in DOORS.items():
        if re.match(foreign, header) and not is_in(path, places):
            return f"<{header}> has its door in {' and '.join(places)}"
    return None


def check_file(root, path):
    folder = folder_of(path)
    if folder is not None and folder not in MAY_INCLUDE:
        return [f"{path}:1: no folder of the house: {folder or 'the top'} (the table is in tests/lint/includes.py)"]
    text = (root / path).read_text(encoding="utf-8")
    findings = []

    def found(offset, message):
        findings.append((text.count("\n", 0, offset) + 1, message))

    for match in INCLUDE.finditer(without_comments(text)):
        message = check_include(root, path, folder, *match.groups())
        if message:
            found(match.start(), message)
    if folder is not None:
        code = without_comments_and_strings(text)
        for word, places in WORDS.items():
            for match in re.finditer(word, code):
                if not is_in(path, places):
                    found(match.start(), f"{match.group()} belongs in {' and '.join(places)}")
    return [f"{path}:{line}: {message}" for line, message in sorted(findings)]


def check(root):
    findings, files = [], 0
    for top in ("src", "include", "tools"):
        for file in sorted((root / top).rglob("*")):
            if file.suffix in (".h", ".hpp", ".cc", ".cpp") and file.is_file():
                files += 1
                findings += check_file(root, file.relative_to(root).as_posix())
    return findings, files


PLANTED = [
    # path, text, what the finding says; None: permitted
    ("src/hub/a.cc", '#include "ringcast/base/log.h"\n#include "ringcast/hub/shard.h"', None),
    ("src/hub/a.cc", '\n#include "ringcast/ws/connection.h"', "2: hub may not include ws"),
    ("include/ringcast/net/a.h", '#include "ringcast/ws/a.h"', "1: net may not include ws"),
    ("include/ringcast/net/a.h", '#include <ringcast/ws/a.h>', "1: net may not include ws"),
    ("src/store/a.cc", '#include "ringcast/proto/a.h"', "1: store may not include proto"),
    ("src/server/a.cc", '#include "ringcast/store/a.h"', None),
    ("src/server/a.cc", '#include "ringcast/main/a.h"', "1: server may not include main"),
    ("src/main/a.cc", '#include "ringcast/hub/a.h"', "1: main may not include hub"),
    ("src/main/a.cc", '  #  include   "ringcast/hub/a.h"', "1: main may not include hub"),
    ("src/main/a.cc", '// #include "ringcast/hub/a.h"\n/*\n#include "ringcast/hub/a.h"\n*/', None),
    ("src/plugins/a.cc", "", "1: no folder of the house: plugins"),
    ("src/a.cc", "", "1: no folder of the house: the top"),
    ("src/ws/a.cc", '#include "private.h"', None),
    ("src/ws/deep/a.cc", '#include "private.h"', None),
    ("src/ws/a.cc", '#include "missing.h"', '1: "missing.h" is no private header of ws'),
    ("src/hub/a.cc", '#include "../ws/private.h"', '1: "../ws/private.h" is no private header of hub'),
    ("src/hub/a.cc", '#include "ws/private.h"', '1: "ws/private.h" is no private header of hub'),
    ("include/ringcast/ws/a.h", '#include "private.h"', "1: a public header includes"),
    ("src/io/uring/a.cc", "#include <liburing.h>", None),
    ("src/io/a.cc", "#include <liburing.h>", "1: <liburing.h> has its door in src/io/uring"),
    ("include/ringcast/io/a.h", "#include <linux/io_uring.h>", "1: <linux/io_uring.h> has its door"),
    ("src/proto/a.cc", "#include <simdjson.h>", None),
    ("src/server/a.cc", "#include <simdjson.h>", "1: <simdjson.h> has its door in src/proto"),
    ("src/net/a.cc", "#include <wslay/wslay.h>", "1: <wslay/wslay.h> has its door in src/ws"),
    ("src/ws/a.cc", "#include <wslay/wslay.h>\n#include <openssl/sha.h>", None),
    ("src/server/a.cc", "#include <openssl/sha.h>", "1: <openssl/sha.h> has its door in src/ws and src/auth"),
    ("include/ringcast/hub/a.h", "#include <absl/container/flat_hash_map.h>", None),
    ("src/store/a.cc", "#include <absl/container/flat_hash_map.h>", "1: <absl/container"),
    ("src/http/a.cc", "#include <boost/beast/http.hpp>", None),
    ("src/ws/a.cc", "#include <boost/beast/http.hpp>", "1: <boost/beast/http.hpp> has its door in src/http"),
    ("src/main/a.cc", "#include <toml++/toml.h>", "1: <toml++/toml.h> has its door in src/server"),
    ("src/server/a.cc", "#include <CLI/CLI.hpp>", "1: <CLI/CLI.hpp> has its door in src/main"),
    ("src/server/a.cc", "#include <systemd/sd-daemon.h>", "1: <systemd/sd-daemon.h> has its door in src/main"),
    ("src/hub/a.cc", "#include <mimalloc.h>", "1: <mimalloc.h> has its door in src/main"),
    ("src/hub/a.cc", "#include <spdlog/spdlog.h>", "1: <spdlog/spdlog.h> has its door in src/base"),
    ("src/hub/a.cc", "\nstd::mutex m;", "2: std::mutex belongs in src/base/log.cc and src/io/uring"),
    ("src/hub/a.cc", "std::shared_mutex m;", "1: std::shared_mutex belongs in"),
    ("src/hub/a.cc", '// std::mutex\nauto s = "std::mutex"; auto r = R"x(a " rand()\n)x";', None),
    ("src/hub/a.cc", 'auto s = "\\"//"; std::mutex m;', "1: std::mutex belongs in"),
    ("src/hub/a.cc", "auto n = 1'000; std::mutex m; auto k = 2'000;", "1: std::mutex belongs in"),
    ("src/base/log.cc", "std::mutex m;", None),
    ("src/io/uring/a.cc", "clock_gettime(id, &t); getrandom(a, b, 0);", None),
    ("src/ws/a.cc", "std::this_thread::sleep_for(x);", "1: this_thread::sleep belongs in"),
    ("src/ws/a.cc", "auto t = std::chrono::steady_clock::now();", "1: ::now() belongs in"),
    ("src/ws/a.cc", "auto t = clock.now(); auto k = operand(1);", None),
    ("src/ws/a.cc", "int r = rand();", "1: rand( belongs in"),
    ("src/ws/a.cc", "std::random_device d;", "1: random_device belongs in"),
    ("src/main/a.cc", "pthread_setaffinity_np(t, n, s);", "1: pthread_setaffinity_np belongs in src/reactor"),
    ("src/reactor/a.cc", "pthread_setaffinity_np(t, n, s);", None),
    ("tools/ringcast-echo/a.cc", '#include "ringcast/ws/a.h"\n#include <CLI/CLI.hpp>', None),
    ("tools/ringcast-echo/a.cc", '#include "ringcast/hub/a.h"', "1: the engine's tools never include hub"),
    ("tools/ringcast-load/a.cc", '#include "../../src/ws/private.h"', '1: "../../src/ws/private.h" reaches into src'),
    ("tools/ringcastctl/a.cc", '#include "ringcast/server/config.h"', None),
]


def self_test():
    wrong = []
    for folder, names in MAY_INCLUDE.items():
        order = list(MAY_INCLUDE)
        wrong += [f"{folder} stands above {name}" for name in names if order.index(name) >= order.index(folder)]
    for path, text, expected in PLANTED:
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            for name, content in (("src/ws/private.h", ""), (path, text)):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(content, encoding="utf-8")
            findings, _ = check(root)
        as_expected = len(findings) == 1 and findings[0].startswith(f"{path}:{expected}") if expected else not findings
        if not as_expected:
            wrong.append(f"{path}: {text!r}: expected {expected!r}, found {findings}")
    return wrong


def main():
    if sys.argv[1:] == ["--self-test"]:
        findings, what = self_test(), f"{len(PLANTED)} planted files"
    elif len(sys.argv) == 2:
        findings, files = check(Path(sys.argv[1]))
        what = f"{files} files"
        if files == 0:
            findings = [f"no sources under {sys.argv[1]}"]
    else:
        sys.exit(__doc__)
    print("\n".join(findings) or f"ok: {what}")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
