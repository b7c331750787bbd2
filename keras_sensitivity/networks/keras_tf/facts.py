"""What Python code can read: the values in an object, at any depth, noted so that two notes can be compared.

Code of installed packages is what it is; only the user's own is looked into: what a function closes over, the globals
and attributes of modules that it names, its defaults; what classes say.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import hashlib
import pickle
import sys
import types
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["Facts", "Path", "Same", "content", "is_installed"]

Path = tuple[Any, ...]

ATOMS = (type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype, type(...))

# What has no parts that change.
FIXED = (
    types.BuiltinFunctionType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    np.ufunc,
)

# Packages of others, wherever they were put; else it is told by the folder of a package.
PACKAGES = {
    "absl",
    "h5py",
    "jax",
    "keras",
    "keras_hub",
    "matplotlib",
    "numpy",
    "pandas",
    "scipy",
    "tensorflow",
    "torch",
}

# Marks the number of things in a container.
LENGTH = "(length)"

# Where more hangs together, such as a large program of the user's, looking into it would take longer than a look.
MOST_FACTS = 10_000

# What Python adds to every class.
OF_CLASSES = {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "_abc_impl", "__abstractmethods__"}


class Same:
    """One object and no other: equal to another `Same` only while both are of one object that is still there."""

    def __init__(self, kept: Any) -> None:
        self._reference = weakref.ref(kept)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self._reference() is other._reference() is not None

    __hash__ = None  # type: ignore[assignment]


class Facts:
    """Values by the path on which they were found; nothing that is noted is kept alive.

    Attributes:
        is_whole: Whether all could be looked into.
    """

    def __init__(self) -> None:
        self.is_whole = True
        self._facts: dict[Path, Any] = {}
        # By the id of an object, which is kept for a while so that the id is of no other, and where it was found first.
        self._seen: dict[int, Any] = {}
        self._where: dict[int, Path] = {}
        self._kinds: dict[int, type] = {}
        self._most = MOST_FACTS

    def is_same(self, other: Facts, ignored: Iterable[Path] = ()) -> bool:
        """Whether both found the same, but for what lies at or behind some paths."""
        if self._facts == other._facts:
            return True
        ignored = tuple(ignored)
        return all(any(path[: len(start)] == start for start in ignored) for path in self._different(other))

    def changed(self, other: Facts) -> set[Path]:
        """Where the two differ: the values that are others, and the containers that hold more or less."""
        return {path[:-1] if path[-1] == LENGTH else path for path in self._different(other)}

    def _different(self, other: Facts) -> Iterator[Path]:
        nothing = object()
        for path in self._facts.keys() | other._facts.keys():
            if self._facts.get(path, nothing) != other._facts.get(path, nothing):
                yield path

    # --- what a kind of facts may know better -------------------------------------------------------------------------

    def _is_special(self, value: Any, path: Path) -> bool:
        """Whether a value was of a kind that has been noted in another way."""
        return False

    def _attributes(self, owner: Any) -> list[tuple[str, Any]]:
        """The attributes of an object that matter."""
        return list(vars(owner).items())  # a copy at once: another thread may be setting one

    # --- what there is ------------------------------------------------------------------------------------------------

    def _value(self, value: Any, path: Path) -> None:
        """Note a value: what does not change, and is equal only for values that compute the same."""
        if len(self._facts) > self._most:
            raise RecursionError("more than can be looked into")
        if isinstance(value, ATOMS):
            same_if_nan = repr(value) if isinstance(value, float | np.floating) else value
            self._facts[path] = type(value), same_if_nan
        elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
            self._facts[path] = content(value)
        elif id(value) in self._seen:
            self._facts[path] = "as", self._where.get(id(value))
        elif not self._is_special(value, path):
            self._seen[id(value)], self._where[id(value)] = value, path
            try:
                self._inside(value, path)
            except RecursionError:
                raise
            except Exception:  # noqa: BLE001  (whatever the user's object raises when it is looked into)
                self.is_whole = False

    def _inside(self, value: Any, path: Path) -> None:
        """Note what is in a value that holds others."""
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            self._container(value, path)
        elif isinstance(value, np.ndarray):
            self._facts[path] = value.shape
            self._each(enumerate(value.flat), path)
        elif isinstance(value, functools.partial):
            self._each(enumerate((value.func, value.args, value.keywords)), path)
        elif isinstance(value, types.MethodType):
            self._each(enumerate((value.__func__, value.__self__)), path)
        elif isinstance(value, types.FunctionType):
            self._function(value, path)
        elif isinstance(value, type):
            self._facts[path] = Same(value)
            self._kind(value, path)
        elif isinstance(value, types.ModuleType):
            self._module(value, path)
        elif isinstance(value, FIXED):
            self._facts[path] = same(value)
            owner = getattr(value, "__self__", None)
            if not isinstance(owner, types.ModuleType):
                self._value(owner, (*path, "owner"))  # a bound method, such as that of a dict
        else:
            self._object(value, path)

    def _container(self, value: Any, path: Path) -> None:
        """Note the parts of a container, and what one that is of no built-in kind has besides."""
        if isinstance(value, Mapping):
            self._each([(_name(key), each) for key, each in list(value.items())], path)
        elif isinstance(value, set | frozenset):
            self._each(enumerate(sorted(value, key=repr)), path)
        else:
            self._each(enumerate(list(value)), path)
        if type(value).__module__ != "builtins":
            self._kind(type(value), (*path, "class"))
            self._value(getattr(value, "default_factory", None), (*path, "default factory"))
            if not is_installed(type(value).__module__):
                self._each(list(getattr(value, "__dict__", {}).items()), (*path, "attributes"))

    def _each(self, parts: Iterable[tuple[Any, Any]], path: Path) -> None:
        names = []
        for name, part in parts:
            names.append(name)
            self._value(part, (*path, name))
        self._facts[(*path, LENGTH)] = names

    def _function(self, function: types.FunctionType, path: Path) -> None:
        """Note a function of the user's with all that it reads; of one of an installed package, what it wraps."""
        self._facts[path] = Same(function)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # not filled yet
                self._value(cell.cell_contents, (*path, name))
        self._each(list(vars(function).items()), (*path, "attributes"))
        if is_installed(function.__module__ or "__main__"):
            return
        self._facts[(*path, "code")] = function.__code__
        self._value(function.__defaults__, (*path, "defaults"))
        self._value(function.__kwdefaults__, (*path, "keyword defaults"))
        names, attributes = _names(function.__code__)
        for name in names:
            found = function.__globals__.get(name, sys.modules.get(name))
            if isinstance(found, types.ModuleType):
                self._named(found, attributes, (*path, name))
            elif found is not None:
                self._value(found, (*path, name))

    def _named(self, module: types.ModuleType, attributes: list[str], path: Path) -> None:
        """Note what of a module of the user's is named, also of modules within it."""
        if is_installed(module.__name__) or len(path) > MOST_NESTED:
            return
        for name in attributes:
            found = vars(module).get(name)
            if isinstance(found, types.ModuleType):
                self._named(found, attributes, (*path, name))
            elif name in vars(module):
                self._value(found, (*path, name))

    def _module(self, module: types.ModuleType, path: Path) -> None:
        """Note all that stands in a module of the user's, since nobody knows what is read of it."""
        self._facts[path] = Same(module)
        if not is_installed(module.__name__):
            self._each([each for each in list(vars(module).items()) if not each[0].startswith("__")], path)

    def _kind(self, kind: type, path: Path) -> None:
        """Note what a class of the user's, and those that it is made of, say."""
        self._facts[(*path, "itself")] = Same(kind)
        for each in kind.__mro__:
            call = vars(each).get("call")
            if call is not None:
                self._facts[(*path, each.__qualname__, "call")] = same(call)
            if not is_installed(each.__module__) and id(each) not in self._kinds:
                self._kinds[id(each)] = each
                for name, value in list(vars(each).items()):
                    if name not in OF_CLASSES:
                        self._value(_plain(value), (*path, each.__qualname__, name))

    def _object(self, value: Any, path: Path) -> None:
        """Note the attributes of an object, or what it would be saved as."""
        self._facts[path] = same(value)
        self._kind(type(value), (*path, "class"))
        if hasattr(value, "__dict__"):
            self._each(self._attributes(value), path)
        if not hasattr(value, "__dict__") or any(vars(each).get("__slots__") for each in type(value).__mro__):
            try:
                self._facts[(*path, "saved")] = hashlib.sha256(pickle.dumps(value)).digest()
            except Exception:  # noqa: BLE001  (whatever cannot be pickled)
                self.is_whole = False


