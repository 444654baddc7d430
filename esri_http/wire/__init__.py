"""Floor 2: the only place that imports urllib3. It sends one request at a time and knows nothing of tokens."""

from __future__ import annotations

# urllib3 1.26 finds it by `six`, which imports it under Python's lock of all imports: a program whose other threads import too
# may then stand still for ever, unless it has been imported before.
import http.client  # noqa: F401
