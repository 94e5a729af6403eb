"""The commands people type; thin: read the arguments, call the layer below, print the result."""
