"""bench/compare: which runs count, what their ratios come to, and what stands in the results."""
import json
import xml.etree.ElementTree as xml

import figures
import pytest
import results
import servers
import works


def run(server, number, figure, **other):
    return {"work": "fanout-1000", "server": server, "round": number, "figure": figure, "ok": True, "others": 0.01, "steal": 0.0,
            "extra": {"deliveries/s": 10.0}, "commands": [f"start {server}"], "at": "2026-11-23T10:00:00Z",
            "machine": {"cpus": 2, "cpu": "a CPU", "memory_bytes": 2**34, "kernel": "Linux 1"}} | other


def rounds(ours, theirs):
    return [run("ringcast", n, a) for n, a in enumerate(ours)] + [run("ws", n, b) for n, b in enumerate(theirs)]


@pytest.mark.parametrize("what, at, above", [("others", figures.OTHERS_MAX, 0.001), ("steal", figures.STEAL_MAX, 0.001)])
def test_a_run_counts_at_the_bound_and_not_above_it(what, at, above):
    assert figures.verdict(run("ws", 0, 1, **{what: at})) is None
    assert figures.verdict(run("ws", 0, 1, **{what: at + above}))


def test_a_run_that_lost_something_never_counts():
    assert "lost" in figures.verdict(run("ws", 0, 1, ok=False))


def test_a_ratio_is_of_one_round_and_a_discarded_half_discards_it():
    runs = rounds([10, 20, 10, 10], [20, 60, 50])  # the last has no partner yet
    runs[2]["others"] = 1.0
    assert figures.pairs(runs, "fanout-1000", "ringcast", "ws") == ([2.0, 3.0], 1)


def test_runs_of_another_work_are_not_paired():
    assert figures.pairs([run("ringcast", 0, 1), run("ws", 0, 2, work="echo-100")], "fanout-1000", "ringcast", "ws") == ([], 0)


def test_a_claim_is_of_the_rounds_in_which_all_its_servers_count():
    claim = works.WORKS["workers-1000"].claim
    cost = {"ringcast": 10, "ringcast-2": 12, "raw": 8, "raw-2": 8.8}
    runs = [run(server, n, cost[server] * (n + 1), work="workers-1000") for n in range(3) for server in cost]
    runs[-1]["ok"] = False  # the last round's raw-2
    values, discarded = figures.ratios(runs[:-5] + runs[-4:], "workers-1000", claim.over, claim.under)  # the second has no raw-2
    assert values == [pytest.approx(1.2 / 1.1)] and discarded == 1
    assert "**1.09** (1.09 to 1.09) †, 1 rounds, 1 discarded" in results.claim_line(runs[:-5] + runs[-4:], "workers-1000", claim)


def test_the_interval_holds_the_median_is_inside_the_values_and_is_the_same_each_time():
    values = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 9.0]
    low, high = figures.interval(values)
    assert 1.0 <= low <= figures.median(values) <= high < 9.0
    assert figures.interval(values) == (low, high)
    assert figures.interval([2.0]) == (2.0, 2.0) and figures.interval([]) is None


def test_more_pairs_narrow_the_interval():
    few, many = [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0] * 10
    width = lambda values: figures.interval(values)[1] - figures.interval(values)[0]
    assert width(many) < width(few)


def test_every_other_round_goes_backwards():
    assert [figures.order("abc", n) for n in range(3)] == [["a", "b", "c"], ["c", "b", "a"], ["a", "b", "c"]]


def test_a_summary_is_over_what_counts():
    runs = rounds([10, 30, 20], []) + [run("ringcast", 3, 99, steal=0.5)]
    assert figures.summary(runs, "fanout-1000", "ringcast") == {"median": 20, "least": 10, "most": 30, "runs": 3,
                                                                "extra": {"deliveries/s": 10.0}}
    assert figures.summary(runs, "fanout-1000", "ws") is None


def test_cpu_is_of_server_kernel_and_nobody_over_what_receivers_counted():
    result = {"cpu": {"server_ns": 700, "ksoftirqd_ns": 200, "unowned_ns": 100, "load_ns": 5000},
              "deliveries": {"measured": 10, "per_second": 3.5}, "latency_ns": {"echo": {"count": 1, "p50": 2000, "p99": 9000}}}
    assert works.cpu(result) == (100, {"deliveries/s": 3.5, "p50 us": 2, "p99 us": 9})


def test_a_handshake_is_one_of_all_that_came_back():
    result = {"cpu": {"server_ns": 3_000_000, "ksoftirqd_ns": 500_000, "unowned_ns": 500_000},
              "storm": [{"back": 100, "all_back_s": 0.5}, {"back": 100, "all_back_s": 1.5}]}
    assert works.handshakes(result) == (20, {"back/s": 100})


def test_a_storm_takes_as_long_as_its_slowest_wave():
    result = {"cpu": {"server_ns": 4_000_000, "ksoftirqd_ns": 0, "unowned_ns": 0},
              "storm": [{"back": 100, "all_back_s": 0.5}, {"back": 100, "all_back_s": 1.5}]}
    assert works.all_back(result) == (1.5, {"us of CPU a client": 20})


def test_a_tail_is_of_all_receivers():
    assert works.tail({"latency_ns": {"topic_all": {"p50": 1_500_000, "p99": 4_000_000}}}) == (4, {"p50 ms": 1.5})


def test_a_second_workers_figure_leaves_out_what_nobody_used():
    result = {"cpu": {"server_ns": 700, "ksoftirqd_ns": 200, "unowned_ns": 100},
              "deliveries": {"measured": 10, "per_second": 3.5}, "latency_ns": {}}
    assert works.threads_cpu(result) == (90, {"nobody's ns": 10, "deliveries/s": 3.5})


def test_every_server_of_a_work_can_be_started():
    for work in works.WORKS.values():
        assert "ringcast" in work.servers and set(work.servers) <= set(servers.TITLES)
        assert not work.claim or {*work.claim.over, *work.claim.under} <= set(work.servers)
        for server in work.servers:
            assert hasattr(servers.Running, "start_" + server.replace("-", "_"))


def test_the_results_name_every_command_and_the_plots_are_svg(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "TITLES", {name: (name, lambda: "1.0") for name in servers.TITLES})
    runs = rounds([10.0, 10.0, 10.0], [20.0, 22.0, 24.0])
    results.write(json.loads(json.dumps(runs)), "commit, 5 s", tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    assert "**2.20** (2.00 to 2.40) †" in text and "| 3, 0 |" in text
    results.write(rounds([10.0] * 8, [20.0] * 8), "commit, 5 s", tmp_path / "RESULTS.md")
    assert "**2.00** (2.00 to 2.00) |" in (tmp_path / "RESULTS.md").read_text()
    assert "start ringcast" in text and "start ws" in text and "bench/compare/run --only fanout-1000" in text
    plot = xml.parse(tmp_path / "RESULTS" / "fanout-1000.svg").getroot()
    assert plot.tag.endswith("svg") and len(list(plot.iter("{http://www.w3.org/2000/svg}rect"))) == 3
