"""The commands: thin. They parse, call and print."""
