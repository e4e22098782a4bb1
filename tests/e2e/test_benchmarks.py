"""docs/benchmarks.md and the program that makes its figures."""

import re
import subprocess
import sys

from harness import ROOT

sys.path.insert(0, str(ROOT / "tests/bench"))

import figures  # noqa: E402

RUN = ROOT / "tests/bench/run"
PAGE = (ROOT / "docs/benchmarks.md").read_text()


def test_every_figure_that_the_page_names_is_one_that_the_benchmark_prints():
    printed = set(subprocess.run([RUN, "--names"], capture_output=True, text=True, check=True).stdout.split())
    named = {word for word in re.findall(r"`([a-z0-9_]+)`", PAGE) if "_" in word}
    assert named and named <= printed, named - printed


def test_whatever_must_be_reached_is_on_the_page_as_the_benchmark_knows_it():
    for name, side, value, what in figures.TARGETS:
        assert name in figures.FIGURES
        assert f"| `{name}` | {what} | {'at least' if side == '>=' else 'at most'} {value} |" in PAGE, name


def test_the_benchmark_prints_nothing_that_it_has_no_name_for():
    code = RUN.read_text()
    for name in re.findall(r'result\(f?"([^"]+)"', code):
        pattern = re.escape(re.sub(r"\{[^}]*\}", "@", name)).replace("@", "[a-z0-9_]*")
        assert any(re.fullmatch(pattern, figure) for figure in figures.FIGURES), name
