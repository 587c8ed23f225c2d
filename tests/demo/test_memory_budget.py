"""How much memory models may take: from the owner, the Space, the container or the machine."""

from pathlib import Path

import psutil
import pytest

from l2t_hub.demo import memory_budget as budgets
from l2t_hub.demo.memory_budget import memory_budget, parse_size
from l2t_hub.errors import UsageError


@pytest.fixture(autouse=True)
def no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "_LIMITS", ())


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4 * 10**9),
        ("500 mb", 500 * 10**6),
        ("15Gi", 15 << 30),
        ("1.5GiB", 3 << 29),
        ("100000000", 10**8),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text, "--memory") == size


@pytest.mark.parametrize(
    "text", ["", "much", "-4GB", "4 PB", "4i", "nan", "1e9", "4GB GB", "9" * 400, "12MB"]
)
def test_what_is_no_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="--memory"):
        parse_size(text, "--memory")


def test_the_owner_decides_then_the_environment_then_the_machine() -> None:
    environment = {"L2T_DEMO_MEMORY": "2GB", "MEMORY": "16Gi"}
    assert memory_budget("1GB", environment) == 10**9
    assert memory_budget(None, environment) == 2 * 10**9
    assert memory_budget(None, {}) == psutil.virtual_memory().total // 2
    assert memory_budget(None, {"MEMORY": "1Gi"}) == 1 << 29
    assert memory_budget(None, {"MEMORY": "of an elephant"}) == memory_budget(None, {})


def test_a_container_gives_less_than_its_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, none = tmp_path / "memory.max", tmp_path / "other"
    limit.write_text("800000000\n")
    none.write_text("max\n")
    monkeypatch.setattr(budgets, "_LIMITS", (limit, none, tmp_path / "missing"))
    assert memory_budget(None, {}) == 400_000_000
