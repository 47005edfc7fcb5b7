"""What our account costs and bears: fees, collateral, margin needed and free, the equity in floats for limits."""
