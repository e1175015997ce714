"""bench/RESULTS.md and its plots, out of the runs."""
from pathlib import Path

import figures
from servers import TITLES, congestion_control
from works import WORKS

INTRO = """\
# Results

ringcastd against the ceiling of the machine (`bench/raw_limit`) and against servers that one would pick instead, on the same work. Made by
`bench/compare/run`; [docs/benchmarking.md](../docs/benchmarking.md#comparing) says how, and what to mind. All figures are costs: less is better.

- One machine, server on CPU 1, load (`ringcast-load`) on CPU 0, one worker each (two on both CPUs where it says so); a fresh server for each run.
- Runs alternate, A B C then C B A. `ringcast's rate` is the median of the rounds' ratios, theirs over ringcast's cost: 2.0 means that ringcast does
  twice as much with a CPU-second (0.9 against the ceiling: nine tenths of it). Behind it stands its 90 % bootstrap interval.
- CPU is the server's, ksoftirqd's, and what the CPUs did that no process accounts for, over the deliveries that receivers counted.
- Runs do not count in which anything was lost, doubled or reordered, or other processes used over {others:.0%} of a CPU, or the host took over
  {steal:.0%} of the machine. So much is discarded by rule, none by eye.
- The same for all: TCP's congestion control ({congestion}), TCP_NODELAY, no TLS, no compression, messages of equal size. raw_limit fixes its send
  buffers at 256 KiB, the others leave them to the kernel.
- Publications come by `POST /api/publish` over HTTP that stays open. NATS has no HTTP: a gateway of its own on CPU 0 hands them over, and is not in its
  figures. Nchan hands the posted text on as it is, without looking into it, and takes a topic from the URL instead of from a message. Nothing is stored.
- Where fewer than {pairs} pairs count, a ratio is marked with †: a first look, no result.
- raw_limit parses next to nothing and trusts everybody: it is no server.
"""

PAIRS_MIN = 8


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def ratio(values):
    """Their median, its interval, and a mark where they are few."""
    low, high = figures.interval(values)
    return f"**{figures.median(values):.2f}** ({low:.2f} to {high:.2f})" + ("" if len(values) >= PAIRS_MIN else " †")


def row_of(runs, name, server):
    found = figures.summary(runs, name, server)
    if not found:
        return None
    ratios, discarded = figures.pairs(runs, name, "ringcast", server)
    rate = "1" if server == "ringcast" else "-"
    if server != "ringcast" and ratios:
        rate = ratio(ratios)
    return {"server": server, "rate": rate, "discarded": discarded, "pairs": len(ratios), **found}


def table(rows, unit):
    extras = list(dict.fromkeys(name for row in rows for name in row["extra"]))
    lines = [f"| | {unit} | least to most | ringcast's rate | pairs, discarded | " + " | ".join(extras) + " |",
             "|---|---|---|---|---|" + "---|" * len(extras)]
    for row in rows:
        cells = [TITLES[row["server"]][0], number(row["median"]), f"{number(row['least'])} to {number(row['most'])}", row["rate"],
                 f"{row['pairs']}, {row['discarded']}", *(number(row["extra"][e]) if e in row["extra"] else "-" for e in extras)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def claim_line(runs, name, claim):
    """What the servers' figures come to together, as a sentence; empty without a whole round."""
    values, discarded = figures.ratios(runs, name, claim.over, claim.under)
    return f"{claim.text[0].upper()}{claim.text[1:]}: {ratio(values)}, {len(values)} rounds, {discarded} discarded; wanted: {claim.wanted}.\n" \
        if values else ""


def plot(rows, title, unit):
    """Bars of medians, with lines from least to most, as SVG that is read on light and dark pages."""
    width, left, bar, gap, top = 720, 170, 22, 10, 48
    height = top + len(rows) * (bar + gap) + 12
    scale = (width - left - 110) / max(row["most"] for row in rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif" font-size="13" role="img">', f"<title>{title}: {unit}</title>",
           '<rect width="100%" height="100%" fill="#fff"/>', f'<text x="8" y="18" font-weight="bold">{title}</text>',
           f'<text x="8" y="36" fill="#555">{unit}; less is better</text>']
    for i, row in enumerate(rows):
        y = top + i * (bar + gap)
        color = "#1f6feb" if row["server"].startswith("ringcast") else "#999" if row["server"].startswith("raw") else "#c9863a"
        middle, low, high = (left + row[key] * scale for key in ("median", "least", "most"))
        out += [f'<text x="{left - 8}" y="{y + 16}" text-anchor="end">{TITLES[row["server"]][0]}</text>',
                f'<rect x="{left}" y="{y}" width="{middle - left:.1f}" height="{bar}" fill="{color}"/>',
                f'<path d="M{low:.1f} {y + bar / 2}H{high:.1f}" stroke="#222" stroke-width="1.5"/>',
                f'<text x="{max(middle, high) + 6:.1f}" y="{y + 16}">{number(row["median"])}</text>']
    return "\n".join([*out, "</svg>"]) + "\n"


def machine_of(runs):
    machine = runs[-1]["machine"]
    return (f"{machine['cpus']} CPUs ({machine['cpu']}, a virtual machine where steal is above 0), "
            f"{machine['memory_bytes'] / 2**30:.0f} GiB, {machine['kernel']}")


def write(runs, key, where):
    parts = [INTRO.format(pairs=PAIRS_MIN, others=figures.OTHERS_MAX, steal=figures.STEAL_MAX, congestion=congestion_control())]
    if runs:
        days = sorted({run["at"][:10] for run in runs})
        parts.append(f"Measured {' and '.join(days)} at {key} a run, on {machine_of(runs)}.\n")
    used = [server for server in TITLES if any(run["server"] == server for run in runs)]
    parts.append("\n".join(["| server | version |", "|---|---|"] +
                           [f"| {TITLES[server][0]} | {TITLES[server][1]()} |" for server in used]) + "\n")
    plots = where.with_suffix("")
    for name, work in WORKS.items():
        rows = [row for row in (row_of(runs, name, server) for server in work.servers) if row]
        if not rows:
            continue
        plots.mkdir(exist_ok=True)
        (plots / f"{name}.svg").write_text(plot(rows, work.title, work.unit))
        commands = []
        for row in rows:
            run = next(run for run in reversed(runs) if run["work"] == name and run["server"] == row["server"])
            commands += [f"# {TITLES[row['server']][0]}", *run["commands"]]
        parts.append("\n".join([f"## {work.title[0].upper()}{work.title[1:]}\n", table(rows, work.unit), "",
                                *([claim_line(runs, name, work.claim)] if work.claim else []),
                                f"![{work.title}]({plots.name}/{name}.svg)", "",
                                f"`bench/compare/run --only {name}`, which runs:\n", "```", *commands, "```\n"]))
    Path(where).write_text("\n".join(parts))
