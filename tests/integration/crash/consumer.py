"""One user's device: resumes from the last offset that it saw whenever its connection ends.

    consumer.py DIRECTORY USER HOST:PORT

Lines of DIRECTORY/consumer-USER.jsonl: {"resumed": ack} and {"got": message}. Ends with the message whose label
is "end".
"""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from ringcast import WsClient  # noqa: E402


def main():
    directory, user, address = sys.argv[1:]
    host, port = address.rsplit(":", 1)
    ledger = open(pathlib.Path(directory) / f"consumer-{user}.jsonl", "w", encoding="ascii", buffering=1)
    last = "0"
    while True:
        try:
            with WsClient((host, int(port))) as client:
                ack = client.subscribe(user, since=last, sync=True)
                ledger.write(json.dumps({"resumed": ack, "since": last}) + "\n")
                while True:
                    message = client.next_message(timeout=3600)
                    ledger.write(json.dumps({"got": message}) + "\n")
                    last = message["offset"]
                    if message["data"].get("label") == "end":
                        return
        except (OSError, AssertionError):  # nobody there, or gone in the middle
            time.sleep(0.01)


main()
