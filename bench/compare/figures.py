"""What the runs of a comparison come to. A run is a dict: work, server, round, figure (a cost: less is better), ok, others
(CPUs that processes other than server, load and gateway were busy on), steal (share of the machine's time)."""
import random
from math import prod
from statistics import median

OTHERS_MAX = 0.15  # of one CPU
STEAL_MAX = 0.02
BOOTSTRAPS = 4000


def verdict(run, others_max=OTHERS_MAX, steal_max=STEAL_MAX):
    """Why a run does not count, or None: by rule, never by eye."""
    if not run["ok"]:
        return "something was lost or refused"
    if run["steal"] > steal_max:
        return "steal"
    if run["others"] > others_max:
        return "CPU pressure"
    return None


def ratios(runs, work, over, under):
    """(the product of what `over` cost by that of what `under` did, of each round in which all count, how many rounds were
    discarded); both are lists of servers"""
    wanted = {*over, *under}
    rounds = {}
    for run in runs:
        if run["work"] == work and run["server"] in wanted:
            rounds.setdefault(run["round"], {})[run["server"]] = run
    whole = [one for one in rounds.values() if len(one) == len(wanted)]
    good = [one for one in whole if all(verdict(run) is None for run in one.values())]
    product = lambda one, names: prod(one[name]["figure"] for name in names)
    return [product(one, over) / product(one, under) for one in good], len(whole) - len(good)


def pairs(runs, work, ours, theirs):
    """(theirs / ours of each round in which both count, how many rounds were discarded)"""
    return ratios(runs, work, [theirs], [ours])


def interval(values, share=0.9, seed=1):
    """The bootstrap interval of the median. The same values give the same one."""
    if not values:
        return None
    chance = random.Random(seed)
    medians = sorted(median(chance.choices(values, k=len(values))) for _ in range(BOOTSTRAPS))
    cut = int(BOOTSTRAPS * (1 - share) / 2)
    return medians[cut], medians[BOOTSTRAPS - 1 - cut]


def summary(runs, work, server):
    """Median, least and most of a server's figure over the runs that count; None if none does."""
    counting = [run for run in runs if run["work"] == work and run["server"] == server and verdict(run) is None]
    if not counting:
        return None
    values = [run["figure"] for run in counting]
    extras = {name: median(run["extra"][name] for run in counting) for name in counting[0]["extra"]}
    return {"median": median(values), "least": min(values), "most": max(values), "runs": len(values), "extra": extras}


def order(servers, number):
    """A B C, then C B A: what drifts in time meets each as early as late."""
    return list(servers) if number % 2 == 0 else list(reversed(servers))
