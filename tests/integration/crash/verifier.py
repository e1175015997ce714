"""Holds the ledgers of publishers and consumers against each other and against the inboxes.

    verifier.py DIRECTORY      prints the verdict as JSON; status 1 when anything is wrong
"""
import collections
import json
import pathlib
import sys

WRONGS = ("missing", "twice", "order", "readMarksLost", "wrongUser", "gaps", "offsets", "unreadCounts")


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def label_of(message):
    return message["data"].get("label") or message["data"].get("title")


def main():
    directory = pathlib.Path(sys.argv[1])
    wrong = {name: [] for name in WRONGS}
    tried, accepted, marked = {}, {}, []
    for path in sorted(directory.glob("publisher-*.jsonl")):
        for line in lines(path):
            if "label" in line:
                (tried if "try" in line else accepted)[line["label"]] = line
            elif "ok" in line:
                marked.append((line["user"], line["mark"]))

    got = collections.defaultdict(dict)  # user: {label: offset}
    received = 0
    for path in sorted(directory.glob("consumer-*.jsonl")):
        user = path.stem.removeprefix("consumer-")
        newest, newest_of = 0, collections.defaultdict(int)
        for line in lines(path):
            if "resumed" in line:
                if line["resumed"]["gap"]:
                    wrong["gaps"].append([user, line["since"]])
                continue
            message = line["got"]
            received += 1
            offset = int(message["offset"].rpartition("-")[2])
            if offset <= newest:
                wrong["order"].append([user, message["offset"]])
            newest = max(newest, offset)
            label = label_of(message)
            if message["type"] == "notification_read" or label == "end":
                continue
            if label in got[user]:
                wrong["twice"].append([user, label])
            got[user][label] = message["offset"]
            if user not in tried.get(label, {"users": []})["users"]:
                wrong["wrongUser"].append([user, label])
            # Who waits for each answer sends in this order.
            publisher, _, number = label.rpartition("-")
            if int(number) < newest_of[publisher]:
                wrong["order"].append([user, label])
            newest_of[publisher] = int(number)

    for label, line in accepted.items():
        for user in line["users"]:
            if label not in got[user]:
                wrong["missing"].append([user, label])
            elif line["offset"] and got[user][label] != line["offset"]:
                wrong["offsets"].append([user, label])

    inboxes = json.loads((directory / "inboxes.json").read_text(encoding="ascii"))
    for user, id in marked:
        if not inboxes[user]["read"].get(id, False):
            wrong["readMarksLost"].append([user, id])
    for user, inbox in inboxes.items():
        if inbox["unreadCount"] != sum(not read for read in inbox["read"].values()):
            wrong["unreadCounts"].append(user)

    points = json.loads((directory / "points.json").read_text(encoding="ascii"))
    verdict = {"points": points, "tried": len(tried), "accepted": len(accepted), "received": received, "marked": len(marked),
               **{name: len(found) for name, found in wrong.items()},
               "examples": {name: found[:3] for name, found in wrong.items() if found}}
    print(json.dumps(verdict))
    sys.exit(1 if verdict["examples"] or not accepted else 0)


main()
