"""What every test may use: golden files, and one fixed profile for the property tests."""

from __future__ import annotations

import difflib
import os
from functools import partial

import pytest
from hypothesis import settings
from kit import ROOT, Golden
from kit.captures import Captured, tree_below

pytest_plugins = ["kit.exercised"]

settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("long", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run what takes minutes")
    parser.addoption(
        "--regenerate-output", action="store_true", help="write golden files instead of comparing"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes minutes, unless it is asked for: scripts/test --long."""
    if not config.getoption("--long"):
        left_out = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare text with a golden file below tests/, or write it with --regenerate-output."""

    def compare(path: str, text: str) -> None:
        target = ROOT / "tests" / path
        if request.config.getoption("--regenerate-output"):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            return
        if not target.exists():
            pytest.fail(f"{path} does not exist; run pytest --regenerate-output and read it")
        expected = target.read_text(encoding="utf-8")
        if text != expected:
            diff = difflib.unified_diff(
                expected.splitlines(keepends=True), text.splitlines(keepends=True), path, "now"
            )
            pytest.fail("".join(diff))

    return compare


@pytest.fixture(scope="session")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Captured:
    """Give the tree of a capture, unpacked once for all workers of this session."""
    base = tmp_path_factory.getbasetemp()
    return partial(tree_below, base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)
