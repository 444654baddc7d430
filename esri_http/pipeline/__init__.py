"""Floor 4: from one call to its final answer: redirects outside, the sign-in inside them, the wire innermost."""
