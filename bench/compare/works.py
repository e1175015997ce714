"""The works: what ringcast-load does, and which of its results is the figure. Every figure is a cost."""
NS = "ns of CPU a delivery"


def cpu(result):
    """Server, ksoftirqd, and what no process accounts for, over the deliveries counted at the receivers."""
    used = sum(result["cpu"][part] for part in ("server_ns", "ksoftirqd_ns", "unowned_ns"))
    extra = {"deliveries/s": result["deliveries"]["per_second"]}
    for name in ("topic_last", "user_delivery", "echo"):
        if result["latency_ns"].get(name, {}).get("count"):
            extra["p50 us"] = result["latency_ns"][name]["p50"] / 1000
            extra["p99 us"] = result["latency_ns"][name]["p99"] / 1000
    return used / result["deliveries"]["measured"], extra


def threads_cpu(result):
    """Server and ksoftirqd alone, where a few percent are looked for: what no process accounts for is some tens of milliseconds
    too much or too little, and stands beside it."""
    received = result["deliveries"]["measured"]
    used = result["cpu"]["server_ns"] + result["cpu"]["ksoftirqd_ns"]
    return used / received, {"nobody's ns": result["cpu"]["unowned_ns"] / received} | cpu(result)[1]


def tail(result):
    """The 99th percentile over all receivers and messages, in ms."""
    times = result["latency_ns"]["topic_all"]
    return times["p99"] / 1e6, {"p50 ms": times["p50"] / 1e6}


def memory(result):
    per = result["memory"]["per_connection"]
    return per["rss_bytes"], {"kernel slab, both ends": per["slab_bytes"]}


def handshakes(result):
    back = sum(wave["back"] for wave in result["storm"])
    used = sum(result["cpu"][part] for part in ("server_ns", "ksoftirqd_ns", "unowned_ns"))
    return used / back / 1000, {"back/s": back / sum(wave["all_back_s"] for wave in result["storm"])}


def all_back(result):
    """Seconds until the last client of the slowest wave was back and subscribed."""
    return max(wave["all_back_s"] for wave in result["storm"]), {"us of CPU a client": handshakes(result)[0]}


class Claim:
    """What the figures of several servers come to, together: `over` by `under`, in a round."""

    def __init__(self, text, over, under, wanted):
        self.text, self.over, self.under, self.wanted = text, over, under, wanted


class Work:
    def __init__(self, title, unit, load, servers, read=cpu, timed=True, oftener=1, claim=None):
        self.title, self.unit, self.load, self.servers, self.read, self.timed = title, unit, load, servers, read, timed
        self.oftener, self.claim = oftener, claim  # `oftener`: rounds where others have one


ALL = ["ringcast", "raw", "uws", "nats", "nchan", "ws", "socketio"]
WORKS = {
    "fanout-1000": Work("1 topic, 1,000 subscribers, 200 B, one publish at a time", NS,
                        ["fanout", "-n", "1000"], ["ringcast", "raw", "raw-send", *ALL[2:]]),
    "fanout-10000": Work("1 topic, 10,000 subscribers, 200 B, one publish at a time", NS,
                         ["fanout", "-n", "10000"], ["ringcast", "raw", "raw-send", *ALL[2:]]),
    "fanout-1000-16": Work("1 topic, 1,000 subscribers, 200 B, 16 publishes in flight", NS,
                           ["fanout", "-n", "1000", "--in-flight", "16"], ALL),
    "echo-100": Work("echo of 128 B, 100 connections, one at a time each", "ns of CPU an echo",
                     ["echo", "-n", "100", "--bytes", "128"], ["ringcast", "raw", "raw-send", "uws", "ws"]),
    "targeted-10000": Work("publishes to one of 10,000 users each, 200 B, 16 in flight, not stored",
                           "ns of CPU a publish with its delivery",
                           ["targeted", "-n", "10000", "--in-flight", "16"],
                           ["ringcast", "raw", "uws", "nats", "ws", "socketio"]),
    "targeted-10000-1": Work("publishes to one of 10,000 users each, 200 B, one at a time, not stored",
                             "ns of CPU a publish with its delivery", ["targeted", "-n", "10000"],
                             ["ringcast", "raw", "uws", "nats", "ws", "socketio"]),
    "workers-1000": Work("1 topic, 1,000 subscribers, 200 B, 120 publishes a second: a second worker",
                         "ns of CPU of server and ksoftirqd a delivery", ["fanout", "-n", "1000", "--rate", "120", "--in-flight", "1"],
                         ["ringcast", "ringcast-2", "raw", "raw-2"], threads_cpu, oftener=2,
                         claim=Claim("what a delivery costs more with a second worker, over what it costs raw_limit more with a "
                                     "second thread", ["ringcast-2", "raw"], ["ringcast", "raw-2"], "1.08 at most")),
    "stalled-1000": Work("1 topic, 1,000 subscribers, 2 kB, 60 publishes a second: beside 10 that never read", "ms, p99 of all deliveries",
                         ["fanout", "-n", "1000", "--rate", "60", "--bytes", "2000"], ["ringcast", "ringcast-stalled"], tail, oftener=2,
                         claim=Claim("p99 of those who read beside those who do not, over p99 without them", ["ringcast-stalled"],
                                     ["ringcast"], "1.2 at most")),
    "memory-10000": Work("an idle connection, a user with a topic: slope from 5,000 to 10,000",
                         "resident bytes of the server a connection",
                         ["idle", "-n", "10000", "--settle", "1s", "--duration", "1s"], ALL, memory, False),
    "handshakes-2000": Work("2,000 clients dropped at once, until all are back and subscribed, 8 times",
                            "us of CPU a drop, handshake and subscribe",
                            ["storm", "-n", "2000", "--rounds", "8", "--settle", "100ms"], ALL, handshakes, False),
    "storm-19000": Work("19,000 clients dropped at once, until the last is back and subscribed", "s",
                        ["storm", "-n", "19000", "--rounds", "1"], ["ringcast", "raw"], all_back, False),
}
