"""The laws of the stores: one contract that every store keeps, then what is particular to each.

Here lives nothing about what is stored. The servers come from `tests.servers`; `scripted` answers what no real server
can be made to answer on request.
"""

import pytest

pytest.register_assert_rewrite("tests.stores.contract", "tests.stores.uploads", "tests.stores.resuming")
