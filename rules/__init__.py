"""Built-in rule packs: judgement as data."""
