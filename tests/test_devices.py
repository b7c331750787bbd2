"""Several devices: the same numbers as on one, bit-identical training, one set of records."""

import pytest
from scripts import output_of

from keras_sensitivity import errors


@pytest.mark.slow
def test_two_devices():
    """In a process of its own, whose processor is cut in two."""
    printed = output_of("devices.py")
    assert printed.count("the same numbers") == 5
    assert "refused in words" in printed


class Cluster:
    """Stands in for a cluster of several machines, which a test has not."""

    jobs = ("worker",)

    def cluster_spec(self):
        return self

    def num_tasks(self, job):
        return 2


class MultiWorkerMirroredStrategy:
    cluster_resolver = Cluster()


class ParameterServerStrategyV2:
    pass


@pytest.mark.parametrize("strategy", [MultiWorkerMirroredStrategy, ParameterServerStrategyV2])
def test_strategies_that_keras_does_not_run_are_refused(strategy):
    with pytest.raises(RuntimeError, match=rf"Received: {strategy.__name__}(.|\n)*To fix it: train under Mirrored"):
        errors.check_strategy(strategy())
