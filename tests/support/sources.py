"""Python sources as trees, for the tests that hold rules over them."""

import ast
import gc


def syntax_tree(source: str) -> ast.Module:
    """The tree of a module's text.

    No garbage is collected meanwhile. A task of an earlier test that failed unseen is logged when it is collected, and
    CPython 3.11 takes code that runs while it makes a tree for a fault of its own: "recursion depth mismatch".
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        if was_enabled:
            gc.enable()
