"""Decisions about access, pure: who asks, what is asked, what may be seen, what an answer becomes."""
