"""Signing in to proxies, by the schemes of the web tier."""
