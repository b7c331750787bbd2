"""What the callback takes does not grow over thousands of epochs."""

import pytest
from scripts import output_of


@pytest.mark.endurance
def test_two_thousand_epochs():
    print(output_of("soak.py"))
