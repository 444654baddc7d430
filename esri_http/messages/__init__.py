"""Floor 1: requests, responses and what they carry."""
