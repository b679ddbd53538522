# The supervisor of the tests runs nothing.
