"""The nouns of claims: what somebody printed, what is trained to hold it against, and what came out."""
