"""One program text, run on an original library and on voxwire.compat against the same peers; what it sees is compared."""
