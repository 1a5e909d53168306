"""What runs inside a child process: `python -m consumer.child`. Started by consumer.processes only."""
