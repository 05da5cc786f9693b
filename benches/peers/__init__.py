"""voxwire beside other WebSocket libraries: the command is `python -m benches.peers`."""
