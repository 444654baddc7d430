"""Real servers, brought up on loopback with their own state folder: `python -m tests.servers NAME...`, `make test-servers`."""
