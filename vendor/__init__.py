"""The recipe for what is built of esri_http besides the wheel: one folder for a toolbox, and the command line in one file."""
