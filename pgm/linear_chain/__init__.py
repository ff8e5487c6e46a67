"""Parts of the linear-chain conditional random field: what it is given, and tagging schemes."""
