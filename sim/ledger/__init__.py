"""What a venue does with an account's money: charges, funding, liquidation, collateral, shares of a position."""
