"""What an operator asks of the real server."""

import json
import urllib.request

ANSWER_S_MAX = 10


def hold_level(server, token, level):
    """How much is taken away from clients; "auto" lets the load decide."""
    request = urllib.request.Request(f"{server.url}/v1/admin/media", json.dumps({"pressure_level": level}).encode(),
                                     {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=ANSWER_S_MAX) as answer:
        assert answer.status == 200 and json.load(answer)["pressure_level"] == level