# Modules may name each other.
MOST_NESTED = 64


def content(array: np.ndarray[Any, Any]) -> Any:
    """What stands in an array of no objects, in few bytes."""
    mask = np.ma.getmaskarray(array).tobytes() if isinstance(array, np.ma.MaskedArray) else b""
    values = np.asarray(array).tobytes()
    return type(array), array.shape, array.dtype.str, hashlib.sha256(values + mask).digest()


def same(value: Any) -> Any:
    """The object itself, or its class, if it is of those that know no weak references."""
    try:
        return Same(value)
    except TypeError:
        return type(value)


def _name(key: Any) -> Any:
    return key if isinstance(key, str | int) else repr(key)


def _plain(value: Any) -> Any:
    """The function in a method, static method or property of a class."""
    if isinstance(value, classmethod | staticmethod):
        return value.__func__
    return value.fget if isinstance(value, property) else value


@functools.lru_cache(maxsize=4096)
def _names(code: types.CodeType) -> tuple[list[str], list[str]]:
    """The names of globals and modules, and of attributes, in the code of a function and of those inside of it."""
    names: set[str] = set()
    attributes: set[str] = set()
    for instruction in dis.get_instructions(code):
        if isinstance(instruction.argval, types.CodeType):
            inner = _names(instruction.argval)
            names.update(inner[0])
            attributes.update(inner[1])
        elif isinstance(instruction.argval, str):
            is_global = instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME"}
            (names if is_global else attributes).add(instruction.argval)
    return sorted(names), sorted(attributes)


def is_installed(module: str | None) -> bool:
    """Whether a module is one of Python's or of an installed package, not the user's own."""
    return _is_package_installed((module or "builtins").partition(".")[0])


@functools.cache
def _is_package_installed(name: str) -> bool:
    if name in sys.stdlib_module_names or name in PACKAGES or name == __name__.partition(".")[0]:
        return name != "__main__"
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file
