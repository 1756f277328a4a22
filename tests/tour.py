"""
The notebook in ``examples/``, run and written anew: ``python tests/tour.py``.

What is in its cells is written by hand, in a notebook or any editor; what stands below them comes from here.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import docs_server
import nbformat
from kernels import surroundings
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "examples" / "tour.ipynb"
COMMAND = "The notebook is stale: python tests/tour.py writes it anew."

#: All that is said about the notebook as a whole: nothing of the machine that ran it.
METADATA = {
    "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}


def executed(notebook, folder):
    """
    Run a notebook in *folder*, against the provider that the documentation talks to.

    Returns:
        It as it is kept: the outputs, and nothing of when and where they were made.
    """
    with docs_server.DocsServer() as provider:
        environ = {**os.environ, **surroundings(folder), **provider.environment}
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": str(folder)}},
            timeout=60,
        )
        asyncio.run(client.async_execute(env=environ))
    return tidy(notebook)


def tidy(notebook):
    """
    Take out of an executed notebook what is different each time.
    """
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = nbformat.from_dict({})
        for output in cell.get("outputs", ()):
            output.pop("transient", None)
            if "text/markdown" in output.get("data", ()):
                del output["data"]["text/plain"]  # the whole record, with its seconds
    return notebook


def read():
    """
    Read the notebook as it is kept.
    """
    return nbformat.read(NOTEBOOK, as_version=4)


def main():
    """
    Write it anew.
    """
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        notebook = executed(read(), Path(folder))
    nbformat.validate(notebook)
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # this checkout, whatever is installed
    main()
