"""Who asks and who decides: tenants, people and their roles, agents and the OAuth models behind them."""
