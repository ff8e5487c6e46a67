"""Binary units joined in pairs on any sparse graph: their law, sweeps by colours, clusters."""
