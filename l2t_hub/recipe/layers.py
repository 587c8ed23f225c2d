"""The layers of a recipe: each file it extends, oldest first, what each says of one variant, then `--set`.

Where two layers set a key, the later one counts. A key of an earlier layer is left out, with a note, where a later
layer makes it pointless: the vocabulary size of a recipe that now names a tokenizer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from l2t_hub.errors import UsageError, nearest
from l2t_hub.recipe.shrink import SHRINK
from l2t_hub.recipe.yaml_tree import Locations, Tree, merge

SETS = 1 << 30
"""The number of the layer that `--set` makes: the last one of what a user says."""
SEEDS = SETS + 1
"""The number of the layer that sets one of the recipe's `seeds`."""
SHRUNK = SETS - 2
"""The number of the layer that `--shrink` makes: after all files and their variants."""
_ABSENT = object()
# Keys that were written for one value of other keys: when a later layer changes that value, they are left out.
_SOURCE = ("source.path", "source.dataset")
WRITTEN_FOR: dict[str, tuple[str, ...]] = {
    "description": _SOURCE,
    "source.title": _SOURCE,
    "source.license": _SOURCE,
    "source.url": _SOURCE,
    "source.config": ("source.dataset",),
    "source.revision": ("source.dataset",),
    "source.split": ("source.dataset",),
    "tokenizer.revision": ("tokenizer.name",),
}


@dataclass(frozen=True)
class Layer:
    """Keys that are set together, with the file and line of each. Layers with a higher `number` are later."""

    tree: Tree
    locations: Locations
    number: int

    def get(self, key: str) -> Any:
        """Return the value at a dotted key, or `_ABSENT`."""
        value: Any = self.tree
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                return _ABSENT
            value = value[part]
        return value


