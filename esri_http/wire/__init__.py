"""Floor 2: the only place that imports urllib3. It sends one request at a time and knows nothing of tokens."""
