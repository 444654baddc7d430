"""Stored sign-ins: profile files, and the secret stores that keep their passwords."""
