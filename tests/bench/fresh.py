"""What a fresh process does when its whole life, or its instructions, are measured.

Called as ``main(client, job, count, https, http, roots, ca)``. It imports as little as it can: everything here is part of
every client's figure.
"""

from __future__ import annotations

from tests.bench.setup import QUERY, QUERY_PATH, Setup


def main(client: str, job: str, count: str, *setup_arguments: str) -> None:
    """Do one job once; an answer without features is an error, so that nothing but the real thing is measured."""
    module = getattr(__import__("tests.bench.clients." + client + "_client").bench.clients, client + "_client")
    setup = Setup(*setup_arguments)
    if job == "get":
        one = module.open_client(setup)
        url = setup.http + QUERY_PATH + QUERY
        for _ in range(int(count)):
            one.get(url)
    else:
        answer = {"token": module.cold_token, "sign-in": module.cold_sign_in}[job](setup)
        if not answer["features"]:
            raise SystemExit(f"{client}: the answer has no features: {answer}")
