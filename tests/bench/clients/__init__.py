"""The four clients behind one small interface, one module each, so that a process loads only the client that it measures.

Each module has ``open_client(setup)``, ``cold_token(setup)`` and ``cold_sign_in(setup)``. ``open_client`` returns an object
with ``get(url) -> bytes``, ``download(url) -> int`` (bytes read), ``upload(url, path) -> bytes`` and ``close()``. A peer
is written as its own documentation teaches it, with its defaults for everything that the task does not ask for.
"""
