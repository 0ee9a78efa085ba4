"""What the laptop has in place of a cloud: the emulators, the demo companies, the processes."""
