"""The benchmark: raw urllib3, requests, httpx and esri_http, interleaved in one run. Start it with ``python -m tests.bench``.

It prints figures and judges nothing. Every figure but the absolute ones of urllib3 is a ratio to hand-written urllib3 in
the same round, because the pace of a machine changes within minutes and a ratio within one round does not.
"""
