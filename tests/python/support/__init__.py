"""What the tests stand on: hand-made frames, raw-socket peers, an event log. Independent of voxwire's own code."""
