"""Breaks each formula and each law on purpose, one after the other: the tests have to tell. `make mutants`.

Each mutant is a change of one line, in a copy of the repository, and the tests that are asked about it, which are run
there until one fails. A mutant that none of them sees is printed, and the command fails.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parent.parent


class Mutant(NamedTuple):
    """A change that breaks something.

    Attributes:
        breaks: What it breaks, in words.
        path: The file, in the package.
        before: What stands there, once.
        after: What stands there instead.
        tests: Where it is seen: files, or single tests, of the folder of tests.
    """

    breaks: str
    path: str
    before: str
    after: str
    tests: str


PROPERTIES, FAULTS = "test_properties.py", "test_faults.py"

MUTANTS = [
    # --- the formulas ---------------------------------------------------------------------------------------------
    Mutant(
        "shares sum to 100", "shares.py", "return quotient(100 * values,", "return quotient(99 * values,", PROPERTIES
    ),
    Mutant(
        "features of several entries: root of the sum of squares",
        "shares.py",
        "return np.asarray(np.sqrt(features.sum(squares)))",
        "return np.asarray(features.sum(np.sqrt(squares)))",
        PROPERTIES,
    ),
    Mutant(
        "q is the mean over the lags",
        "shares.py",
        "return np.asarray(chosen / np.maximum(chosen.sum(axis=-2, keepdims=True), 1))",
        "return np.asarray(chosen / 1.0)",
        PROPERTIES,
    ),
    Mutant(
        "lags='current' is the newest step",
        "shares.py",
        "        weights[..., 0, :] = 1\n",
        "        weights[..., -1, :] = 1\n",
        "test_time.py",
    ),
    Mutant(
        "the paper's numbers",
        "sizes.py",
        "by_unit = shares.scale_of(self._definition, self._background, self._features) ** 2",
        "by_unit = shares.scale_of(self._definition, self._background, self._features)",
        PROPERTIES,
    ),
    Mutant(
        "the standard deviation has ddof 0",
        "moments.py",
        '''        """Variance of each entry, with the weight as divisor (ddof 0)."""
        return _ratio(self.m2, self.weight)''',
        '''        """Variance of each entry, with the weight as divisor (ddof 0)."""
        return _ratio(self.m2, self.weight - 1)''',
        PROPERTIES,
    ),
    Mutant(
        "the path follows the root of h",
        "shares.py",
        "    slope = np.sqrt(h)\n",
        "    slope = h\n",
        "test_path.py",
    ),
    Mutant(
        "the path counts what scatters in a bin",
        "shares.py",
        "between, within = along.effect**2, along.variance * along.slope**2",
        "between, within = along.effect**2, 0 * along.variance * along.slope**2",
        "test_path.py",
    ),
    Mutant(
        "a swap counts half the squared change",
        "swaps.py",
        "squares = np.stack([np.square(outputs - each) / 2 for each in after], axis=2)",
        "squares = np.stack([np.square(outputs - each) for each in after], axis=2)",
        "test_swaps.py",
    ),
    Mutant(
        "the variance of the output, in percent",
        "sizes.py",
        "ratio = shares.quotient(changes, total)[:, None]",
        "ratio = shares.quotient(changes, np.sqrt(total))[:, None]",
        "test_swaps.py",
    ),
    Mutant(
        "interactions: a quarter of the square of four",
        "second_differences.py",
        "np.square(own - alone[first] - alone[second] + both) / 4",
        "np.square(own - alone[first] - alone[second] + both) / 2",
        "test_interactions.py",
    ),
    Mutant(
        "standard errors: the share of the others",
        "shares.py",
        "variance = (own - 2 * share * with_all + share**2 * with_all.sum()) / q.sum() ** 2",
        "variance = (own - share * with_all + share**2 * with_all.sum()) / q.sum() ** 2",
        "test_importance.py test_measurement.py test_comparison.py",
    ),
    Mutant(
        "one prediction: squared, not rooted",
        "explanation.py",
        "return pd.DataFrame(shares.percent(self._squares),",
        "return pd.DataFrame(shares.percent(np.sqrt(self._squares)),",
        PROPERTIES,
    ),
    Mutant(
        "the noise band is a prediction",
        "shares.py",
        "reach = scipy.special.stdtrit(count - 1, level) * values.std(ddof=1) * np.sqrt(1 + 1 / count)",
        "reach = scipy.special.stdtrit(count - 1, level) * values.std(ddof=1) * np.sqrt(1 / count)",
        "test_probes.py test_noise_rule.py",
    ),
    Mutant(
        "probes are noise of the row",
        "probes.py",
        "uniform = (tf.cast(codes, tf.float64) + 0.5) / 2**32",
        "uniform = (tf.cast(codes, tf.float64) + 0.5) / 2**33",
        "test_probes.py",
    ),
    # --- deaths -----------------------------------------------------------------------------------------------------
    Mutant(
        "a death needs as many looks as patience says",
        "dead_features.py",
        "looks_average[name] >= self.patience",
        "looks_average[name] >= self.patience - 1",
        PROPERTIES,
    ),
    Mutant(
        "a revival needs more than a death",
        "dead_features.py",
        "is_low = shares_of <= thresholds * np.where(was_dead, REVIVAL_FACTOR, 1.0)",
        "is_low = shares_of <= thresholds",
        "test_dead_features.py test_callback.py",
    ),
    # --- the laws ---------------------------------------------------------------------------------------------------
    Mutant(
        "merging moments",
        "moments.py",
        "return Moments(weight, self.mean + delta * part, self.m2 + other.m2 + delta**2 * self.weight * part)",
        "return Moments(weight, self.mean + delta * part, self.m2 + other.m2)",
        PROPERTIES,
    ),
    Mutant(
        "padded rows weigh nothing",
        "rows/rows.py",
        "return tuple(leaves), np.pad(rows.row_weights, (0, missing))",
        "return tuple(leaves), np.pad(rows.row_weights, (0, missing), constant_values=1)",
        PROPERTIES,
    ),
    Mutant(
        "it is the model's inference that is looked at",
        "networks/keras_tf/layers.py",
        'arguments = {"training": False} if takes_training else {}',
        'arguments = {"training": True} if takes_training else {}',
        "test_measurement.py test_laws.py",
    ),
    Mutant(
        "looking draws no random numbers",
        "rows/randomness.py",
        "        np.random.set_state(numpy)",
        "        np.random.random()",
        "test_laws.py test_reading.py",
    ),
    Mutant(
        "looking changes no variable, whoever knows it",
        "networks/keras_tf/compiled.py",
        "tf.raw_ops.AssignVariableOp(resource=handle, value=value)",
        "pass",
        "test_laws.py",
    ),
    Mutant(
        "layers are given back",
        "networks/keras_tf/borrowing.py",
        "            loan.give_back()\n",
        "            pass\n",
        "test_borrowing.py",
    ),
    Mutant(
        "a change of the model is seen",
        "networks/keras_tf/network.py",
        "if not kept.identity.is_same(identity, kept.volatile) or not kept.traced.is_current(self._model):",
        "if not kept.traced.is_current(self._model):",
        "test_changes.py",
    ),
    Mutant(
        "one trace for all epochs",
        "networks/keras_tf/network.py",
        "if kept is None or not self._is_same(kept, identity, batch, question):",
        "if True:",
        "test_callback.py",
    ),
    Mutant(
        "copies share the rows",
        "callback.py",
        "        memo[id(self.x)] = self.x\n",
        "        pass\n",
        "test_callback.py",
    ),
    Mutant(
        "looks are taken in float32",
        "networks/keras_tf/forward.py",
        "            widen(model, loan)\n",
        "            pass\n",
        "test_precision.py",
    ),
    # --- trust ------------------------------------------------------------------------------------------------------
    Mutant(
        "numbers that are not finite are no numbers",
        "networks/keras_tf/passes.py",
        "            elif bad is None:\n",
        "            elif True:\n",
        FAULTS,
    ),
    Mutant(
        "a look that fails ends no fit",
        "callback.py",
        "        except Exception as error:  # noqa: BLE001\n            with contextlib",
        "        except ZeroDivisionError as error:  # noqa: BLE001\n            with contextlib",
        FAULTS,
    ),
    Mutant(
        "looks go on when weights recover",
        "callback.py",
        "        except FloatingPointError as error:\n            self._skip(epoch, error)\n",
        "        except ZeroDivisionError as error:\n            self._skip(epoch, error)\n",
        FAULTS,
    ),
    Mutant(
        "what a full disk held up is written later",
        "records/looks.py",
        "self._unwritten.append(_Unwritten(values, epoch, time.time(), header))",
        "self._unwritten = [_Unwritten(values, epoch, time.time(), header)]",
        FAULTS,
    ),
    Mutant(
        "each look is on the disk at once",
        "records/event_file.py",
        "            self._writer.flush()\n",
        "            pass\n",
        "test_survival.py test_faults.py",
    ),
    Mutant(
        "another process knows the looks before",
        "callback.py",
        "        self._logged = self._live.writer.looks_before(first)\n",
        "        self._logged = []\n",
        "test_survival.py",
    ),
    Mutant(
        "a look that the process before did not come to",
        "callback.py",
        "if self._logged and self._logged[-1].epoch < first - 1 and",
        "if self._logged and self._logged[-1].epoch > first - 1 and",
        "test_survival.py",
    ),
    Mutant(
        "files are written whole or not at all",
        "files.py",
        '        with open(part, "xb") as file:\n',
        '        part = target\n        with open(part, "wb") as file:\n',
        "test_files.py",
    ),
    Mutant(
        "a file asks for no more memory than it has bytes",
        "archives.py",
        "    if size > most:\n",
        "    if False:\n",
        "test_files.py",
    ),
]


def changed(mutant: Mutant, folder: pathlib.Path) -> None:
    """Put a mutant into a copy; it must stand there once."""
    path = folder / "keras_sensitivity" / mutant.path
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.before) < 1:
        raise SystemExit(f"{mutant.path} has no line {mutant.before!r} any more: mend the list of mutants")
    path.write_text(text.replace(mutant.before, mutant.after, 1), encoding="utf-8")


def is_caught(mutant: Mutant) -> bool:
    """Whether a test fails."""
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        for name in ("keras_sensitivity", "tests", "conftest.py", "setup.cfg"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, folder / name)
        changed(mutant, folder)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider"]
        paths = [f"tests/{test}" for test in mutant.tests.split()]
        environment = os.environ | {"PYTHONPATH": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(
            [*command, *paths], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode not in (0, 1, 2):
        raise SystemExit(f"the tests of {mutant.breaks!r} did not run: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode != 0


def main(names: list[str]) -> int:
    """Try each, or those whose words contain one of ``names``; how many were not caught."""
    chosen = [mutant for mutant in MUTANTS if not names or any(name in mutant.breaks for name in names)]
    missed = []
    for mutant in chosen:
        start = time.monotonic()
        caught = is_caught(mutant)
        seconds = time.monotonic() - start
        print(f"{'caught' if caught else 'MISSED'} ({seconds:.0f} s): {mutant.breaks} ({mutant.path})", flush=True)
        if not caught:
            missed.append(mutant)
    print(f"{len(chosen) - len(missed)} of {len(chosen)} mutants were caught")
    return len(missed)


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
