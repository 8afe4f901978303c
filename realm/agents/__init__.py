"""What the agent needs in a box: its program, its configuration, its login."""
