"""Publishes until it is told to stop, and writes down what it is about to send and what it is answered.

    publisher.py DIRECTORY NAME API_HOST:PORT KEY SEED

A request that is not answered, or with 503, is sent again with the same key until it is. Lines of
DIRECTORY/publisher-NAME.jsonl: {"try": n, ...} before a request, {"ok": n, ...} after its answer.
"""
import json
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from ringcast import Api  # noqa: E402

USERS = [f"user-{n}" for n in range(6)]
PAUSE = 0.01  # before a request goes out again


def main():
    directory, name, address, key, seed = sys.argv[1:]
    directory, chance = pathlib.Path(directory), random.Random(int(seed))
    host, port = address.rsplit(":", 1)
    api = Api((host, int(port)), key)
    ledger = open(directory / f"publisher-{name}.jsonl", "w", encoding="ascii", buffering=1)
    unread = []

    def write(**line):
        ledger.write(json.dumps(line) + "\n")

    def until_answered(path, body, headers):
        while True:
            try:
                answer = api.post(path, body, headers=headers)
            except Exception:  # nobody there, or gone in the middle
                api.close()
                time.sleep(PAUSE)
                continue
            if answer.status == 503:
                time.sleep(PAUSE)
                continue
            assert answer.status == 200, answer
            return answer.json()

    n = 0
    while not (directory / "stop").exists():
        n += 1
        label = f"{name}-{n}"
        if unread and chance.random() < 0.2:
            user, id = unread.pop(chance.randrange(len(unread)))
            write(**{"try": n, "mark": id, "user": user})
            until_answered(f"/api/users/{user}/notifications/{id}/read", None, {})
            write(ok=n, mark=id, user=user)
            continue
        users = chance.sample(USERS, 2 if chance.random() < 0.2 else 1)
        message = {"type": "custom", "data": {"label": label}}
        if chance.random() < 0.5:
            message = {"type": "notification", "data": {"title": label}}
        message.update({"userId": users[0]} if len(users) == 1 else {"userIds": users})
        write(**{"try": n, "label": label, "users": users})
        answer = until_answered("/api/publish", message, {"Idempotency-Key": label})
        write(ok=n, label=label, users=users, offset=answer.get("offset"))
        if message["type"] == "notification":
            unread.append((users[0], answer["id"]))


main()