class Stack:
    """Layers, oldest first, merged into one tree. Keys can be left out of it, which `notes` explains."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = layers
        self.tree: Tree = {}
        self.locations: Locations = {}
        self.notes: list[str] = []
        self.left_out: dict[str, str] = {}
        for layer in layers:
            self.tree = merge(self.tree, layer.tree)
            self.locations |= layer.locations
        for key, other in ((key, other) for key, deciding in WRITTEN_FOR.items() for other in deciding):
            age = self.age(key)
            if age < self.age(other) and self._value_at(other, age) != self.get(other):
                self.leave_out(key, other)

    def get(self, key: str) -> Any:
        """Return the value at a dotted key, or None."""
        value = Layer(self.tree, {}, 0).get(key)
        return None if value is _ABSENT else value

    def setter(self, key: str) -> Layer | None:
        """Return the layer that set a key last, None if none did."""
        return next((layer for layer in reversed(self.layers) if layer.get(key) is not _ABSENT), None)

    def age(self, key: str) -> int:
        """Return the number of the layer that set a key last, -1 if none did."""
        layer = self.setter(key)
        return layer.number if layer else -1

    def leave_out(self, key: str, other: str) -> None:
        """Remove a key that does not apply any more since a later layer set `other`."""
        if Layer(self.tree, {}, 0).get(key) is _ABSENT:
            return
        self.left_out[key] = other
        self.tree = _without(self.tree, key.split("."))

    def all_notes(self) -> tuple[str, ...]:
        """Return the notes, with a sentence for all keys that are left out because of the same other key."""
        sentences = []
        for other in dict.fromkeys(self.left_out.values()):
            keys = [key for key, reason in self.left_out.items() if reason == other]
            at = ", ".join(f"`{key}` ({self.locations.get(key, 'default')})" for key in keys)
            by = self.locations.get(other, "default")
            if by == SHRINK:  # which replaces everything that it makes pointless
                continue
            reason = f"of {by}" if by.startswith("--set") else f"{by} sets `{other}`"
            sentences.append(f"{at} {'is' if len(keys) == 1 else 'are'} left out, because {reason}.")
        return (*sentences, *self.notes)

    def _value_at(self, key: str, number: int) -> Any:
        values = [layer.get(key) for layer in self.layers if layer.number <= number]
        return next((value for value in reversed(values) if value is not _ABSENT), None)


@dataclass
class Family:
    """The layers of a recipe and of each of its variants.

    `moves` says which layer renamed or removed a variant: (number of the layer, old name, new name or None).
    """

    base: list[Layer] = field(default_factory=list)
    variants: dict[str, list[Layer]] = field(default_factory=dict)
    moves: list[tuple[int, str, str | None]] = field(default_factory=list)

    @property
    def is_shrunk(self) -> bool:
        """Whether this is a rehearsal, in which variants that differ in size only are the same."""
        return any(layer.number == SHRUNK for layer in self.base)

    def add(self, layer: Layer) -> None:
        """Add a layer: its keys to the recipe and to each variant, then what it says of each variant.

        Raises UsageError if it says of a variant anything but keys, a new name or null.
        """
        said = layer.tree.get("variants", {})
        own = Layer(
            {key: value for key, value in layer.tree.items() if key != "variants" or not _is_variants(value)},
            {key: at for key, at in layer.locations.items() if not key.startswith("variants.")},
            layer.number,
        )
        self.base.append(own)
        for stack in self.variants.values():
            stack.append(own)
        if said is None:
            said = dict.fromkeys(self.variants)
        for name, keys in said.items() if isinstance(said, dict) else ():
            self._change(layer, str(name), keys)

    def _change(self, layer: Layer, name: str, keys: Any) -> None:
        prefix = f"variants.{name}"
        at = layer.locations.get(prefix, prefix)
        inherited = name in self.variants
        if not inherited and (keys is None or layer.number == SETS):
            wrong = f"{at}: there is no variant '{name}'" + (" to remove" if keys is None else "")
            raise UsageError(f"{wrong}. {nearest(name, self.variants)}", "A variant without changes is `{}`.")
        if keys is None:
            del self.variants[name]
            self.moves.append((layer.number, name, None))
            return
        if not isinstance(keys, dict):
            raise UsageError(f"{at}: a variant must be a mapping of keys to values, or null to remove it")
        new = keys.get("name", name) if inherited else name
        if not isinstance(new, str) or (new != name and new in self.variants):
            problem = "is the name of another variant" if isinstance(new, str) else "is no name"
            raise UsageError(f"{layer.locations.get(f'{prefix}.name', at)}: {new!r} {problem}")
        locations = {
            key.removeprefix(f"{prefix}."): place
            for key, place in layer.locations.items()
            if key.startswith(f"{prefix}.")
        }
        number = layer.number if layer.number == SETS else layer.number + 1
        mine = Layer({key: value for key, value in keys.items() if key != "name"}, locations, number)
        stack = [*self.variants.get(name, self.base), mine]
        if new != name:
            self.moves.append((layer.number, name, new))
        self.variants = {
            new if known == name else known: stack if known == name else layers
            for known, layers in {**self.variants, name: stack}.items()
        }

    def repeat(self, name: str, seeds: Sequence[int], at: str) -> None:
        """Make of each variant, or of the recipe `name` if it has none, one variant per seed: NAME-seedSEED.

        `at` is where the seeds are set. The first seed of a baseline is the baseline.
        """
        repeated: dict[str, list[Layer]] = {}
        for variant, layers in (self.variants or {name: self.base}).items():
            self.moves.append((SEEDS, variant, f"{variant}-seed{seeds[0]}"))
            for seed in seeds:
                layer = Layer({"seed": seed}, {"seed": at}, SEEDS)
                repeated[f"{variant}-seed{seed}"] = [*layers, layer]
        self.variants = repeated

    def stack(self, name: str | None = None) -> Stack:
        """Return the merged layers of the recipe, or of one variant. The baseline follows renamed variants."""
        stack = Stack(self.base if name is None else self.variants[name])
        age = stack.age("evaluation.baseline")
        for number, old, new in self.moves:
            if number > age and stack.get("evaluation.baseline") == old:
                stack.tree = merge(stack.tree, {"evaluation": {"baseline": new}})
                if new is None:
                    stack.notes.append(f"`evaluation.baseline` is left out: the variant '{old}' was removed.")
        if name is not None:
            stack.notes += _overruled(stack)
        return stack

    def own_keys(self, stack: Stack) -> Tree:
        """Return the keys in which a variant differs from the recipe: those that a layer of its own set last."""
        keys: Tree = {}
        for key, value in leaves(stack.tree):
            if not any(stack.setter(key) is layer for layer in self.base):
                keys = merge(keys, _nested(key, value))
        return keys


def leaves(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted key and value of everything in a tree that is not a mapping with keys."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _overruled(stack: Stack) -> list[str]:
    """Say which inherited keys of a variant a later file sets for all variants."""
    return [
        f"`{key}` of the inherited variant ({layer.locations[key]}) gives way to {stack.locations[key]}."
        for layer in stack.layers
        if layer.number % 2 and layer.number < SHRUNK
        for key, value in leaves(layer.tree)
        if key in layer.locations and stack.age(key) not in (layer.number, SETS) and stack.age(key) % 2 == 0
        if stack.get(key) != value and key in stack.locations
    ]


def _is_variants(value: Any) -> bool:
    return value is None or isinstance(value, dict)


def _nested(key: str, value: Any) -> Any:
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def _without(tree: Tree, path: Sequence[str]) -> Tree:
    first, *rest = path
    if not rest:
        return {key: value for key, value in tree.items() if key != first}
    return {key: _without(value, rest) if key == first else value for key, value in tree.items()}
