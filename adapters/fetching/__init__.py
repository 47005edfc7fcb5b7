"""The past over the network: which way a range comes, in which pages, and what becomes of them."""
