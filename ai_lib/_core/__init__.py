"""
The core: everything that ai_lib knows, and nothing that waits.

What may be in here: the standard library, attrs, cattrs, tenacity and the core itself. What never
is: a socket, an HTTP library, asyncio, a thread, a process, a sleep. Two kinds of file are read: one
that a caller names (``files``) and certificates (``network``). ``tests/test_imports.py`` holds it.
"""
