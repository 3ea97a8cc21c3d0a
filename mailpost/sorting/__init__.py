"""Where a letter goes: from a recipient's address to a maildrop, or to a refusal."""
