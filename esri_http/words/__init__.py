"""Floor 0: the words that every other floor speaks. Imports nothing of the package above itself."""
