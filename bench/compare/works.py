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


def memory(result):
    per = result["memory"]["per_connection"]
    return per["rss_bytes"], {"kernel slab, both ends": per["slab_bytes"]}


def handshakes(result):
    back = sum(wave["back"] for wave in result["storm"])
    used = sum(result["cpu"][part] for part in ("server_ns", "ksoftirqd_ns", "unowned_ns"))
    return used / back / 1000, {"back/s": back / sum(wave["all_back_s"] for wave in result["storm"])}


class Work:
    def __init__(self, title, unit, load, servers, read=cpu, timed=True):
        self.title, self.unit, self.load, self.servers, self.read, self.timed = title, unit, load, servers, read, timed


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
    "memory-10000": Work("an idle connection, a user with a topic: slope from 5,000 to 10,000",
                         "resident bytes of the server a connection",
                         ["idle", "-n", "10000", "--settle", "2s", "--duration", "1s"], ALL, memory, False),
    "handshakes-2000": Work("2,000 clients dropped at once, until all are back and subscribed, 3 times",
                            "us of CPU a drop, handshake and subscribe",
                            ["storm", "-n", "2000", "--rounds", "3"], ALL, handshakes, False),
}
