"""How each library does the work of the cases: one module a library, written as its documentation recommends."""
