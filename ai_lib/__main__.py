"""
``python -m ai_lib``: the same as ``ai-lib``.
"""

from __future__ import annotations

import sys

from ai_lib._cli import main

sys.exit(main())
