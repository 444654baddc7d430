"""Tokens: what keeps and renews them, which of them goes where, and handlers that get them from a site or are given them."""
