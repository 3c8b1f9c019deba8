"""What the auditor costs, in units of plain training steps."""
