"""What training takes in memory is what can be predicted, and saving takes no more."""

import pytest

from benchmarks import training_memory


@pytest.mark.slow
@pytest.mark.skipif(not training_memory.CLEAR.exists(), reason="only Linux tells the peak")
def test_memory_is_as_predicted_and_saving_takes_none_of_its_own():
    case = (256, 1, 64)  # width, sequences in a batch, tokens in a sequence
    predicted = training_memory.predicted_bytes(training_memory.config(256, 64), 1)
    training = training_memory.in_a_process(*case, saving=False, returned=True)
    with_saving = training_memory.in_a_process(*case, saving=True, returned=True)
    assert training == pytest.approx(predicted, rel=0.1)
    assert with_saving < 1.1 * training
