"""Shows formulas on the documentation site: a hook of MkDocs, named in mkdocs.yml.

A fence of the kind ``math`` holds LaTeX, which hosts of code draw by themselves. Here it becomes MathML, which browsers
draw by themselves, so that reading a formula needs no script.
"""

import latex2mathml.converter


def mathml(source, *_, **__):
    """What stands in a fence, as a block of its own; the other arguments are those of pymdownx.superfences.

    >>> mathml("x")
    '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mrow><mi>x</mi></mrow></math>'
    """
    return latex2mathml.converter.convert(source, display="block")


def on_config(config):
    """Name the kind of fence to the extension that reads fences."""
    fence = {"name": "math", "class": "math", "format": mathml}
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [fence]
