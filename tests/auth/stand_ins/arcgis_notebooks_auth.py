"""A stand-in for Esri's package that decodes the token in the file of a notebook. Here, "encrypted" is written backwards.

Tests set `failure`, an error that `get_token` raises, and read `calls`: the paths that it was called with.
"""

import json

calls = []
failure = None


def get_token(path):
    """The token in the file at `path`."""
    calls.append(path)
    if failure is not None:
        raise failure
    with open(path, encoding="utf-8") as file:
        return json.load(file)["encryptedToken"][::-1]
