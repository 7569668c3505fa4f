"""What the user's commands find out: pure functions from listed objects to findings, plans and tables."""
