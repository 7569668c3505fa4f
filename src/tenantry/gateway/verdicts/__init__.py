"""Where a request goes, what a refusal becomes, and what users are told about their rights."""
