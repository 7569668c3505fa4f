"""The commands: arguments, output, exit codes."""
