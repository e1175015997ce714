"""bench/instructions/count.py: what it reads out of callgrind's files, and when it says no."""
import count

# As callgrind writes it: a function's own lines, and the inclusive cost of a call behind each `calls=`.
PROFILE = """\
desc: Trigger: Client Request: delivery
positions: line
events: Ir
summary: 1000
ob=/usr/lib/libc.so.6
fn=memcpy
0 7
+1 3
cfn=0x1234
calls=2 0
0 500
ob=/build/server
fn=0x1234
* 40
fn=rc::bench::LeanRing::send(int)
0 900
fn=memcpy
-3 5
""".splitlines()


def test_a_function_has_its_own_instructions_not_its_callees_and_the_harness_none():
    assert count.own_costs(PROFILE) == {"memcpy": 15, "server 0x1234": 40}


def test_a_figure_is_a_unit_s_share():
    assert count.per_unit({"delivery": (10, {"a": 15, "b": 40})}) == {"delivery": 5.5}


def test_three_percent_more_pass_and_a_little_over_does_not():
    figures = {"a": 1000.0, "b": 1000.0, "c": 1000.0}
    lines, grown = count.compare(figures, {"a": 1030.0, "b": 1030.1, "c": 900.0})
    assert grown == ["b"]
    assert "+3.01%" in lines[1] and "-10.00%" in lines[2]


def test_a_work_without_a_figure_fails_and_so_does_a_figure_without_a_work():
    _, grown = count.compare({"gone": 1.0}, {"new": 1.0})
    assert sorted(grown) == ["gone", "new"]
