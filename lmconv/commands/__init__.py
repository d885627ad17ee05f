"""The commands of `lmconv`, a file each. Thin: parse, call, print; torch and numpy are imported when a command runs."""
