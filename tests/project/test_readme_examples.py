"""The examples of the README and docs/ that are no doctests: cut out, run, and judged; so is the program in C."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from torch_compare.cases.vectors import COMMITTED
from torch_compare.commands import cli
from torch_compare.files.case_file import read_case

pytest_plugins = ("pytester",)

ROOT = Path(__file__).parents[2]
ANY_LANGUAGE = (ROOT / "docs" / "any-language.md").read_text(encoding="utf-8")
PROGRAM = ROOT / "torch_compare" / "cases" / "examples" / "backprop.c"
COMPILER = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")


def block(document, language, holding):
    """The one block of code of a document in that language that holds a text."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = [b for b in re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL) if holding in b]
    assert len(found) == 1, f"{document}: expected one {language} block with {holding!r}, found {len(found)}"
    return found[0]


# ── C ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Compiles the program with some texts replaced, and runs it on a committed case ↦ its result file."""
    if COMPILER is None:
        pytest.skip("there is no C compiler on this machine (cc, gcc, clang): the program cannot be compiled")
    program = PROGRAM.read_text(encoding="utf-8")

    def built(case, *replacements):
        text = program
        for old, new in replacements:
            assert text.count(old) == 1, f"{PROGRAM.name} has {text.count(old)} times {old!r}"
            text = text.replace(old, new)
        folder = tmp_path_factory.mktemp("c")
        source, binary, result = folder / "backprop.c", folder / "backprop", folder / "result.json"
        source.write_text(text, encoding="utf-8")
        strict = ["-O2", "-Wall", "-Wextra", "-Werror", "-std=c11"]
        done = subprocess.run(
            [COMPILER, *strict, f"-I{PROGRAM.parent}", str(source), "-o", str(binary), "-lm"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        with result.open("wb") as out:
            subprocess.run([binary, COMMITTED / f"{case}.json"], stdout=out, check=True)
        return result

    return built


@pytest.mark.parametrize("case", ["network_batch_8", "network_batch_1"])
def test_the_c_program_agrees(build, case, capsys):
    result = build(case)
    given = json.loads(result.read_text(encoding="utf-8"))["gradients"]
    problem = read_case(COMMITTED / f"{case}.json").problem
    assert len(given) == 2 * len(problem.mlp.layers) + 2, "every gradient, that of the input and the loss"
    assert cli.main(["check", str(COMMITTED / f"{case}.json"), str(result)]) == cli.AGREES
    assert capsys.readouterr().out.rstrip().endswith("AGREES")


BUGS = {
    "derivative at the output": ("1 - y * y;", "1 - tanh(y) * tanh(y);"),
    "activation derivative missing": ("din.at[i] *= 1 - y * y;", "(void)y;"),
    "derivative applied twice": ("1 - y * y;", "(1 - y * y) * (1 - y * y);"),
    "value for derivative": ("1 - y * y;", "y;"),
    "bias gradient not summed": ("db.at[o] += dz", "db.at[o] = dz"),
    "bias gradient averaged": ("db.at[o] += dz", "db.at[o] += dz / n"),
    "sum for mean": ("2 * error / count", "2 * error"),
    "factor 1/2": ("2 * error / count", "error / count"),
    "factor 2": ("2 * error / count", "2 * error / n"),
    "sign": ("2 * error / count", "-2 * error / count"),
    "weight not transposed": ("dz * w.at[o * w.cols + k]", "dz * w.at[k * w.rows + o]"),
    "weight gradient transposed": ("dw.at[o * w.cols + k] +=", "dw.at[k * w.rows + o] +="),
    "layers below detached": ("d = din;", "d = l < layers - 1 ? din : zeros(n, w.cols);"),
}
"""What the diagnosis calls a mistake, and how it is planted."""
ALIKE = {"factor 2": {"sum for mean"}, "factor 1/2": {"mean for sum"}}
"""There are two outputs, so that the number of them explains these just as well."""


@pytest.mark.parametrize(("name", "bug"), BUGS.items(), ids=list(BUGS))
def test_a_bug_in_the_c_program_is_named(build, tmp_path, name, bug, capsys):
    result = build("network_batch_8", bug)
    report = tmp_path / "report.json"
    arguments = ["check", str(COMMITTED / "network_batch_8.json"), str(result), "--json", str(report)]
    assert cli.main(arguments) == cli.DISAGREES
    found = json.loads(report.read_text(encoding="utf-8"))["cases"][0]
    assert found["status"] == "wrong"
    assert set(found["mistakes"]) in ({name}, ALIKE.get(name)), found["diagnosis"]
    assert f"diagnosis: {found['diagnosis']}" in capsys.readouterr().out


SAID = re.findall(r"[Ww]ith `([^`]*?)` in place of\s+`([^`]*?)`.*?\n\n((?:> .*\n)+)", ANY_LANGUAGE)
"""New text, old text, and what the document says is printed then."""


@pytest.mark.parametrize(("new", "old", "said"), SAID, ids=["a sum left out", "a division left out"])
def test_what_the_document_says_of_a_bug_is_what_is_printed(build, capsys, new, old, said):
    result = build("network_batch_8", (old, new))
    assert cli.main(["check", str(COMMITTED / "network_batch_8.json"), str(result)]) == cli.DISAGREES
    printed = " ".join(capsys.readouterr().out.split())
    assert " ".join(said.replace("> ", " ").split()) in printed


@pytest.mark.parametrize("document", ["README.md", "docs/any-language.md"])
def test_the_commands_name_the_files_that_are_committed(document):
    commands = block(document, "sh", "backprop.c")
    paths = re.findall(r"torch_compare/\S+", commands)
    assert paths
    for path in paths:
        assert (ROOT / path).is_file(), path
    compiling, computing, checking = commands.splitlines()
    assert compiling.split()[1:] == ["-O2", str(PROGRAM.relative_to(ROOT)), "-o", "backprop", "-lm"]
    assert checking.split()[2] == computing.split()[1]


def test_the_layout_of_a_result_is_what_the_reader_takes(tmp_path):
    import numpy as np

    import reference as ref
    from torch_compare.verdict.result_file import read_result

    path = tmp_path / "result.json"
    path.write_text(block("docs/any-language.md", "json", "layers[0].weight"), encoding="utf-8")
    mlp = ref.MLP((ref.Layer(np.ones((1, 2)), np.ones(1), "tanh"),))
    found = read_result(path, ref.Problem(mlp, np.ones((1, 2)), np.ones((1, 1)), "mse"))
    assert (found.dtype, found.given.leaves["loss"]) == ("float64", 0.125)


# ── Python ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fault", ["", "** 2", "+ b0", "jnp.tanh"])
def test_the_jax_example_runs_and_a_fault_in_it_fails(fault):
    pytest.importorskip("jax", reason="JAX is an optional extra, which the benchmarks install")
    code = block("docs/jax.md", "python", "import jax")
    if not fault:
        exec(compile(code, "docs/jax.md", "exec"), {})
        return
    replaced = {"** 2": "** 2 / 2", "+ b0": "+ 10 * b0", "jnp.tanh": "jax.nn.sigmoid"}[fault]
    at = code.index("def loss")
    with pytest.raises(AssertionError, match=r"^wrong \(float32"):
        exec(compile(code[:at] + code[at:].replace(fault, replaced, 1), "docs/jax.md", "exec"), {})


def test_the_pytest_example_passes_and_its_fault_fails(pytester):
    example = block("docs/tests.md", "python", "def test_my_backward(gradient_oracle)")
    for name, factor in (("test_right", 1), ("test_wrong", 2)):
        mine = f"def my_gradients(p):\n    return ref.gradients(p).map(lambda a: {factor} * a)\n"
        pytester.makepyfile(**{name: "import reference as ref\n" + mine + example})
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E *AssertionError: wrong (float64*", "test_wrong.py:*"])
