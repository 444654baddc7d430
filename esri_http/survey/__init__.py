"""What is there: sites looked at without a credential, and what this machine could do about their sign-ins."""
