"""Which files of a repo could run code when a library loads them."""

from l2t_hub.artifacts import CONFIG

PICKLE_SUFFIXES = (
    ".bin", ".ckpt", ".dill", ".h5", ".joblib", ".keras", ".msgpack", ".npy", ".npz",
    ".pickle", ".pkl", ".pt", ".pth",
)  # fmt: skip
CODE_SUFFIXES = (".py", ".so", ".dll", ".dylib")
# Files in which transformers looks for classes to load from Python code in the repo.
REMOTE_CODE_FILES = (
    CONFIG,
    "tokenizer_config.json",
    "generation_config.json",
    "processor_config.json",
    "preprocessor_config.json",
)


def has_auto_map(tree: object) -> bool:
    """Whether a configuration, or any part of it, asks a library to run code from the repo."""
    if isinstance(tree, dict):
        return (
            "auto_map" in tree
            or "custom_pipelines" in tree
            or any(has_auto_map(value) for value in tree.values())
        )
    return isinstance(tree, list) and any(has_auto_map(value) for value in tree)
