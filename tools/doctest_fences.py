"""Shows examples as code on the documentation site: a hook of MkDocs, named in mkdocs.yml.

Markdown takes a line that begins with ``>>>`` for a quotation in a quotation in a quotation. Docstrings have such
lines, as bare doctests. Here each example gets a fence before Markdown reads it; what stands in a fence stays.
"""

import re

from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

FENCE = re.compile(r"\s*(```|~~~)")


def fenced(lines):
    """The lines, with a fence around each example, which begins with a prompt and ends before an empty line.

    >>> fenced(["Thus:", "", ">>> 1 + 1", "2", "", "So it is."])
    ['Thus:', '', '```pycon', '>>> 1 + 1', '2', '```', '', 'So it is.']
    >>> fenced(["```pycon", ">>> 1 + 1", "2", "```"])
    ['```pycon', '>>> 1 + 1', '2', '```']
    """
    result = []
    in_fence = in_example = False
    for line in [*lines, ""]:
        if FENCE.match(line):
            in_fence = not in_fence
        if in_example and not line.strip():
            result.append("```")
            in_example = False
        elif line.startswith(">>> ") and not (in_fence or in_example):
            result.append("```pycon")
            in_example = True
        result.append(line)
    return result[:-1]


class _Fences(Extension):
    def extendMarkdown(self, md):  # noqa: N802  (the name is Markdown's)
        preprocessor = Preprocessor(md)
        preprocessor.run = fenced
        md.preprocessors.register(preprocessor, "doctest_fences", priority=100)


def on_config(config):
    """Pages and docstrings alike go through this extension."""
    config.markdown_extensions.append(_Fences())
