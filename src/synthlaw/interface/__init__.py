"""The Python interface: what `import synthlaw` offers by name, each part loaded when it is used.

The command line and this room are two doors to the same functions: what one prints, the other
returns.
"""
